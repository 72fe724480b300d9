// Lists of events, as several pages show them.

import { h, icon } from "./dom.js";
import { bare, because, client, shortTime, time, timeOfDay, types, verdicts, weekday } from "./format.js";

/** Newest first, under a heading for each day. `shown`: which of contact, send, campaign each event names. */
export function timeline(events, shown) {
  const list = h("ol", { class: "timeline" });
  add(list, events, shown);
  return list;
}

/** More at the end. */
function add(list, events, shown) {
  let day = list.dataset.day;
  for (const event of events) {
    const of = weekday(event.timestamp);
    if (of !== day) list.append(h("li", { class: "day" }, h("h3", {}, of)));
    list.append(item(event, shown));
    day = of;
  }
  list.dataset.day = day ?? "";
}

/** The button that gets the page after; nothing on the last page. */
export function more(page, list, shown, next) {
  if (!page.nextCursor) return null;
  let cursor = page.nextCursor;
  const button = h("button", { class: "more", type: "button", onclick: async () => {
    button.disabled = true;
    try {
      const answer = await next(cursor);
      add(list, answer.items, shown);
      cursor = answer.nextCursor;
      button.textContent = "Show older";
    } catch (error) {
      button.textContent = `${error.message} Try again`;
    }
    button.disabled = false;
    if (!cursor) button.remove();
  } }, "Show older");
  return button;
}

const kind = (event) => event.type.slice("email.".length);

export function tag(event) {
  return event.verdict && h("span", { class: `tag ${event.verdict}` }, verdicts[event.verdict] || event.verdict);
}

/** `dated`: no heading says which day it is. */
export function item(event, { contact = true, send = true, campaign = false, why = true, dated = false }) {
  const earlier = dated && weekday(event.timestamp) !== weekday(new Date());
  const who = event.contact || event.contactId;
  const link = (page, name, css) => h("a", { class: css, href: `#/${page}/${encodeURIComponent(name)}` }, name);
  const note = [why && because(event), [client(event), event.ip].filter(Boolean).join(" · ")].filter(Boolean);
  return h("li", { "data-id": event.id, class: `event ${kind(event)}` },
    h("span", { class: `mark ${event.verdict || ""}` }, icon(kind(event))),
    h("div", { class: "what" },
      h("strong", {}, types[event.type] || event.type),
      event.url && h("span", { class: "url", title: event.url }, bare(event.url)),
      contact && link("contacts", who, "who"),
      send && link("sends", event.sendId, "id"),
      campaign && event.campaign && link("campaigns", event.campaign, "muted"),
      tag(event)),
    h("time", { datetime: event.timestamp, title: time(event.timestamp) }, earlier ? shortTime(event.timestamp) : timeOfDay(event.timestamp)),
    note.length > 0 && h("p", { class: "note" }, note.map((line) => h("span", {}, line))));
}
