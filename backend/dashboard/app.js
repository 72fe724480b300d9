// The frame around the pages: who is signed in, which page the address names, what went wrong.

import { get, signIn, signOut, signedIn } from "./api.js";
import { empty, h, icon } from "./dom.js";
import campaign from "./pages/campaign.js";
import campaigns from "./pages/campaigns.js";
import contact from "./pages/contact.js";
import live from "./pages/live.js";
import send from "./pages/send.js";
import signInPage from "./pages/sign-in.js";

const top = document.getElementById("top");
const main = document.getElementById("main");
const pages = { campaigns, live, contacts: contact, sends: send };
let leaving = new AbortController();

function bar(current) {
  const link = (page, text) =>
    h("a", { href: `#/${page}`, "aria-current": current === page && "page" }, text);
  const find = h("form", { class: "find", role: "search", onsubmit: search }, icon("search"),
    h("input", { name: "find", type: "search", placeholder: "Find a contact or send", "aria-label": "Find a contact by address, or a send by id", "aria-keyshortcuts": "/", autocomplete: "off", spellcheck: "false" }),
    h("kbd", { "aria-hidden": "true" }, "/"));
  top.replaceChildren(
    h("a", { class: "brand", href: "#/campaigns" }, h("img", { src: "/dashboard/icon.svg", alt: "", width: "22", height: "22" }), "Kraiter"),
    h("nav", { "aria-label": "Pages" }, link("campaigns", "Campaigns"), link("live", "Live")),
    find,
    h("button", { class: "quiet", type: "button", onclick: goodbye }, "Sign out"));
}

/** "/" goes to the search from wherever nothing is being written. */
function shortcut(event) {
  const input = top.querySelector("input");
  if (!input) return;
  if (event.key === "Escape" && document.activeElement === input) input.blur();
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea")) return;
  event.preventDefault();
  input.focus();
  input.select();
}

function search(event) {
  event.preventDefault();
  const text = new FormData(event.target).get("find").trim();
  if (!text) return;
  location.hash = `#/${text.includes("@") ? "contacts" : "sends"}/${encodeURIComponent(text)}`;
}

/** Whoever signs in next begins at the beginning. */
function goodbye() {
  history.replaceState(null, "", "#/campaigns");
  leave();
}

function leave() {
  signOut();
  show();
}

async function enter(key) {
  signIn(key);
  try {
    await get("/campaigns", { limit: 1 });
  } catch (error) {
    signOut();
    throw error;
  }
  show();
}

/** `moved`: somebody went to another page, and the keyboard goes along. */
async function show(moved) {
  leaving.abort();
  leaving = new AbortController();
  const { signal } = leaving;
  if (!signedIn()) {
    top.replaceChildren();
    document.title = "Sign in · Kraiter Tracking";
    main.replaceChildren(signInPage(enter));
    main.querySelector("input").focus();
    return;
  }
  const [page = "campaigns", ...rest] = location.hash.replace(/^#\/?/, "").split("/").filter(Boolean);
  const name = rest.length ? decodeURIComponent(rest.join("/")) : null;
  bar(page);
  main.setAttribute("aria-busy", "true");
  try {
    const render = page === "campaigns" && name !== null ? campaign : pages[page];
    const content = render ? await render({ name, signal }) : unknown();
    if (signal.aborted) return;
    document.title = `${content.dataset.title || "Not found"} · Kraiter Tracking`;
    main.replaceChildren(content);
    window.scrollTo(0, 0);
    if (moved instanceof Event) main.focus({ preventScroll: true });
  } catch (error) {
    if (!signal.aborted) failed(error);
  } finally {
    if (!signal.aborted) main.removeAttribute("aria-busy");
  }
}

function unknown() {
  return h("section", {}, h("h1", { class: "hidden" }, "Not found"), h("div", { class: "card" }, empty("There is no such page", "Campaigns, live events, contacts and sends have one each.", h("p", {}, h("a", { href: "#/campaigns" }, "To your campaigns")))));
}

function failed(error) {
  if (error.status === 401) return leave();
  document.title = "Kraiter Tracking";
  const again = h("button", { type: "button", onclick: () => show() }, "Try again");
  main.replaceChildren(h("section", {}, h("div", { class: "card empty", role: "alert" },
    h("h1", {}, error.status === 404 ? "Not found" : "That did not work"), h("p", {}, error.message), again)));
}

document.querySelector("[data-skip]").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
window.addEventListener("hashchange", show);
window.addEventListener("keydown", shortcut);
window.addEventListener("kraiter-refused", leave);
show();
