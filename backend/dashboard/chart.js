// Lines over time. Colours are those of the style sheet, so that they follow the colour scheme.

import uPlot from "./vendor/uplot.js";
import { h } from "./dom.js";
import { number } from "./format.js";

const HEIGHT = 260;
const DAY = 86_400;

function tickTime(seconds, step) {
  const at = new Date(seconds * 1000);
  const withinDay = step < DAY && at.getHours() + at.getMinutes() > 0;
  return at.toLocaleString("en-GB", withinDay ? { hour: "2-digit", minute: "2-digit" } : { day: "numeric", month: "short" });
}

/** `lines`: [{ name, colour: "--human", values }]; `times` in seconds. It ends with `signal`. */
export function chart(label, times, lines, hourly, signal) {
  const place = h("div", { class: "chart", role: "img", "aria-label": label });
  const dark = matchMedia("(prefers-color-scheme: dark)");
  let plot;
  const draw = () => {
    plot?.destroy();
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const axis = { stroke: colour("--muted"), font: "12px system-ui, sans-serif", ticks: { show: false }, grid: { stroke: colour("--line"), width: 1 } };
    const series = lines.map((line) => ({
      label: line.name,
      stroke: colour(line.colour),
      fill: `color-mix(in srgb, ${colour(line.colour)} 9%, transparent)`,
      width: 2,
      points: { show: times.length < 3 },
      value: (_, value) => (value === null ? "–" : number(value)),
    }));
    plot = new uPlot({
      width: Math.max(260, place.clientWidth),
      height: HEIGHT,
      cursor: { drag: { x: false, y: false }, points: { size: 8 } },
      scales: { y: { range: (_, low, high) => [0, Math.max(4, high * 1.08)] } },
      axes: [{ ...axis, grid: { show: false }, space: 70, values: (_, ticks, __, ___, step) => ticks.map((tick) => tickTime(tick, step)) }, { ...axis, size: 56, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6, 1e7, 1e8], values: (_, ticks) => ticks.map(number) }],
      series: [{ label: "Time", value: hourly ? "{D} {MMM}, {HH}:{mm}" : "{D} {MMM} {YYYY}" }, ...series],
    }, [times, ...lines.map((line) => line.values)], place);
  };
  const resize = new ResizeObserver(() => plot?.setSize({ width: Math.max(260, place.clientWidth), height: HEIGHT }));
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
  return place;
}
