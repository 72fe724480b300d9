// The dashboard in a real Chromium, as a person uses it. Started by tests/tests/browser.rs, which made
// the data; says one line for each thing that holds and ends with an error at the first that does not.

import assert from "node:assert/strict";
import { mkdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import net from "node:net";
import { chromium } from "playwright-core";

const job = JSON.parse(process.argv[2]);
const { key } = job;

/** The way to the service, which can be cut. */
const way = { open: true, sockets: new Set() };
const service = new URL(job.origin);
const door = net.createServer((near) => {
  const far = net.connect(service.port, service.hostname);
  for (const socket of [near, far]) {
    way.sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => [near, far].forEach((one) => one.destroy()) || way.sockets.delete(socket));
  }
  if (!way.open) return near.destroy();
  near.pipe(far).pipe(near);
});
await new Promise((ready) => door.listen(0, "127.0.0.1", ready));
const origin = `http://127.0.0.1:${door.address().port}`;
const cut = () => {
  way.open = false;
  for (const socket of way.sockets) socket.destroy();
};
/** A folder for pictures, if they are wanted: docs/pictures has them for the README. */
const pictures = process.env.KRAITER_PICTURES;
const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const browser = await chromium.launch({
  executablePath: job.browser,
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, timezoneId: "Europe/Berlin", locale: "en-GB" });
const page = await context.newPage();

const asked = [];
const wrong = [];
const bytes = new Map();
let refusals = 0;
page.on("request", (request) => asked.push(request.url()));
page.on("response", async (response) => bytes.set(response.url(), (await response.body().catch(() => "")).length));
page.on("pageerror", (error) => wrong.push(error.message));
page.on("console", (message) => {
  if (message.type() !== "error") return;
  if (/ 40[14] /.test(message.text()) && refusals > 0) refusals -= 1;
  else wrong.push(message.text());
});

