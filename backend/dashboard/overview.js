// Totals above the course of time: the figures choose what the chart shows.

import { chart } from "./chart.js";
import { figure, h, table } from "./dom.js";
import { date, number, rate, shortTime } from "./format.js";

const people = (all, human, machine) => [
  { name: "People", css: "human", of: (point) => point[human] },
  { name: "Unsure", css: "suspect", of: (point) => point[all] - point[human] - point[machine] },
  { name: "Machines", css: "machine", of: (point) => point[machine] },
];

/** What each figure's chart is made of, the lowest part first. */
const VIEWS = [
  { id: "sent", title: "Sent", parts: [{ name: "Sent", css: "human", of: (point) => point.sent }] },
  { id: "delivered", title: "Delivered", parts: [{ name: "Delivered", css: "good", of: (point) => point.delivered }, { name: "Bounced", css: "bad", of: (point) => point.bounced }] },
  { id: "opened", title: "Opens", parts: people("opens", "humanOpens", "machineOpens") },
  { id: "clicked", title: "Clicks", parts: people("clicks", "humanClicks", "machineClicks") },
  { id: "unsubscribed", title: "Unsubscribes", parts: [{ name: "Unsubscribed", css: "bad", of: (point) => point.unsubscribes }] },
];

function figures({ totals: of, rates }) {
  const base = rates.of === "delivered" ? "of those delivered" : "of those sent";
  return {
    sent: figure("sent", "Sent", number(of.sent), null, `${number(of.bounced)} bounced, ${rate(rates.bounceRate)}`),
    delivered: figure("delivered", "Delivered", number(of.delivered), null, of.delivered === 0 ? "No delivery reported yet" : `${number(of.complained)} marked as spam, ${rate(rates.complaintRate)}`),
    opened: figure("opened", "Opened by people", number(of.uniqueHumanOpens), rate(rates.humanOpenRate), `${number(of.uniqueOpens)} with machines, ${rate(rates.openRate)} ${base}`),
    clicked: figure("clicked", "Clicked by people", number(of.uniqueHumanClicks), rate(rates.humanClickRate), `${number(of.uniqueClicks)} with machines, ${rate(rates.clickRate)}${rates.humanClickToOpenRate === null ? "" : `; ${rate(rates.humanClickToOpenRate)} of openers`}`),
    unsubscribed: figure("unsubscribed", "Unsubscribed", number(of.unsubscribes), rate(rates.unsubscribeRate), base),
  };
}

/** `of` has totals and rates, `stats` the points. */
export function overview(of, stats, hourly, signal) {
  const known = figures(of);
  const times = stats.points.map((point) => Date.parse(point.start) / 1000);
  const place = h("div", { class: "over-time" });
  let drawn = new AbortController();
  signal.addEventListener("abort", () => drawn.abort());
  const buttons = VIEWS.map((view) => h("button", { type: "button", class: "choice", "aria-pressed": "false", "aria-label": `Show ${view.title.toLowerCase()} over time`, onclick: () => show(view) }));
  const show = (view) => {
    drawn.abort();
    drawn = new AbortController();
    buttons.forEach((button, at) => {
      button.setAttribute("aria-pressed", String(VIEWS[at] === view));
      button.closest(".figure")?.classList.toggle("chosen", VIEWS[at] === view);
    });
    const parts = view.parts.map((part) => ({ ...part, values: stats.points.map(part.of) }));
    place.replaceChildren(
      h("div", { class: "card-head" }, h("h2", {}, `${view.title} by ${hourly ? "hour" : "day"}`)),
      chart(`${view.title} by ${hourly ? "hour" : "day"}`, times, parts, hourly, drawn.signal));
  };
  const whole = h("section", { class: "card overview" },
    h("dl", { class: "figures", "aria-label": "Totals" }, VIEWS.map((view, at) => {
      known[view.id].querySelector("dt").append(buttons[at]);
      return known[view.id];
    })),
    place,
    h("div", { class: "foot" }, numbers(stats, hourly),
      h("p", { class: "note" }, `Every event, repeats included, by the clocks of ${stats.timeZone}. `, h("em", {}, "Unsure"), " is what may be a person or a machine.")));
  show(VIEWS[2]);
  return whole;
}

function numbers(stats, hourly) {
  const columns = VIEWS.flatMap((view) => view.parts.map((part) => ({ text: view.parts.length === 3 ? `${view.title}: ${part.name.toLowerCase()}` : part.name, number: true, of: part.of })));
  const rows = stats.points.map((point) => [hourly ? shortTime(point.start) : date(point.start), ...columns.map((column) => number(column.of(point)))]);
  return h("details", {}, h("summary", {}, "Show as a table"), table("Numbers over time", [{ text: hourly ? "Hour" : "Day" }, ...columns], rows));
}
