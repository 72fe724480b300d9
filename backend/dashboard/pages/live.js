// Events as they arrive, and the list of events that other pages share.

import { get } from "../api.js";
import { empty, h } from "../dom.js";
import { client, number, time, types, verdicts } from "../format.js";

/** Between two looks. */
const PAUSE = 2000;
const SHOWN = 100;

export default async function live({ signal }) {
  const list = timeline([], {});
  const status = h("p", { class: "muted", role: "status" }, "Waiting for events");
  const nothing = empty("Waiting for the first event", "Open a mail that was rewritten, or click a link in it: it appears here within seconds.");
  const card = h("div", { class: "card" }, nothing);
  const known = new Set();
  let arrived = 0;
  const look = async () => {
    const { items } = await get("/events", { limit: SHOWN }, signal);
    const fresh = items.filter((event) => !known.has(event.id));
    for (const event of items) known.add(event.id);
    if (fresh.length) {
      if (!list.isConnected) card.replaceChildren(list);
      list.prepend(...fresh.map((event) => item(event, {})));
      while (list.children.length > SHOWN) list.lastChild.remove();
    }
    return fresh.length;
  };
  await look();
  const again = async () => {
    try {
      arrived += await look();
      status.textContent = arrived ? `${number(arrived)} since you came` : "Listening";
    } catch (error) {
      if (signal.aborted) return;
      status.textContent = `${error.message} Trying again.`;
    }
    if (!signal.aborted) setTimeout(again, PAUSE);
  };
  setTimeout(again, PAUSE);
  return h("section", { "data-title": "Live" },
    h("div", { class: "head" }, h("div", {}, h("h1", {}, h("span", { class: "pulse", "aria-hidden": "true" }), "Live"), h("p", { class: "muted" }, "The newest events, a few seconds behind.")), status), card);
}

export function timeline(events, shown) {
  return h("ol", { class: "timeline" }, events.map((event) => item(event, shown)));
}

/** The button that gets the page after; nothing on the last page. */
export function more(page, list, shown, next) {
  if (!page.nextCursor) return null;
  let cursor = page.nextCursor;
  const button = h("button", { type: "button", onclick: async () => {
    button.disabled = true;
    const answer = await next(cursor);
    list.append(...answer.items.map((event) => item(event, shown)));
    cursor = answer.nextCursor;
    button.disabled = false;
    if (!cursor) button.remove();
  } }, "Show older");
  return button;
}

function item(event, { contact = true, send = true }) {
  const who = event.contact || event.contactId;
  const parts = [
    contact && h("a", { href: `#/contacts/${encodeURIComponent(who)}` }, who),
    send && h("a", { class: "muted", href: `#/sends/${encodeURIComponent(event.sendId)}` }, event.sendId),
    event.url && h("span", { class: "url" }, event.url),
  ];
  const details = [client(event), event.ip, event.reasons?.length && event.reasons.join(", ").replaceAll("_", " ")].filter(Boolean);
  return h("li", { "data-id": event.id, class: event.type.slice("email.".length) },
    h("div", { class: "what" }, h("strong", {}, types[event.type] || event.type), event.verdict && h("span", { class: `tag ${event.verdict}` }, verdicts[event.verdict] || event.verdict), parts),
    h("time", { datetime: event.timestamp }, time(event.timestamp)),
    details.length ? h("p", { class: "note" }, details.join(" · ")) : null);
}
