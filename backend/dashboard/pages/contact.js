// One contact and what happened to the mail sent to it.

import { get } from "../api.js";
import { card, empty, figure, h } from "../dom.js";
import { more, timeline } from "../events.js";
import { counted, number, part, time } from "../format.js";

const SHOWN = { contact: false, campaign: true };

export default async function contact({ name, signal }) {
  const path = `/contacts/${encodeURIComponent(name)}`;
  const [of, events] = await Promise.all([get(path, {}, signal), get(`${path}/events`, { limit: 50 }, signal)]);
  const list = timeline(events.items, SHOWN);
  const who = of.email || of.id;
  const marks = [
    of.unsubscribedAt && `Unsubscribed on ${time(of.unsubscribedAt)}`,
    of.suppressedAt && `Bounced or marked as spam on ${time(of.suppressedAt)}`,
    of.trackingConsent === "withdrawn" && "Does not want to be tracked",
  ].filter(Boolean);
  return h("section", { "data-title": who },
    h("div", { class: "head" },
      h("div", { class: "person" }, h("span", { class: "avatar", "aria-hidden": "true" }, who[0].toUpperCase()),
        h("div", {}, h("p", { class: "kicker" }, "Contact"), h("h1", {}, who))),
      h("p", { class: "tags" }, marks.map((mark) => h("span", { class: "tag warn" }, mark)))),
    h("dl", { class: "figures card" },
      figure("sent", "Mails sent", number(of.emailsSentCount), null, `Last on ${time(of.lastEmailSentAt)}`),
      figure("opened", "Opens by a person", number(of.emailsHumanOpenedCount), part(of.emailsHumanOpenedCount, of.emailsOpenedCount), `of ${counted(of.emailsOpenedCount, "open")}, ${number(of.emailsMachineOpenedCount)} by machines`),
      figure("clicked", "Clicks by a person", number(of.emailsHumanClickedCount), part(of.emailsHumanClickedCount, of.emailsClickedCount), `of ${counted(of.emailsClickedCount, "click")}, ${number(of.emailsMachineClickedCount)} by machines`)),
    h("dl", { class: "facts card" }, [
      ["Last opened by a person", time(of.lastEmailHumanOpenedAt)],
      ["Last clicked by a person", time(of.lastEmailHumanClickedAt)],
      ["Known since", time(of.createdAt)],
      ["Consent to tracking", { given: "Given", withdrawn: "Withdrawn" }[of.trackingConsent] || "Not asked, counts as given"],
    ].map(([title, value]) => h("div", {}, h("dt", {}, title), h("dd", {}, value)))),
    card("Timeline", null,
      events.items.length ? list : empty("Nothing happened yet", "Sends, opens and clicks of this contact appear here. What is older than your retention is gone; the counts above stay."),
      more(events, list, SHOWN, (cursor) => get(`${path}/events`, { limit: 50, cursor }, signal))));
}
