// One campaign: totals, the course of time, links, clients. Four questions, however large it is.

import { get } from "../api.js";
import { chart } from "../chart.js";
import { bar, empty, h, table } from "../dom.js";
import { date, number, rate, shortTime, zone } from "../format.js";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
/** Up to here hours are shown, beyond it days. */
const HOURS_SHOWN = 5 * DAY;
/** The API answers no more points. */
const MOST_DAYS = 990;

export default async function campaign({ name, signal }) {
  const of = await get(`/campaigns/${encodeURIComponent(name)}`, {}, signal);
  const end = Date.parse(of.lastActivityHour) + HOUR;
  const begin = Math.max(Date.parse(of.firstActivityHour), end - MOST_DAYS * DAY);
  const hourly = end - begin <= HOURS_SHOWN;
  const span = { campaign: name, timeZone: zone, from: new Date(begin).toISOString(), to: new Date(end).toISOString() };
  const [stats, links, clients] = await Promise.all([
    get("/stats", { ...span, interval: hourly ? "hour" : "day" }, signal),
    get("/stats/links", { campaign: name, limit: 10 }, signal),
    get("/stats/clients", span, signal).catch((error) => {
      if (signal.aborted) throw error;
      return error;
    }),
  ]);
  return h("section", { "data-title": name },
    h("div", { class: "head" },
      h("div", {}, h("a", { class: "back", href: "#/campaigns" }, "Campaigns"), h("h1", {}, name)),
      h("p", { class: "muted" }, `${date(of.firstActivityHour)} – ${date(of.lastActivityHour)}`)),
    totals(of),
    overTime(stats, hourly, signal),
    h("div", { class: "columns" }, topLinks(links.items), readers(clients)));
}

function totals({ totals: counts, rates }) {
  const figure = (id, title, value, part, note) => h("div", { class: "figure", "data-figure": id },
    h("dt", {}, title), h("dd", {}, h("strong", {}, number(value)), part !== undefined && h("span", { class: "rate" }, rate(part))),
    note && h("dd", { class: "note" }, note));
  const of = rates.of === "delivered" ? "of those delivered" : "of those sent";
  return h("dl", { class: "figures card", "aria-label": "Totals" },
    figure("sent", "Sent", counts.sent, undefined, `${number(counts.bounced)} bounced · ${rate(rates.bounceRate)}`),
    figure("delivered", "Delivered", counts.delivered, undefined, rates.of === "sent" ? "Report deliveries to see them here" : `${number(counts.complained)} complained · ${rate(rates.complaintRate)}`),
    figure("opened", "Opened by people", counts.uniqueHumanOpens, rates.humanOpenRate, `${number(counts.uniqueOpens)} with machines · ${rate(rates.openRate)} ${of}`),
    figure("clicked", "Clicked by people", counts.uniqueHumanClicks, rates.humanClickRate, `${number(counts.uniqueClicks)} with machines · ${rate(rates.clickRate)} ${of}`),
    figure("unsubscribed", "Unsubscribed", counts.unsubscribes, rates.unsubscribeRate, `${rate(rates.humanClickToOpenRate)} clicked of those who opened`));
}

const VIEWS = {
  Opens: [["By people", "--human", "humanOpens"], ["By machines", "--machine", "machineOpens"]],
  Clicks: [["By people", "--human", "humanClicks"], ["By machines", "--machine", "machineClicks"]],
  Sending: [["Sent", "--human", "sent"], ["Delivered", "--good", "delivered"]],
};

function overTime(stats, hourly, signal) {
  const times = stats.points.map((point) => Date.parse(point.start) / 1000);
  const place = h("div");
  const numbers = h("details", {}, h("summary", {}, "The same as a table"));
  const buttons = Object.keys(VIEWS).map((view) => h("button", { type: "button", "aria-pressed": "false", onclick: () => show(view) }, view));
  let drawn = new AbortController();
  signal.addEventListener("abort", () => drawn.abort());
  const show = (view) => {
    drawn.abort();
    drawn = new AbortController();
    buttons.forEach((button) => button.setAttribute("aria-pressed", String(button.textContent === view)));
    const lines = VIEWS[view].map(([name, colour, field]) => ({ name, colour, values: stats.points.map((point) => point[field]) }));
    place.replaceChildren(chart(`${view} by ${hourly ? "hour" : "day"}`, times, lines, hourly, drawn.signal));
  };
  const heads = [{ text: hourly ? "Hour" : "Day" }, ...Object.entries(VIEWS).flatMap(([view, lines]) => lines.map(([name]) => ({ text: view === "Sending" ? name : `${view} ${name.toLowerCase()}`, number: true })))];
  const fields = Object.values(VIEWS).flat().map((line) => line[2]);
  numbers.append(table("Numbers over time", heads, stats.points.map((point) => [hourly ? shortTime(point.start) : date(point.start), ...fields.map((field) => number(point[field]))])));
  const card = h("section", { class: "card", "aria-labelledby": "over-time" },
    h("div", { class: "card-head" }, h("h2", { id: "over-time" }, `By ${hourly ? "hour" : "day"}`), h("div", { class: "segments", role: "group", "aria-label": "What the chart shows" }, buttons)),
    place,
    h("p", { class: "note" }, `Every open and click, repeats included, in your time zone, ${stats.timeZone}. What may be either a person or a machine is in neither line.`),
    numbers);
  show("Opens");
  return card;
}

function topLinks(items) {
  const most = Math.max(1, ...items.map((item) => item.clicks));
  const body = items.length
    ? h("ol", { class: "shares", "data-list": "links" }, items.map((item) => h("li", {},
        h("span", { class: "name", title: item.url }, item.url.replace(/^https?:\/\//, "")),
        h("span", { class: "number" }, number(item.clicks)),
        bar(item.humanClicks / most),
        h("span", { class: "note" }, `${number(item.humanClicks)} by people`))))
    : empty("No clicks yet", "Links appear here with their first click.");
  return h("section", { class: "card" }, h("div", { class: "card-head" }, h("h2", {}, "Top links"), h("span", { class: "muted" }, "clicks")), body);
}

function readers(clients) {
  const head = h("div", { class: "card-head" }, h("h2", {}, "Read with"), h("span", { class: "muted" }, "opens"));
  if (clients instanceof Error) return h("section", { class: "card" }, head, empty("Not counted this time", clients.message));
  if (clients.totals.opens + clients.totals.clicks === 0) return h("section", { class: "card" }, head, empty("Nothing opened yet", "Mail clients and devices appear here with the first open."));
  const list = (title, items) => [h("h3", {}, title), h("ul", { class: "shares", "data-list": title.toLowerCase() }, items.filter((item) => item.opens > 0).slice(0, 6).map((item) => h("li", {},
    h("span", { class: "name" }, named(item.name)), h("span", { class: "number" }, number(item.opens)), bar(item.opens / Math.max(1, clients.totals.opens)))))];
  return h("section", { class: "card" }, head,
    list("Mail client", clients.mailClients), list("Device", clients.devices),
    h("p", { class: "note" }, `${number(clients.proxied.opens)} of ${number(clients.totals.opens)} opens came through a mail service's proxy, which hides the device.`));
}

function named(name) {
  return name === null ? "Not told" : name[0].toUpperCase() + name.slice(1);
}
