// Bars over time, one part on the other. Colours are those of the style sheet, so that they follow the
// colour scheme.

import uPlot from "./vendor/uplot.js";
import { h } from "./dom.js";
import { date, number, shortTime } from "./format.js";

const HEIGHT = 240;
const NARROWEST = 240;
const DAY = 86_400;
const STEPS = [1, 2, 5].flatMap((step) => Array.from({ length: 9 }, (_, power) => step * 10 ** power)).sort((a, b) => a - b);

function tickTime(seconds, step) {
  const at = new Date(seconds * 1000);
  const withinDay = step < DAY && at.getHours() + at.getMinutes() > 0;
  return at.toLocaleString("en-GB", withinDay ? { hour: "2-digit", minute: "2-digit" } : { day: "numeric", month: "short" });
}

/** What stands above the bars of a moment. */
function tooltip(parts, times, hourly) {
  const place = h("div", { class: "tooltip", "aria-hidden": "true" });
  return {
    place,
    show(plot) {
      const at = plot.cursor.idx;
      place.classList.toggle("shown", at !== null && at !== undefined);
      if (at === null || at === undefined) return;
      const start = new Date(times[at] * 1000).toISOString();
      place.replaceChildren(h("p", {}, hourly ? shortTime(start) : date(start)),
        h("dl", {}, parts.map((part) => h("div", {}, h("dt", { class: `dot ${part.css}` }, part.name), h("dd", {}, number(part.values[at]))))));
      const left = plot.bbox.left / devicePixelRatio + plot.valToPos(times[at], "x");
      const room = plot.width - place.offsetWidth;
      place.style.transform = `translate(${Math.max(0, Math.min(room, left - place.offsetWidth / 2))}px, -8px)`;
    },
  };
}

/** `parts`: [{ name, css, values }], the lowest first; `times` in seconds. It ends with `signal`. */
export function chart(label, times, parts, hourly, signal) {
  const place = h("div", { class: "plot" });
  const tip = tooltip(parts, times, hourly);
  const legend = h("ul", { class: "legend" }, parts.map((part) => h("li", { class: `dot ${part.css}` }, part.name)));
  const whole = h("div", { class: "chart", role: "img", "aria-label": label }, legend, tip.place, place);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  // Each reaches from the ground to its top; those that reach higher are drawn first.
  const tops = parts.map((_, upTo) => times.map((_, at) => parts.slice(0, upTo + 1).reduce((sum, part) => sum + (part.values[at] || 0), 0))).reverse();
  let plot;
  const draw = () => {
    plot?.destroy();
    const style = getComputedStyle(whole);
    const colour = (name) => style.getPropertyValue(name).trim();
    const bars = uPlot.paths.bars({ size: [0.72, 28], radius: 0.12 });
    const axis = { stroke: colour("--muted"), font: `12px ${style.fontFamily}`, ticks: { show: false } };
    const step = times.length > 1 ? times[1] - times[0] : hourly ? 3600 : DAY;
    plot = new uPlot({
      width: Math.max(NARROWEST, place.clientWidth),
      height: HEIGHT,
      padding: [12, 4, 0, 0],
      legend: { show: false },
      cursor: { drag: { x: false, y: false }, points: { show: false }, y: false },
      scales: { x: { range: () => [times[0] - step * 0.6, times[times.length - 1] + step * 0.6] }, y: { range: (_, __, high) => [0, Math.max(4, high * 1.04)] } },
      axes: [
        { ...axis, grid: { show: false }, size: 32, space: 70, values: (_, ticks, __, ___, width) => ticks.map((tick) => tickTime(tick, width)) },
        { ...axis, grid: { stroke: colour("--line"), width: 1 }, size: (_, values) => 16 + 7 * Math.max(1, ...(values || []).map((value) => String(value).length)), incrs: STEPS, space: 44, values: (_, ticks) => ticks.map(number) },
      ],
      series: [{}, ...[...parts].reverse().map((part) => ({ label: part.name, fill: colour(`--${part.css}`), width: 0, paths: bars, points: { show: false } }))],
      hooks: { setCursor: [tip.show] },
    }, [times, ...tops], place);
  };
  const resize = new ResizeObserver(() => plot?.setSize({ width: Math.max(NARROWEST, place.clientWidth), height: HEIGHT }));
  requestAnimationFrame(() => {
    if (signal.aborted) return;
    draw();
    resize.observe(place);
    dark.addEventListener("change", draw, { signal });
  });
  signal.addEventListener("abort", () => {
    resize.disconnect();
    plot?.destroy();
  });
  return whole;
}
