// One mail to one contact: its course, every open and click.

import { get } from "../api.js";
import { empty, h } from "../dom.js";
import { counted, number, time } from "../format.js";
import { timeline } from "./live.js";

export default async function send({ name, signal }) {
  const of = await get(`/sends/${encodeURIComponent(name)}`, {}, signal);
  const fact = (title, value) => h("div", { class: "figure" }, h("dt", {}, title), h("dd", {}, value));
  const events = [...of.opens, ...of.clicks].sort((a, b) => (a.id < b.id ? 1 : -1));
  const who = of.contact || of.contactId;
  return h("section", { "data-title": `Send ${of.id}` },
    h("div", { class: "head" }, h("div", {}, h("p", { class: "back" }, "Send"), h("h1", {}, of.id)), h("span", { class: `tag ${of.status}` }, of.status)),
    h("dl", { class: "figures facts card" },
      fact("To", h("a", { href: `#/contacts/${encodeURIComponent(who)}` }, who)),
      fact("Campaign", of.campaign ? h("a", { href: `#/campaigns/${encodeURIComponent(of.campaign)}` }, of.campaign) : "–"),
      fact("Sent", time(of.sentAt)),
      fact("Delivered", time(of.deliveredAt)),
      of.bouncedAt && fact("Bounced", time(of.bouncedAt)),
      of.complainedAt && fact("Complained", time(of.complainedAt)),
      of.unsubscribedAt && fact("Unsubscribed", time(of.unsubscribedAt)),
      fact("First opened by a person", time(of.humanOpenedAt)),
      fact("First clicked by a person", time(of.humanClickedAt))),
    h("section", { class: "card" },
      h("div", { class: "card-head" }, h("h2", {}, "Opens and clicks"), h("span", { class: "muted" }, `${counted(of.opensCount, "open")}, ${number(of.humanOpensCount)} by people · ${counted(of.clicksCount, "click")}, ${number(of.humanClicksCount)} by people`)),
      events.length ? timeline(events, { contact: false, send: false }) : empty("Not opened yet", "Each open and click appears here, with who made it and why we think so.")));
}
