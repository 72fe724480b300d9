// All campaigns with their totals.

import { get } from "../api.js";
import { code, empty, h, table } from "../dom.js";
import { date, number, rate } from "../format.js";

const EXAMPLE = `curl -s ${location.origin}/rewrite \\
  -H 'authorization: Bearer krt_…' -H 'content-type: application/json' \\
  -d '{"contact":"ada@example.com","campaign":"spring-sale",
       "html":"<a href=\\"https://example.com\\">Hello</a>"}'`;

export default async function campaigns({ signal }) {
  const first = await get("/campaigns", { limit: 100 }, signal);
  const page = h("section", { "data-title": "Campaigns" }, h("div", { class: "head" }, h("h1", {}, "Campaigns")));
  if (first.items.length === 0) {
    page.append(empty("No campaign yet", "A campaign appears here once a mail of it was rewritten or sent. Try it:"), code(EXAMPLE));
    return page;
  }
  const heads = [{ text: "Campaign" }, { text: "Last active" }, { text: "Sent", number: true }, { text: "Opened by people", number: true }, { text: "Clicked by people", number: true }, { text: "Bounced", number: true }];
  const row = (campaign) => [
    h("a", { href: `#/campaigns/${encodeURIComponent(campaign.name)}` }, campaign.name),
    h("span", { class: "muted" }, date(campaign.lastActivityHour)),
    number(campaign.totals.sent),
    share(campaign.totals.uniqueHumanOpens, campaign.rates.humanOpenRate),
    share(campaign.totals.uniqueHumanClicks, campaign.rates.humanClickRate),
    share(campaign.totals.bounced, campaign.rates.bounceRate),
  ];
  const list = h("div", { class: "card" }, table("Campaigns", heads, first.items.map(row)));
  page.append(list);
  let cursor = first.nextCursor;
  if (cursor) {
    const more = h("button", { type: "button", onclick: async () => {
      more.disabled = true;
      const next = await get("/campaigns", { limit: 100, cursor }, signal);
      cursor = next.nextCursor;
      list.append(table("More campaigns", heads, next.items.map(row)));
      more.disabled = false;
      if (!cursor) more.remove();
    } }, "Show more");
    page.append(more);
  }
  return page;
}

function share(count, part) {
  return [number(count), " ", h("span", { class: "muted share" }, rate(part))];
}
