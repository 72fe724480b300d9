// A mail with the clicks on its links. The mail is foreign: it stands in a sandboxed frame that runs no
// script, whose policy lets nothing be loaded, and what would ask for something is taken out before.

import { h } from "./dom.js";
import { bare, counted, number, part } from "./format.js";

const MARK = "#kraiter-link-";
/** Elements that load, run or refer to something. */
const UNWANTED = "script, link, meta, base, iframe, frame, object, embed, applet, audio, video, source, track, image, use, feImage, portal, template";
/** Looks for what the mail leaves open, weaker than anything that it says itself. */
const LOOKS = `:where(html) { color-scheme: light; background: #fff; overflow: hidden; }
:where(body) { margin: 16px; font: 15px/1.5 system-ui, sans-serif; color: #16181d; overflow-wrap: anywhere; }
:where(a) { color: #1a56db; text-decoration: underline; }
.kraiter-image { display: inline-flex; align-items: center; justify-content: center; max-width: 100%; min-width: 40px; min-height: 28px; padding: 4px 8px; box-sizing: border-box; overflow: hidden; vertical-align: middle; background: #eef0f3; color: #4b5563; font: 12px/1.3 system-ui, sans-serif; text-align: center; text-decoration: none; border-radius: 3px; }`;
/** Levels of heat of a badge. */
const LEVELS = 4;

export function clickMap(preview, totals) {
  const frame = h("iframe", { class: "mail-frame", sandbox: "allow-same-origin", src: "/dashboard/frame.html", title: "The mail as it was sent", tabindex: "-1", referrerpolicy: "no-referrer" });
  const badges = h("div", { class: "badges" });
  const sheet = h("div", { class: "sheet" }, frame, badges);
  const hidden = h("p", { class: "note" });
  frame.addEventListener("load", () => {
    if (frame.dataset.filled) return;
    frame.dataset.filled = "yes";
    fill(frame, preview.html);
    const place = () => lay(frame, sheet, badges, preview, hidden);
    place();
    new ResizeObserver(place).observe(sheet.parentElement);
  });
  const clicks = preview.links.reduce((sum, link) => sum + link.clicks, 0);
  return h("div", { class: "click-map" },
    h("p", { class: "note" }, "Beside each link: clicks by people, and of all. ", `${counted(clicks, "click")} on ${counted(preview.links.length, "link")}`, clicks < totals.clicks && `; ${number(totals.clicks - clicks)} more on links that this version of the mail does not have`, ". Pictures are not loaded."),
    h("div", { class: "paper", tabindex: "0", role: "region", "aria-label": "The mail with its clicks" }, sheet), hidden);
}

