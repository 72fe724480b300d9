// One mail to one contact: its course, every open and click.

import { get } from "../api.js";
import { card, empty, h, icon } from "../dom.js";
import { timeline } from "../events.js";
import { after, counted, number, statuses, time } from "../format.js";

export default async function send({ name, signal }) {
  const of = await get(`/sends/${encodeURIComponent(name)}`, {}, signal);
  const events = [...of.opens, ...of.clicks].sort((a, b) => (a.id < b.id ? 1 : -1));
  const who = of.contact || of.contactId;
  const shown = events.length < of.opensCount + of.clicksCount ? `, the newest ${number(events.length)} below` : "";
  return h("section", { "data-title": `Send ${of.id}` },
    h("div", { class: "head" },
      h("div", {}, h("p", { class: "kicker" }, "Send"), h("h1", { class: "id" }, of.id)),
      h("span", { class: `tag ${of.status}` }, statuses[of.status] || of.status)),
    course(of),
    h("dl", { class: "facts card" }, [
      ["To", h("a", { href: `#/contacts/${encodeURIComponent(who)}` }, who)],
      ["Campaign", of.campaign ? h("a", { href: `#/campaigns/${encodeURIComponent(of.campaign)}` }, of.campaign) : "None"],
      ["Registered", time(of.registeredAt)],
      ["First opened by anyone", time(of.openedAt)],
      ["First clicked by anyone", time(of.clickedAt)],
    ].map(([title, value]) => h("div", {}, h("dt", {}, title), h("dd", {}, value)))),
    card("Opens and clicks", `${counted(of.opensCount, "open")}, ${number(of.humanOpensCount)} by people · ${counted(of.clicksCount, "click")}, ${number(of.humanClicksCount)} by people${shown}`,
      events.length ? timeline(events, { contact: false, send: false }) : empty("Not opened yet", "Each open and click appears here, with who made it and why we think so. Readers who load no pictures open nothing.")));
}

/** From sending to clicking, as far as it came. */
function course(of) {
  const step = (kind, title, at, bad = false) => h("li", { class: [kind, at ? "done" : "open", bad && "bad"].filter(Boolean).join(" ") },
    h("span", { class: "mark" }, icon(kind)),
    h("div", {}, h("strong", {}, title), h("p", { class: "note" }, at ? time(at) : "Not yet"),
      at && of.sentAt && kind !== "sent" && after(of.sentAt, at) && h("p", { class: "note" }, `${after(of.sentAt, at)} after sending`)));
  return h("ol", { class: "course card", "aria-label": "Course of the mail" },
    step("sent", "Sent", of.sentAt),
    of.bouncedAt || of.failedAt ? step("bounced", of.bouncedAt ? "Bounced" : "Failed", of.bouncedAt || of.failedAt, true) : step("delivered", "Delivered", of.deliveredAt),
    step("opened", "Opened by a person", of.humanOpenedAt),
    step("clicked", "Clicked by a person", of.humanClickedAt),
    of.complainedAt && step("complained", "Marked as spam", of.complainedAt, true),
    of.unsubscribedAt && step("unsubscribed", "Unsubscribed", of.unsubscribedAt, true));
}
