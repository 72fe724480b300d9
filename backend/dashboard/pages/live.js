// Events as they arrive, of all mail or of one campaign.

import { get } from "../api.js";
import { empty, h, icon, segments } from "../dom.js";
import { item } from "../events.js";
import { counted, time } from "../format.js";
import { listen } from "../stream.js";

const SHOWN = 100;
const SHOW = { why: false, dated: true };
const REMEMBERED = 10_000;
const CHOICES = [["Everything", null], ["Opens", "email.opened"], ["Clicks", "email.clicked"], ["Unsubscribes", "email.unsubscribed"]];

export default async function live({ name, signal }) {
  const of = name === null ? {} : { campaign: name };
  const place = h("div", { class: "card" });
  const status = h("p", { class: "status", role: "status" }, "Connecting");
  let watched = new AbortController();
  signal.addEventListener("abort", () => watched.abort());
  const watch = async (type) => {
    watched.abort();
    watched = new AbortController();
    await follow({ ...of, ...(type && { type }) }, place, status, watched.signal);
  };
  await watch(null);
  return h("section", { "data-title": name === null ? "Live" : `${name} live` },
    h("div", { class: "head" },
      h("div", {}, name !== null && h("a", { class: "back", href: `#/campaigns/${encodeURIComponent(name)}` }, icon("back"), name), h("h1", {}, "Live"), status),
      segments("What to watch", CHOICES, watch)),
    place);
}

/** What there is, then what comes. The stream is open before the list is asked for, so nothing falls between. */
async function follow(query, place, status, signal) {
  const list = h("ol", { class: "timeline live", "aria-label": "Events, newest first" });
  const known = new Set();
  const early = [];
  let listed = false;
  let arrived = 0;
  const put = (entry) => {
    if (!list.isConnected) place.replaceChildren(list);
    list.prepend(entry);
    while (list.children.length > SHOWN) list.lastChild.remove();
  };
  const take = (event) => {
    if (!listed) return early.push(event);
    if (known.has(event.id)) return;
    known.add(event.id);
    // What may come twice came within the last minute.
    if (known.size > REMEMBERED) known.delete(known.values().next().value);
    arrived += 1;
    status.textContent = `${counted(arrived, "event")} since you came`;
    const shown = item(event, SHOW);
    shown.classList.add("new");
    put(shown);
  };
  const skipped = ({ reason, count, from }) => {
    const many = count === undefined ? "Some events" : counted(count, "event");
    const why = { late: "arrived late and are not shown", slow: "came faster than they could be shown", away: "happened while you were away" }[reason];
    put(h("li", { class: "notice" }, `${many} ${why || "are not shown"}. They happened after ${time(from)}: GET /events?from=${from} has them.`));
  };
  const ask = async () => (await get("/events", { ...query, limit: 50 }, signal)).items;
  const position = { last: undefined };
  let text = "Connecting";
  const say = () => {
    const on = listed && text === "open";
    status.classList.toggle("on", on);
    status.textContent = !on ? (text === "open" ? "Connecting" : text) : arrived ? `${counted(arrived, "event")} since you came` : "Listening";
  };
  await new Promise((begun) => {
    const state = (now) => {
      text = now;
      begun();
      say();
      // Nothing had happened yet, so there was nothing to come back with.
      if (listed && now === "open" && !position.last) ask().then((items) => items.reverse().forEach(take), () => {});
    };
    listen(query, { position, signal, take, skipped, state });
    signal.addEventListener("abort", begun);
  });
  const items = await ask();
  if (items.length) place.replaceChildren(list);
  else if (!list.isConnected) place.replaceChildren(empty("Waiting for the first event", "Open a mail that was rewritten, or follow a link in it: it appears here within seconds."));
  list.append(...items.map((event) => item(event, SHOW)));
  for (const event of items) known.add(event.id);
  position.last ??= items[0]?.id;
  listed = true;
  early.forEach(take);
  say();
}
