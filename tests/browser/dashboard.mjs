// The dashboard in a real Chromium, as a person uses it. Started by tests/tests/browser.rs, which made
// the data; says one line for each thing that holds and ends with an error at the first that does not.

import assert from "node:assert/strict";
import { readFile, mkdir } from "node:fs/promises";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const { origin, key, large, small, contact, send, browser: program } = JSON.parse(process.argv[2]);
/** A folder for screenshots, if they are wanted. */
const pictures = process.env.KRAITER_PICTURES;
const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const browser = await chromium.launch({
  executablePath: program,
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, timezoneId: "Europe/Berlin", locale: "en-GB" });
const page = await context.newPage();

const asked = [];
const wrong = [];
let refusals = 0;
page.on("request", (request) => asked.push(request.url()));
page.on("pageerror", (error) => wrong.push(error.message));
page.on("console", (message) => {
  if (message.type() !== "error") return;
  if (/ 40[14] /.test(message.text()) && refusals > 0) refusals -= 1;
  else wrong.push(message.text());
});

const api = async (path) => {
  const answer = await fetch(origin + path, { headers: { authorization: `Bearer ${key}` } });
  assert.equal(answer.status, 200, path);
  return answer.json();
};
const whole = (value) => new Intl.NumberFormat("en-US").format(value);
const percent = (value) => `${(value * 100).toFixed(2)}%`;
const open = async (hash) => {
  await page.goto(`${origin}/dashboard#/${hash}`);
  await page.waitForSelector("main:not([aria-busy]) h1");
};
const picture = async (name) => {
  if (pictures) {
    await mkdir(pictures, { recursive: true });
    await page.screenshot({ path: `${pictures}/${name}.png` });
  }
};
const accessible = async (where) => {
  // By the browser's debugger, which the page's own policy does not bind.
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  assert.deepEqual(serious.map(({ id, nodes }) => [id, nodes.map((node) => node.html)]), [], where);
};
const holds = async (what, check) => {
  await check();
  console.log(`  holds: ${what}`);
};

