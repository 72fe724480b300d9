// How numbers and times are written. Numbers are those of the API, to the digit.

const whole = new Intl.NumberFormat("en-US");
const percent = new Intl.NumberFormat("en-US", { style: "percent", minimumFractionDigits: 2, maximumFractionDigits: 2 });
const moment = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit" });
const short = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });

export const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
export const number = (value) => (value === null || value === undefined ? "–" : whole.format(value));
/** The API's rates have four decimals, which are the two of a percentage. */
/** "1 open", "2 opens". */
export const counted = (value, noun) => `${number(value)} ${noun}${value === 1 ? "" : "s"}`;
export const rate = (value) => (value === null || value === undefined ? "–" : percent.format(value));
export const time = (text) => (text ? moment.format(new Date(text)) : "–");
export const shortTime = (text) => short.format(new Date(text));
export const date = (text) => day.format(new Date(text));

export const types = {
  "email.sent": "Sent",
  "email.delivered": "Delivered",
  "email.bounced": "Bounced",
  "email.complained": "Complained",
  "email.opened": "Opened",
  "email.clicked": "Clicked",
  "email.unsubscribed": "Unsubscribed",
};

export const verdicts = { human: "Person", machine: "Machine", suspect: "Unsure" };

/** What read the mail, in a few words. */
export function client(event) {
  const known = event.client;
  if (!known) return null;
  const by = known.mailClient || known.browser;
  const on = [known.os, known.device].filter(Boolean).join(", ");
  return [by, on].filter(Boolean).join(" · ") + (known.proxied ? " · through a proxy" : "");
}
