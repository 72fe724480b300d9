// How numbers, times and names are written. Numbers are those of the API, to the digit.

const whole = new Intl.NumberFormat("en-US");
const percent = new Intl.NumberFormat("en-US", { style: "percent", minimumFractionDigits: 2, maximumFractionDigits: 2 });
const writer = (parts) => new Intl.DateTimeFormat("en-GB", parts);
const moment = writer({ day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit" });
const short = writer({ day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
const day = writer({ day: "numeric", month: "short", year: "numeric" });
const longDay = writer({ weekday: "long", day: "numeric", month: "long", year: "numeric" });
const clock = writer({ hour: "2-digit", minute: "2-digit", second: "2-digit" });

export const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
const missing = (value) => value === null || value === undefined;
export const number = (value) => (missing(value) ? "–" : whole.format(value));
/** "1 open", "2 opens". */
export const counted = (value, noun) => `${number(value)} ${noun}${value === 1 ? "" : "s"}`;
/** The API's rates have four decimals, which are the two of a percentage. */
export const rate = (value) => (missing(value) ? "–" : percent.format(value));
/** A part of a whole that the API has no rate for. */
export const part = (value, of) => (of > 0 ? rate(value / of) : "–");
export const time = (text) => (text ? moment.format(new Date(text)) : "–");
export const shortTime = (text) => short.format(new Date(text));
export const date = (text) => day.format(new Date(text));
export const weekday = (text) => longDay.format(new Date(text));
export const timeOfDay = (text) => clock.format(new Date(text));

/** "2 days", "3 h 20 min": how long after. */
export function after(from, to) {
  const seconds = Math.round((Date.parse(to) - Date.parse(from)) / 1000);
  if (!(seconds >= 0)) return null;
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.round(hours / 24)} days`;
}

export const types = {
  "email.sent": "Sent",
  "email.delivered": "Delivered",
  "email.bounced": "Bounced",
  "email.complained": "Marked as spam",
  "email.opened": "Opened",
  "email.clicked": "Clicked",
  "email.unsubscribed": "Unsubscribed",
};

export const statuses = { queued: "Queued", sent: "Sent", delivered: "Delivered", bounced: "Bounced", complained: "Marked as spam", failed: "Failed" };

export const verdicts = { human: "Person", machine: "Machine", suspect: "Unsure" };

/** Why, in words; docs/accuracy.md says more of each. */
export const reasons = {
  apple_mpp: "Apple Mail loads pictures by itself, whether or not the mail is read",
  apple_relay: "it came through one of Apple’s relays",
  gmail_prefetch: "Gmail loaded the pictures ahead of the reader",
  prefetch: "the request announced itself as a prefetch or preview",
  image_proxy: "the mail service’s proxy loads pictures when somebody reads",
  bot_ua: "the User-Agent is a program’s, or there is none",
  operator_net: "it came from a network that you have listed",
  scanner_net: "it came from a network known for mail security",
  too_soon: "it came sooner after sending than anybody reads",
  burst: "several links of the mail were followed faster than by hand",
  many_recipients: "one address followed links of many recipients within minutes",
};

/** What the verdict follows from, as a sentence. */
export function because(event) {
  if (!event.verdict) return null;
  const known = (event.reasons || []).map((reason) => reasons[reason] || reason.replaceAll("_", " "));
  const text = known.length ? known.join("; ") : event.verdict === "human" ? "no sign of a machine" : "no reason is known";
  return `${text[0].toUpperCase()}${text.slice(1)}.`;
}

/** What read the mail, in a few words. */
export function client(event) {
  const known = event.client;
  if (!known) return null;
  const by = known.mailClient || known.browser;
  const on = [known.os, known.device].filter(Boolean).join(", ");
  return [by, on].filter(Boolean).join(" on ") + (known.proxied ? ", through its proxy" : "");
}

/** What a link leads to, as short as it stays readable. */
export const bare = (url) => url.replace(/^https?:\/\/(www\.)?/, "").replace(/\/$/, "");