const ask = async (path, options = {}) => fetch(job.origin + path, { ...options, headers: { authorization: `Bearer ${key}`, ...options.headers } });
const api = async (path) => {
  const answer = await ask(path);
  assert.equal(answer.status, 200, path);
  return answer.json();
};
const register = async (body) => {
  const answer = await ask("/sends", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
  assert.equal(answer.status, 200);
};
const run = Date.now().toString(36);
const named = (what) => `snd-${what}-${run}`;
const whole = (value) => new Intl.NumberFormat("en-US").format(value);
const percent = (value) => `${(value * 100).toFixed(2)}%`;
const open = async (hash) => {
  await page.goto(`${origin}/dashboard#/${hash}`);
  await page.waitForSelector("main:not([aria-busy]) h1");
};
const picture = async (name) => {
  if (pictures) {
    await mkdir(pictures, { recursive: true });
    await page.mouse.move(0, 0);
    await page.waitForTimeout(300);
    await page.screenshot({ path: `${pictures}/${name}.png` });
  }
};
const accessible = async (where) => {
  // By the browser's debugger, which the page's own policy does not bind. The mail itself is its author's.
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"], iframes: false }));
  const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  assert.deepEqual(serious.map(({ id, nodes }) => [id, nodes.map((node) => node.html)]), [], where);
};
const holds = async (what, check) => {
  await check();
  console.log(`  holds: ${what}`);
};
const PAGES = ["campaigns", `campaigns/${job.campaign}`, `campaigns/${job.small}`, `contacts/${job.contact}`, `sends/${job.send}`, "live", `live/${job.campaign}`];
const loaded = async (hash) => {
  if (hash.startsWith("campaigns")) await page.locator(".chart canvas").waitFor();
  if (hash === `campaigns/${job.campaign}`) await page.locator(".badge").first().waitFor();
};

try {
  await holds("a wrong key is refused with a reason, and nothing is kept", async () => {
    await page.goto(`${origin}/dashboard`);
    await accessible("sign in");
    refusals = 1;
    await page.getByLabel("API key").fill("krt_wrong");
    await page.keyboard.press("Enter");
    await page.getByText("No such API key").waitFor();
    assert.equal(await page.evaluate(() => sessionStorage.length + localStorage.length), 0);
  });

  await holds("who has no mail yet is told what to do, on each page", async () => {
    await page.getByLabel("API key").fill(job.nobody);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByText("No campaign yet").waitFor();
    await page.getByText("/rewrite").first().waitFor();
    await accessible("no campaigns");
    await open("live");
    await page.getByText("Waiting for the first event").waitFor();
    await accessible("no events");
    await page.getByRole("button", { name: "Sign out" }).click();
  });

  await holds("the keyboard alone signs in, opens a campaign, changes the chart and finds a contact", async () => {
    await page.getByLabel("API key").waitFor();
    await page.keyboard.type(key);
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Campaigns", level: 1 }).waitFor();
    const focused = () => page.evaluate(() => document.activeElement.getAttribute("aria-label") || document.activeElement.textContent);
    const tabTo = async (text) => {
      for (let presses = 0; presses < 60; presses += 1) {
        await page.keyboard.press("Tab");
        if ((await focused()) === text) return;
      }
      assert.fail(`Tab never reaches ${text}`);
    };
    await tabTo(job.campaign);
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: job.campaign, level: 1 }).waitFor();
    await tabTo("Show clicks over time");
    await page.keyboard.press("Space");
    await page.locator('.chart[aria-label^="Clicks"] canvas').waitFor();
    await tabTo("The mail with its clicks");
    await tabTo("Device");
    await page.keyboard.press("Enter");
    await page.locator('[data-list="device"]').waitFor();
    await page.keyboard.press("/");
    await page.keyboard.type(job.contact);
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: job.contact, level: 1 }).waitFor();
    assert.equal(await page.evaluate(() => document.activeElement.id), "main", "the keyboard went along");
  });

  await holds("campaigns and their sums are listed with the API's numbers", async () => {
    await open("campaigns");
    const { items } = await api("/campaigns");
    assert.ok(items.length > 3);
    for (const { name, totals, rates } of items) {
      const row = await page.getByRole("row").filter({ has: page.getByRole("link", { name, exact: true }) }).innerText();
      for (const text of [totals.sent, totals.uniqueHumanOpens, totals.uniqueHumanClicks, totals.unsubscribes].map(whole).concat([rates.humanOpenRate, rates.humanClickRate, rates.unsubscribeRate].map(percent))) {
        assert.ok(row.includes(text), `${text} in ${row}`);
      }
    }
    const { totals, rates } = await api("/stats?interval=day&timeZone=Europe/Berlin");
    const shown = await page.locator("[data-figure=opened]").innerText();
    for (const text of [whole(totals.uniqueHumanOpens), percent(rates.humanOpenRate)]) assert.ok(shown.includes(text), `${text} in ${shown}`);
    await picture("campaigns");
  });

  await holds("a campaign's page shows what the API says", async () => {
    await open(`campaigns/${job.campaign}`);
    const { totals, rates } = await api(`/campaigns/${job.campaign}`);
    for (const [name, ...texts] of [
      ["sent", whole(totals.sent), whole(totals.bounced), percent(rates.bounceRate)],
      ["delivered", whole(totals.delivered), whole(totals.complained)],
      ["opened", whole(totals.uniqueHumanOpens), percent(rates.humanOpenRate), whole(totals.uniqueOpens), percent(rates.openRate)],
      ["clicked", whole(totals.uniqueHumanClicks), percent(rates.humanClickRate), whole(totals.uniqueClicks), percent(rates.clickRate), percent(rates.humanClickToOpenRate)],
      ["unsubscribed", whole(totals.unsubscribes), percent(rates.unsubscribeRate)],
    ]) {
      const shown = await page.locator(`[data-figure=${name}]`).innerText();
      for (const text of texts) assert.ok(shown.includes(text), `${name}: ${text} in ${shown}`);
    }
    const links = (await api(`/stats/links?campaign=${job.campaign}&limit=12`)).items;
    assert.deepEqual(await page.locator("[data-list=links] li .number").allInnerTexts(), links.map(({ clicks }) => whole(clicks)));
    const who = await page.locator("[data-list=who] li").allInnerTexts();
    for (const [text, ...numbers] of [[who[0], totals.opens, totals.humanOpens, totals.machineOpens], [who[1], totals.clicks, totals.humanClicks, totals.machineClicks]]) {
      for (const number of numbers) assert.ok(text.includes(whole(number)), `${number} in ${text}`);
    }
    await page.getByText("Show as a table").click();
    const rows = await page.locator("details tbody tr").evaluateAll((all) => all.map((row) => [...row.cells].map((cell) => cell.textContent)));
    const sum = (at) => rows.reduce((total, row) => total + Number(row[at].replaceAll(",", "")), 0);
    assert.deepEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map(sum), [totals.sent, totals.delivered, totals.bounced,
      totals.humanOpens, totals.opens - totals.humanOpens - totals.machineOpens, totals.machineOpens,
      totals.humanClicks, totals.clicks - totals.humanClicks - totals.machineClicks, totals.machineClicks, totals.unsubscribes]);
    await page.getByText("Show as a table").click();
    const clients = await api(`/stats/clients?campaign=${job.campaign}`);
    assert.ok((await page.locator('[data-list="mail client"] li .number').first().innerText()).startsWith(whole(clients.mailClients[0].opens)));
    await page.getByRole("button", { name: "Show opens over time" }).focus();
    const box = await page.locator(".u-over").boundingBox();
    await page.mouse.move(box.x + box.width * 0.06, box.y + 60);
    await page.locator(".tooltip.shown dd").first().waitFor();
    await page.mouse.move(0, 0);
    await picture("campaign");
  });

  await holds("the mail shows the clicks on its links, runs nothing and loads nothing", async () => {
    await loaded(`campaigns/${job.campaign}`);
    const preview = await api(`/campaigns/${job.campaign}/preview`);
    const counted = (await api(`/stats/links?campaign=${job.campaign}&limit=1000`)).items;
    const badges = new Map(await page.locator(".badge").evaluateAll((all) => all.map((badge) => [Number(badge.dataset.link), [...badge.querySelectorAll("b, b + span")].map((part) => part.textContent).join(" ")])));
    assert.ok(badges.size >= 5 && preview.links.some(({ clicks }) => clicks > 0));
    const hidden = await page.locator(".click-map > .note").last().innerText();
    for (const link of preview.links) {
      const of = counted.find(({ index, url }) => index === link.index && url === link.url) || { clicks: 0, humanClicks: 0 };
      const text = `${whole(of.humanClicks)} / ${whole(of.clicks)}`;
      if (badges.has(link.index)) assert.equal(badges.get(link.index), text, link.url);
      else if (of.clicks) assert.ok(hidden.includes(`(${text})`), `${link.url} in ${hidden}`);
    }
    const frame = page.frames().find((each) => each.url().endsWith("/dashboard/frame.html"));
    assert.equal(await page.locator("iframe").getAttribute("sandbox"), "allow-same-origin");
    const answer = await fetch(`${origin}/dashboard/frame.html`);
    assert.match(answer.headers.get("content-security-policy"), /default-src 'none'.*sandbox/);
    const inside = await page.locator("iframe").evaluate((element) => {
      const mail = element.contentDocument;
      const button = mail.querySelector(".button").getBoundingClientRect();
      return { text: mail.body.textContent, ran: mail.documentElement.dataset.ran, wanting: mail.querySelectorAll("script, [href], [src]:not([src^='data:']), [onload], [onerror], iframe, base, meta").length, background: element.contentWindow.getComputedStyle(mail.querySelector(".button")).backgroundColor, right: button.right, top: button.top };
    });
    assert.ok(frame && inside.text.includes("Linen weather is here"));
    assert.equal(inside.ran, undefined);
    assert.equal(inside.wanting, 0);
    assert.equal(inside.background, "rgb(29, 107, 82)", "the mail's own styles");
    assert.ok((await page.title()).startsWith(job.campaign));
    const sandals = preview.links.find(({ url }) => url.endsWith("/sandals")).index;
    const place = await page.locator(`.badge[data-link="${sandals}"]`).evaluate((badge) => [parseFloat(badge.style.left), parseFloat(badge.style.top)]);
    assert.ok(Math.abs(place[0] - inside.right) < 2 && Math.abs(place[1] - inside.top) < 2, `${place} at ${inside.right}, ${inside.top}`);
    await page.locator(".click-map").scrollIntoViewIfNeeded();
    await page.evaluate(() => document.querySelector(".click-map").parentElement.scrollIntoView());
    await page.evaluate(() => scrollBy(0, -70));
    await picture("click-map");
  });

  const questions = async (campaign) => {
    await open("live");
    await page.waitForTimeout(300);
    asked.length = 0;
    bytes.clear();
    await open(`campaigns/${campaign}`);
    await page.locator(".chart canvas").waitFor();
    await page.waitForTimeout(300);
    const urls = asked.filter((url) => !url.includes("/dashboard") && !url.includes("/events"));
    return { paths: urls.map((url) => new URL(url).pathname.replace(campaign, "…")).sort(), bytes: urls.reduce((sum, url) => sum + bytes.get(url), 0) };
  };

  await holds("the page of a campaign of 100,000 sends asks for no more than that of one send", async () => {
    assert.equal((await api(`/campaigns/${job.large}`)).totals.sent, job.largeSends);
    const small = await questions(job.small);
    const large = await questions(job.large);
    assert.deepEqual(large.paths, small.paths);
    assert.equal(small.paths.length, 4, small.paths.join());
    assert.ok(large.bytes < small.bytes + 60_000, `${large.bytes} bytes beside ${small.bytes}`);
    const kept = await questions(job.campaign);
    assert.equal(kept.paths.length, 5, kept.paths.join());
    assert.ok((await page.locator("main *").count()) < 1500);
  });

  await holds("a contact is found by its address and shows its timeline", async () => {
    await page.getByRole("searchbox").fill(job.contact);
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: job.contact }).waitFor();
    const of = await api(`/contacts/${job.contact}`);
    const events = (await api(`/contacts/${job.contact}/events?limit=50`)).items;
    assert.deepEqual(await page.locator(".timeline .event").evaluateAll((all) => all.map((item) => item.dataset.id)), events.map(({ id }) => id));
    for (const [name, ...numbers] of [["sent", of.emailsSentCount], ["opened", of.emailsHumanOpenedCount, of.emailsOpenedCount, of.emailsMachineOpenedCount], ["clicked", of.emailsHumanClickedCount, of.emailsClickedCount, of.emailsMachineClickedCount]]) {
      const shown = await page.locator(`[data-figure=${name}]`).innerText();
      for (const number of numbers) assert.ok(shown.includes(whole(number)), `${number} in ${shown}`);
    }
    await picture("contact");
  });

  await holds("a send shows every open and click with verdict and reasons in words", async () => {
    await open(`sends/${job.send}`);
    const { opens, clicks } = await api(`/sends/${job.send}`);
    const all = [...opens, ...clicks];
    const said = { human: "Person", machine: "Machine", suspect: "Unsure" };
    const words = { bot_ua: "User-Agent is a program’s", image_proxy: "proxy loads pictures when somebody reads", apple_mpp: "Apple Mail loads pictures by itself", burst: "faster than by hand", too_soon: "sooner after sending than anybody reads", many_recipients: "links of many recipients" };
    assert.ok(all.length > 1 && all.some(({ reasons }) => reasons.length > 0) && all.some(({ reasons }) => reasons.length === 0));
    assert.equal(await page.locator(".event").count(), all.length);
    for (const event of all) {
      const item = (await page.locator(`[data-id="${event.id}"]`).innerText()).toLowerCase();
      assert.ok(item.includes(said[event.verdict].toLowerCase()), item);
      if (!event.reasons.length) assert.ok(item.includes("no sign of a machine"), item);
      for (const reason of event.reasons) assert.ok(words[reason] && item.includes(words[reason].toLowerCase()), `${reason} in ${item}`);
    }
    await picture("send");
  });

  await holds("an event that arrives appears in the live view by itself, once", async () => {
    await open("live");
    await page.locator(".status.on").waitFor();
    const looks = asked.filter((url) => url.includes("/events?")).length;
    await register({ sendId: named("live"), contact: "live@example.com", campaign: job.campaign });
    await page.locator(".event", { hasText: named("live") }).waitFor();
    assert.equal(await page.locator(".event").first().getAttribute("class"), "event sent new");
    await page.getByText("1 event since you came").waitFor();
    assert.equal(asked.filter((url) => url.includes("/events?")).length, looks, "it is told, and does not ask again");
    await picture("live");
    await page.getByRole("button", { name: "Clicks" }).click();
    await page.locator(".status.on").waitFor();
    await register({ sendId: named("unseen"), contact: "live@example.com" });
    await page.waitForTimeout(2500);
    assert.equal(await page.locator(".event:not(.clicked)").count(), 0);
    await open(`live/${job.campaign}`);
    await page.locator(".status.on").waitFor();
    await register({ sendId: named("seen"), contact: "live@example.com", campaign: job.campaign });
    await page.locator(".event", { hasText: named("seen") }).waitFor();
    assert.equal(await page.getByText(named("unseen")).count(), 0);
  });

  await holds("a stream that breaks is taken up again with nothing missing", async () => {
    cut();
    await page.locator(".status:not(.on)").waitFor();
    await register({ sendId: named("meanwhile"), contact: "live@example.com", campaign: job.campaign });
    way.open = true;
    await page.locator(".event", { hasText: named("meanwhile") }).waitFor({ timeout: 40_000 });
    const sends = await page.locator(".event .id").allInnerTexts();
    assert.equal(new Set(sends.filter((id) => id.startsWith("snd-"))).size, sends.filter((id) => id.startsWith("snd-")).length, "each once");
    // What the browser says of the break.
    wrong.splice(0, wrong.length, ...wrong.filter((text) => !/ERR_(CONNECTION|EMPTY_RESPONSE|INCOMPLETE)/.test(text)));
  });

  for (const scheme of ["light", "dark"]) {
    await holds(`every page is accessible in ${scheme} colours`, async () => {
      await page.emulateMedia({ colorScheme: scheme });
      for (const hash of PAGES) {
        await open(hash);
        await loaded(hash);
        await accessible(`${hash} ${scheme}`);
        const ground = await page.evaluate(() => getComputedStyle(document.body).backgroundColor.match(/\d+/g).map(Number));
        assert.ok(ground.every((part) => (scheme === "dark" ? part < 40 : part > 215)), String(ground));
        if (scheme === "dark" && hash === `campaigns/${job.campaign}`) await picture("dark");
      }
    });
  }

  await holds("at the width of a phone nothing is wider than the page", async () => {
    await page.emulateMedia({ colorScheme: "light" });
    await page.setViewportSize({ width: 375, height: 780 });
    for (const hash of PAGES) {
      await open(hash);
      await loaded(hash);
      await page.waitForTimeout(200);
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), hash);
      await accessible(`${hash} on a phone`);
      if (hash === `campaigns/${job.campaign}`) await picture("phone");
    }
    await page.setViewportSize({ width: 1280, height: 900 });
  });

  await holds("what does not exist is said so, and signing out forgets the key", async () => {
    refusals = 1;
    await open("sends/snd-none");
    await page.getByText('No send "snd-none"').waitFor();
    await accessible("not found");
    await open("nowhere");
    await page.getByText("There is no such page").waitFor();
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
  cut();
  door.close();
}