try {
  await holds("a wrong key is refused with a reason, and nothing is kept", async () => {
    await page.goto(`${origin}/dashboard`);
    await accessible("sign in");
    await picture("sign-in");
    refusals = 1;
    await page.getByLabel("API key").fill("krt_wrong");
    await page.keyboard.press("Enter");
    await page.getByText("No such API key").waitFor();
    assert.equal(await page.evaluate(() => sessionStorage.length + localStorage.length), 0);
  });

  await holds("the keyboard alone signs in, opens a campaign and changes the chart", async () => {
    await page.getByLabel("API key").fill("");
    await page.keyboard.type(key);
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Campaigns" }).waitFor();
    const focused = () => page.evaluate(() => document.activeElement.textContent);
    const tabTo = async (text) => {
      for (let presses = 0; presses < 40; presses += 1) {
        await page.keyboard.press("Tab");
        if ((await focused()) === text) return;
      }
      assert.fail(`Tab never reaches ${text}`);
    };
    await tabTo(large);
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: large }).waitFor();
    await tabTo("Clicks");
    await page.keyboard.press("Enter");
    await page.locator('.chart[aria-label^="Clicks"] canvas').waitFor();
  });

  await holds("campaigns are listed with the API's numbers", async () => {
    await open("campaigns");
    for (const { name, totals, rates } of (await api("/campaigns")).items) {
      const row = await page.getByRole("row").filter({ has: page.getByRole("link", { name, exact: true }) }).innerText();
      for (const text of [whole(totals.sent), whole(totals.uniqueHumanOpens), percent(rates.humanOpenRate), percent(rates.humanClickRate)]) {
        assert.ok(row.includes(text), `${text} in ${row}`);
      }
    }
    await accessible("campaigns");
    await picture("campaigns");
  });

  const requestsOf = async (campaign) => {
    await open("live");
    asked.length = 0;
    await open(`campaigns/${campaign}`);
    await page.locator(".chart canvas").waitFor();
    return asked.filter((url) => !url.includes("/dashboard") && !url.includes("/events")).map((url) => new URL(url).pathname.split("/")[1]).sort();
  };

  await holds("a large campaign's page asks for no more than a small one's", async () => {
    const questions = await requestsOf(small);
    assert.deepEqual(await requestsOf(large), questions);
    assert.equal(questions.length, 4, questions.join());
  });

  await holds("a campaign's page shows what the API says", async () => {
    const { totals, rates } = await api(`/campaigns/${large}`);
    const figure = (name) => page.locator(`[data-figure=${name}]`).innerText();
    for (const [name, ...texts] of [
      ["sent", whole(totals.sent), whole(totals.bounced)],
      ["delivered", whole(totals.delivered)],
      ["opened", whole(totals.uniqueHumanOpens), percent(rates.humanOpenRate), whole(totals.uniqueOpens), percent(rates.openRate)],
      ["clicked", whole(totals.uniqueHumanClicks), percent(rates.humanClickRate), whole(totals.uniqueClicks), percent(rates.clickRate)],
      ["unsubscribed", whole(totals.unsubscribes)],
    ]) {
      const shown = await figure(name);
      for (const text of texts) assert.ok(shown.includes(text), `${name}: ${text} in ${shown}`);
    }
    const links = (await api(`/stats/links?campaign=${large}&limit=10`)).items;
    const shown = await page.locator("[data-list=links] li .number").allInnerTexts();
    assert.deepEqual(shown, links.map(({ clicks }) => whole(clicks)));
    await page.getByText("The same as a table").click();
    const rows = await page.locator("details tbody tr").evaluateAll((all) => all.map((row) => [...row.cells].map((cell) => cell.textContent)));
    const sum = (at) => rows.reduce((total, row) => total + Number(row[at].replaceAll(",", "")), 0);
    assert.deepEqual([1, 2, 3, 4, 5, 6].map(sum), [totals.humanOpens, totals.machineOpens, totals.humanClicks, totals.machineClicks, totals.sent, totals.delivered]);
    const clients = await api(`/stats/clients?campaign=${large}`);
    const first = await page.locator('[data-list="mail client"] li .number').first().innerText();
    assert.equal(first, whole(clients.mailClients[0].opens));
    await page.getByText("The same as a table").click();
    await accessible("campaign");
    await picture("campaign");
  });

  await holds("a contact is found by its address and shows its timeline", async () => {
    await page.getByRole("searchbox").fill(contact);
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: contact }).waitFor();
    const events = (await api(`/contacts/${contact}/events?limit=50`)).items;
    assert.deepEqual(await page.locator(".timeline li").evaluateAll((all) => all.map((item) => item.dataset.id)), events.map(({ id }) => id));
    await accessible("contact");
    await picture("contact");
  });

  await holds("a send shows every open and click with verdict and reasons", async () => {
    await open(`sends/${send}`);
    const { opens, clicks } = await api(`/sends/${send}`);
    const all = [...opens, ...clicks];
    assert.ok(all.length > 1 && all.some(({ reasons }) => reasons.length > 0));
    const said = { human: "Person", machine: "Machine", suspect: "Unsure" };
    for (const event of all) {
      const item = await page.locator(`[data-id="${event.id}"]`).innerText();
      assert.ok(item.includes(said[event.verdict]), item);
      for (const reason of event.reasons) assert.ok(item.includes(reason.replaceAll("_", " ")), `${reason} in ${item}`);
    }
    await accessible("send");
    await picture("send");
  });

  await holds("an event that arrives appears in the live view by itself", async () => {
    await open("live");
    const before = await page.locator(".timeline li").first().getAttribute("data-id");
    const fresh = { sendId: "snd-live", contact: "live@example.com", campaign: small };
    const answer = await fetch(`${origin}/sends`, { method: "POST", headers: { authorization: `Bearer ${key}`, "content-type": "application/json" }, body: JSON.stringify(fresh) });
    assert.equal(answer.status, 200);
    await page.locator(".timeline li", { hasText: "snd-live" }).waitFor();
    assert.notEqual(await page.locator(".timeline li").first().getAttribute("data-id"), before);
    await accessible("live");
    await picture("live");
  });

  await holds("dark mode is dark, and readable", async () => {
    await page.emulateMedia({ colorScheme: "dark" });
    await open(`campaigns/${large}`);
    await page.locator(".chart canvas").waitFor();
    const light = await page.evaluate(() => getComputedStyle(document.body).backgroundColor.match(/\d+/g).map(Number));
    assert.ok(light.every((part) => part < 40), String(light));
    await accessible("dark");
    await picture("dark");
    await page.emulateMedia({ colorScheme: "light" });
  });

  await holds("at the width of a phone nothing is wider than the page", async () => {
    await page.setViewportSize({ width: 375, height: 780 });
    for (const hash of ["campaigns", `campaigns/${large}`, `contacts/${contact}`, `sends/${send}`, "live"]) {
      await open(hash);
      await page.waitForTimeout(200);
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), hash);
      if (hash === `campaigns/${large}`) await picture("phone");
    }
    await page.setViewportSize({ width: 1280, height: 900 });
  });

  await holds("what does not exist is said so, and signing out forgets the key", async () => {
    refusals = 1;
    await open("sends/snd-none");
    await page.getByText('No send "snd-none"').waitFor();
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByLabel("API key").waitFor();
    assert.equal(await page.evaluate(() => sessionStorage.length), 0);
  });

  assert.deepEqual(wrong, [], "errors in the console");
  assert.deepEqual(asked.filter((url) => !url.startsWith(`${origin}/`)), [], "requests to others");
} catch (error) {
  if (wrong.length) console.error("console:", wrong);
  await picture("failed");
  throw error;
} finally {
  await browser.close();
}
