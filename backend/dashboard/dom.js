// Elements from data. Text is always text: nothing from the API is ever read as HTML.

export function h(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const SVG = "http://www.w3.org/2000/svg";
/** Lines on a field of 16 by 16. */
const ICONS = {
  sent: "M14 2 7 9M14 2 9.500 14 7 9 2 6.500z",
  delivered: "M2.500 8.500 6 12l7.500-8",
  opened: "M1.500 8S4 3.500 8 3.500 14.500 8 14.500 8 12 12.500 8 12.500 1.500 8 1.500 8zM8 10a2 2 0 1 0 0-4 2 2 0 0 0 0 4z",
  clicked: "M6 6l8 3-3.500 1.500L9 14zM6 1v2M1 6h2M2.500 2.500 4 4",
  bounced: "M13.500 6.500H6a3.500 3.500 0 0 0 0 7h3M10.500 3l3.500 3.500-3.500 3.500",
  complained: "M3.500 14.500v-12M3.500 3h9l-2 3.500 2 3.500h-9",
  unsubscribed: "M8 14.500a6.500 6.500 0 1 0 0-13 6.500 6.500 0 0 0 0 13zM5 8h6",
  search: "M7 12a5 5 0 1 0 0-10 5 5 0 0 0 0 10zM10.700 10.700 14 14",
  pause: "M5.500 3v10M10.500 3v10",
  play: "M5 3l8 5-8 5z",
  copy: "M5.500 5.500h8v8h-8zM10.500 5V2.500h-8v8H5",
  back: "M9.500 3.500 5 8l4.500 4.500",
};

export function icon(name) {
  const image = document.createElementNS(SVG, "svg");
  for (const [key, value] of Object.entries({ viewBox: "0 0 16 16", width: "16", height: "16", "aria-hidden": "true", class: "icon" })) image.setAttribute(key, value);
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[name] || "");
  image.append(path);
  return image;
}

/** Parts of a whole side by side: `[[class, value]]`. */
export function bar(whole, ...parts) {
  return h("span", { class: "bar", "aria-hidden": "true" }, parts.map(([name, value]) => {
    const part = h("span", { class: name });
    part.style.width = `${Math.max(0, Math.min(1, whole > 0 ? value / whole : 0)) * 100}%`;
    return part;
  }));
}

/** What to say where there is nothing, and what to do about it. */
export function empty(title, text, ...more) {
  return h("div", { class: "empty" }, h("h2", {}, title), h("p", {}, text), more);
}

export function code(text) {
  const copy = h("button", { class: "copy", type: "button", "aria-label": "Copy", onclick: async () => {
    await navigator.clipboard.writeText(text);
    copy.classList.add("done");
    setTimeout(() => copy.classList.remove("done"), 1500);
  } }, icon("copy"));
  return h("div", { class: "code" }, h("pre", { tabindex: "0" }, h("code", {}, text)), navigator.clipboard && copy);
}

export function card(title, aside, ...content) {
  return h("section", { class: "card" }, h("div", { class: "card-head" }, h("h2", {}, title), aside && h("span", { class: "muted" }, aside)), content);
}

/** A number with its name, its part of a whole and a word about it. */
export function figure(id, title, value, part, note) {
  return h("div", { class: "figure", "data-figure": id }, h("dt", {}, title),
    h("dd", {}, h("strong", {}, value), part && h("span", { class: "rate" }, part)), note && h("dd", { class: "note" }, note));
}

/** One of several, chosen by buttons: `choices` are `[name, content]`, and `show` is given the content. */
export function segments(label, choices, show) {
  const buttons = choices.map(([name, content], at) => h("button", { type: "button", "aria-pressed": String(at === 0), onclick: () => {
    buttons.forEach((button, other) => button.setAttribute("aria-pressed", String(other === at)));
    show(content);
  } }, name));
  return h("div", { class: "segments", role: "group", "aria-label": label }, buttons);
}

/** A table that scrolls by itself where it is wider than the page; with `cards`, rows are cards on a phone. */
export function table(caption, heads, rows, { cards = false } = {}) {
  const cell = (name, head, content) =>
    h(name, { class: head.number && "number", scope: name === "th" ? "col" : undefined, "data-label": name === "td" ? head.text : undefined }, content);
  return h("div", { class: cards ? "scroll cards" : "scroll", tabindex: "0", role: "region", "aria-label": caption },
    h("table", {},
      h("caption", { class: "hidden" }, caption),
      h("thead", {}, h("tr", {}, heads.map((head) => cell("th", head, head.text)))),
      h("tbody", {}, rows.map((row) => h("tr", {}, row.map((content, at) => cell("td", heads[at], content)))))));
}
