// One campaign: totals over the course of time, the mail with its clicks, links, readers. Four or five
// questions, however large it is.

import { get } from "../api.js";
import { clickMap } from "../click-map.js";
import { bar, card, code, empty, h, icon, segments } from "../dom.js";
import { bare, counted, date, number, part, zone } from "../format.js";
import { overview } from "../overview.js";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
/** Up to here hours are shown, beyond it days. */
const HOURS_SHOWN = 5 * DAY;
/** So that a first hour does not stand alone. */
const LEAST_SHOWN = 12 * HOUR;
/** The API answers no more points. */
const MOST_DAYS = 990;
const LINKS_SHOWN = 12;

export default async function campaign({ name, signal }) {
  const path = `/campaigns/${encodeURIComponent(name)}`;
  const of = await get(path, {}, signal);
  const end = Date.parse(of.lastActivityHour) + HOUR;
  const begin = Math.max(Math.min(Date.parse(of.firstActivityHour), end - LEAST_SHOWN), end - MOST_DAYS * DAY);
  const hourly = end - begin <= HOURS_SHOWN;
  const span = { campaign: name, timeZone: zone, from: new Date(begin).toISOString(), to: new Date(end).toISOString() };
  const mayFail = (question) => question.catch((error) => {
    if (signal.aborted || error.status === 401) throw error;
    return error;
  });
  const [stats, links, clients, preview] = await Promise.all([
    get("/stats", { ...span, interval: hourly ? "hour" : "day" }, signal),
    get("/stats/links", { campaign: name, limit: LINKS_SHOWN }, signal),
    mayFail(get("/stats/clients", span, signal)),
    of.previewKeptAt && mayFail(get(`${path}/preview`, {}, signal)),
  ]);
  const first = date(of.firstActivityHour);
  const last = date(of.lastActivityHour);
  return h("section", { "data-title": name },
    h("div", { class: "head" },
      h("div", {}, h("a", { class: "back", href: "#/campaigns" }, icon("back"), "Campaigns"), h("h1", {}, name)),
      h("div", { class: "aside" }, h("p", { class: "muted" }, first === last ? first : `${first} – ${last}`), h("a", { class: "button", href: `#/live/${encodeURIComponent(name)}` }, "Watch live"))),
    overview(of, stats, hourly, signal),
    mail(preview, of),
    h("div", { class: "columns" }, topLinks(links), h("div", { class: "stack" }, who(of.totals), readers(clients))));
}

/** The mail with its clicks, or how to have it here next time. */
function mail(preview, of) {
  if (preview && !(preview instanceof Error)) {
    return card("Where they clicked", `the mail as of ${date(preview.keptAt)}`, clickMap(preview, of.totals));
  }
  const first = `{"campaign": ${JSON.stringify(of.name)}, "keepPreview": true, "html": "…"}`;
  return card("Where they clicked", null, preview instanceof Error ? empty("Not shown this time", preview.message)
    : h("div", { class: "hint" }, h("p", {}, "See the clicks on the mail itself: say ", h("code", {}, "keepPreview"), " in the first line of the next ", h("code", {}, "/rewrite/batch"), ". It keeps what all recipients share, never what one of them got."), code(first)));
}

function topLinks({ items, nextCursor }) {
  if (items.length === 0) return card("Top links", null, empty("No clicks yet", "Links appear here with their first click."));
  const most = Math.max(...items.map((item) => item.clicks));
  return card("Top links", "clicks", h("ol", { class: "shares", "data-list": "links" }, items.map((item) => h("li", {},
    h("span", { class: "name", title: item.url }, bare(item.url)),
    h("span", { class: "number" }, number(item.clicks)),
    bar(most, ["human", item.humanClicks], ["suspect", item.clicks - item.humanClicks - item.machineClicks], ["machine", item.machineClicks]),
    h("span", { class: "note" }, `${number(item.humanClicks)} by people, ${number(item.machineClicks)} by machines`)))),
    nextCursor && h("p", { class: "note" }, `The ${LINKS_SHOWN} with most clicks. GET /stats/links has them all.`));
}

/** Every open and click by who made it. */
function who(totals) {
  const line = (title, all, human, machine) => h("li", {},
    h("span", { class: "name" }, title), h("span", { class: "number" }, number(all)),
    bar(all, ["human", human], ["suspect", all - human - machine], ["machine", machine]),
    h("span", { class: "note" }, `${number(human)} by people (${part(human, all)}), ${number(machine)} by machines, ${number(all - human - machine)} unsure`));
  return card("People and machines", "repeats included", h("ul", { class: "shares", "data-list": "who" },
    line("Opens", totals.opens, totals.humanOpens, totals.machineOpens), line("Clicks", totals.clicks, totals.humanClicks, totals.machineClicks)));
}

function readers(clients) {
  if (clients instanceof Error) return card("Read with", null, empty("Not counted this time", clients.message));
  if (clients.totals.opens === 0) return card("Read with", null, empty("Nothing opened yet", "Mail clients and devices appear here with the first open."));
  const place = h("div");
  const show = ([title, items]) => place.replaceChildren(h("ul", { class: "shares", "data-list": title }, items.filter((item) => item.opens > 0).slice(0, 7).map((item) => h("li", {},
    h("span", { class: "name" }, item.name === null ? "Not told" : item.name[0].toUpperCase() + item.name.slice(1)),
    h("span", { class: "number" }, number(item.opens), " ", h("span", { class: "muted share" }, part(item.opens, clients.totals.opens))),
    bar(clients.totals.opens, ["human", item.humanOpens], ["suspect", item.opens - item.humanOpens - item.machineOpens], ["machine", item.machineOpens])))));
  const choices = [["Mail client", ["mail client", clients.mailClients]], ["Device", ["device", clients.devices]], ["System", ["system", clients.systems]]];
  show(choices[0][1]);
  return h("section", { class: "card" },
    h("div", { class: "card-head" }, h("h2", {}, "Read with"), segments("By what", choices, show)), place,
    clients.proxied.opens > 0 && h("p", { class: "note" }, `${counted(clients.proxied.opens, "open")} of ${number(clients.totals.opens)} came through a mail service’s proxy, which hides device and system.`));
}
