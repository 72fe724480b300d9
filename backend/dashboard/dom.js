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

/** A bar as long as its share, from 0 to 1. */
export function bar(share) {
  const fill = h("span", { class: "fill" });
  fill.style.width = `${Math.max(0, Math.min(1, share || 0)) * 100}%`;
  return h("span", { class: "bar", "aria-hidden": "true" }, fill);
}

export function empty(title, ...lines) {
  return h("div", { class: "empty" }, h("h2", {}, title), lines.map((line) => h("p", {}, line)));
}

export function code(text) {
  return h("pre", { tabindex: "0" }, h("code", {}, text));
}

/** A table that scrolls by itself where it is wider than the page. */
export function table(caption, heads, rows) {
  const cell = (name, head, content) =>
    h(name, { class: head.number && "number", scope: name === "th" ? "col" : undefined }, content);
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    h("table", {},
      h("caption", { class: "hidden" }, caption),
      h("thead", {}, h("tr", {}, heads.map((head) => cell("th", head, head.text)))),
      h("tbody", {}, rows.map((row) => h("tr", {}, row.map((content, at) => cell("td", heads[at], content)))))));
}