/** Parsed where scripts do not run and nothing is loaded, cleaned, and only then shown. */
function fill(frame, html) {
  const target = frame.contentDocument;
  const mail = new frame.contentWindow.DOMParser().parseFromString(quiet(html), "text/html");
  for (const element of mail.querySelectorAll(UNWANTED)) element.remove();
  for (const style of mail.querySelectorAll("style")) style.textContent = harmless(style.textContent);
  for (const element of mail.querySelectorAll("*")) {
    for (const { name, value } of [...element.attributes]) {
      if (name === "href" && value.startsWith(MARK)) element.setAttribute("data-kraiter-link", value.slice(MARK.length));
      if (/^on|^(href|xlink:href|background|srcset|ping|action|formaction|autofocus|poster|target|contenteditable|tabindex)$/i.test(name)) element.removeAttribute(name);
      else if (name === "style") element.setAttribute("style", harmless(value));
    }
  }
  for (const image of mail.querySelectorAll("img, input[type=image]")) {
    if (!/^data:image\//i.test(image.getAttribute("src") || "")) image.replaceWith(...standIn(mail, image));
  }
  const looks = mail.createElement("style");
  looks.textContent = LOOKS;
  mail.head.prepend(looks);
  target.replaceChild(target.adoptNode(mail.documentElement), target.documentElement);
}

/** Without most of what the frame would refuse, and complain about, as soon as it is read. */
function quiet(html) {
  return html
    .replace(/<script\b[^>]*>[\s\S]*?<\/script\s*>|<base\b[^>]*>/gi, "")
    .replace(/<[a-z][^<>]*>/gi, (tag) => tag.replace(/\son[a-z]+\s*=\s*("[^"]*"|'[^']*'|[^\s>]*)/gi, ""));
}

/** CSS that asks for nothing. The frame's policy would refuse it all the same. */
function harmless(css) {
  return css.replace(/@import[^;]*;?/gi, "").replace(/url\(\s*(?!["']?data:)[^)]*\)/gi, "none").replace(/(-webkit-)?image-set\([^)]*\)/gi, "none");
}

/** As large as the picture would be, with its words. */
function standIn(mail, image) {
  const [width, height] = ["width", "height"].map((name) => image.getAttribute(name) || "");
  if (width === "1" || height === "1" || width === "0" || height === "0") return [];
  const place = mail.createElement("span");
  place.className = "kraiter-image";
  place.setAttribute("style", image.getAttribute("style") || "");
  const size = (value) => (/^\d+$/.test(value) ? `${value}px` : /^\d+%$/.test(value) ? value : "");
  if (size(width) && !place.style.width) place.style.width = size(width);
  if (size(height) && !place.style.height) place.style.height = size(height);
  if (place.style.display === "block") place.style.display = "flex";
  place.textContent = image.getAttribute("alt") || "Picture";
  return [place];
}

/** Makes the frame as large as its mail and puts the badges where its links are. */
function lay(frame, sheet, badges, preview, hidden) {
  const mail = frame.contentDocument;
  if (!mail?.body) return;
  frame.style.width = "100%";
  frame.style.height = "0";
  const { scrollWidth } = mail.documentElement;
  frame.style.width = `${Math.max(scrollWidth, sheet.parentElement.clientWidth)}px`;
  frame.style.height = `${Math.max(80, mail.documentElement.scrollHeight)}px`;
  const most = Math.max(1, ...preview.links.map((link) => link.clicks));
  const seen = new Set();
  const made = [];
  for (const link of preview.links) {
    for (const element of mail.querySelectorAll(`[data-kraiter-link="${link.index}"]`)) {
      const box = [...element.getClientRects(), ...[...element.children].map((child) => child.getBoundingClientRect())].sort((a, b) => b.width * b.height - a.width * a.height)[0];
      if (!box || box.width === 0 || box.height === 0) continue;
      seen.add(link.index);
      made.push(...badge(link, box, most, preview));
    }
  }
  badges.replaceChildren(...made);
  const unseen = preview.links.filter((link) => !seen.has(link.index) && link.clicks > 0);
  hidden.textContent = unseen.length ? `Not to be seen here, as in parts for Outlook alone: ${unseen.map((link) => `${bare(link.url)} (${number(link.humanClicks)} / ${number(link.clicks)})`).join(", ")}.` : "";
}

function badge(link, box, most, preview) {
  const level = link.clicks === 0 ? 0 : Math.max(1, Math.ceil((link.clicks / most) * LEVELS));
  const all = preview.links.reduce((sum, one) => sum + one.clicks, 0);
  const words = `${bare(link.url)}: ${counted(link.clicks, "click")}, ${number(link.humanClicks)} by people, ${part(link.clicks, all)} of all clicks on this mail`;
  const frame = h("span", { class: `spot heat-${level}` });
  Object.assign(frame.style, { left: `${box.left}px`, top: `${box.top}px`, width: `${box.width}px`, height: `${box.height}px` });
  const label = h("span", { class: `badge heat-${level}`, "data-link": link.index, title: words }, h("b", {}, number(link.humanClicks)), h("span", {}, `/ ${number(link.clicks)}`), h("span", { class: "hidden" }, words));
  Object.assign(label.style, { left: `${box.right}px`, top: `${box.top}px` });
  return [frame, label];
}
