// One contact and what happened to the mail sent to it.

import { get } from "../api.js";
import { empty, h } from "../dom.js";
import { counted, number, time } from "../format.js";
import { more, timeline } from "./live.js";

export default async function contact({ name, signal }) {
  const path = `/contacts/${encodeURIComponent(name)}`;
  const [of, events] = await Promise.all([get(path, {}, signal), get(`${path}/events`, { limit: 50 }, signal)]);
  const fact = (title, value) => h("div", { class: "figure" }, h("dt", {}, title), h("dd", {}, value));
  const count = (title, value, note) => h("div", { class: "figure" }, h("dt", {}, title), h("dd", {}, h("strong", {}, number(value))), note && h("dd", { class: "note" }, note));
  const list = timeline(events.items, { contact: false });
  return h("section", { "data-title": of.email || of.id },
    h("div", { class: "head" }, h("div", {}, h("p", { class: "back" }, "Contact"), h("h1", {}, of.email || of.id)),
      h("p", {}, of.unsubscribedAt && h("span", { class: "tag warn" }, "Unsubscribed"), of.suppressedAt && h("span", { class: "tag warn" }, "Bounced or complained"), of.trackingConsent === "withdrawn" && h("span", { class: "tag warn" }, "Does not want to be tracked"))),
    h("dl", { class: "figures card" },
      count("Sent", of.emailsSentCount),
      count("Opened by a person", of.emailsHumanOpenedCount, `${counted(of.emailsOpenedCount, "open")} in all, ${number(of.emailsMachineOpenedCount)} by machines`),
      count("Clicked by a person", of.emailsHumanClickedCount, `${counted(of.emailsClickedCount, "click")} in all, ${number(of.emailsMachineClickedCount)} by machines`)),
    h("dl", { class: "figures facts card" }, fact("Last sent", time(of.lastEmailSentAt)), fact("Last opened by a person", time(of.lastEmailHumanOpenedAt)), fact("Last clicked by a person", time(of.lastEmailHumanClickedAt)), fact("Known since", time(of.createdAt))),
    h("section", { class: "card" }, h("h2", {}, "Timeline"),
      events.items.length ? list : empty("Nothing happened yet", "Sends, opens and clicks of this contact appear here."),
      more(events, list, { contact: false }, (cursor) => get(`${path}/events`, { limit: 50, cursor }, signal))));
}
