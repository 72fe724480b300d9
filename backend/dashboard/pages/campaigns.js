// All mail of the last thirty days, and the campaigns with their totals.

import { get } from "../api.js";
import { bar, card, code, empty, h, table } from "../dom.js";
import { date, number, rate, zone } from "../format.js";
import { overview } from "../overview.js";

const EXAMPLE = `curl -s ${location.origin}/rewrite \\
  -H 'authorization: Bearer krt_…' -H 'content-type: application/json' \\
  -d '{"contact": "ada@example.com", "campaign": "spring-sale",
       "html": "<a href=\\"https://example.com\\">Hello</a>"}'`;

const HEADS = [{ text: "Campaign" }, { text: "Last active" }, { text: "Sent", number: true }, { text: "Opened by people", number: true }, { text: "Clicked by people", number: true }, { text: "Unsubscribed", number: true }];

export default async function campaigns({ signal }) {
  const [first, stats] = await Promise.all([get("/campaigns", { limit: 100 }, signal), get("/stats", { interval: "day", timeZone: zone }, signal)]);
  const page = h("section", { "data-title": "Campaigns" });
  if (first.items.length === 0) {
    page.append(h("div", { class: "head" }, h("h1", {}, "Campaigns")),
      h("div", { class: "card" }, empty("No campaign yet", "A campaign appears once the first mail of it was rewritten. Have one rewritten now, with a key that has the scope render:", code(EXAMPLE),
        h("p", {}, "Then open the mail or follow its link, and watch it arrive under ", h("a", { href: "#/live" }, "Live"), "."))));
    return page;
  }
  // The API goes by name. Where all are known, those that something happened to lately come first.
  if (!first.nextCursor) first.items.sort((a, b) => Date.parse(b.lastActivityHour) - Date.parse(a.lastActivityHour));
  const list = h("div", {}, table("Campaigns", HEADS, first.items.map(row), { cards: true }));
  page.append(
    h("div", { class: "head" }, h("h1", {}, "Campaigns"), h("p", { class: "muted" }, "All mail of the last 30 days")),
    overview(stats, stats, false, signal),
    card(first.nextCursor ? "By name" : "Campaigns", "since they began", list, rest(list, first.nextCursor, signal)));
  return page;
}

function row(campaign) {
  const { totals, rates } = campaign;
  const mails = rates.of === "delivered" ? totals.delivered : totals.sent;
  const share = (count, of, css) => [h("span", { class: "value" }, number(count), " ", h("span", { class: "muted share" }, rate(of))), css && bar(mails, [css, count])];
  return [
    h("a", { class: "row", href: `#/campaigns/${encodeURIComponent(campaign.name)}` }, campaign.name),
    h("span", { class: "muted" }, date(campaign.lastActivityHour)),
    number(totals.sent),
    share(totals.uniqueHumanOpens, rates.humanOpenRate, "human"),
    share(totals.uniqueHumanClicks, rates.humanClickRate, "human"),
    share(totals.unsubscribes, rates.unsubscribeRate),
  ];
}

function rest(list, cursor, signal) {
  if (!cursor) return null;
  const more = h("button", { class: "more", type: "button", onclick: async () => {
    more.disabled = true;
    try {
      const next = await get("/campaigns", { limit: 100, cursor }, signal);
      cursor = next.nextCursor;
      list.append(table("More campaigns", HEADS, next.items.map(row), { cards: true }));
      more.textContent = "Show more";
    } catch (error) {
      more.textContent = `${error.message} Try again`;
    }
    more.disabled = false;
    if (!cursor) more.remove();
  } }, "Show more");
  return more;
}
