/** The service that tests talk to: `cargo test --test client` starts it and says where it is. */

import { Kraiter } from "@kraiter/tracking";

export const baseUrl = wanted("KRAITER_API");
export const apiKey = wanted("KRAITER_API_KEY");
/** Of a tenant that only the examples of README.md use. */
export const readmeKey = wanted("KRAITER_README_KEY");
/** Of a tenant that only the example of the project's README uses. */
export const firstKey = wanted("KRAITER_FIRST_KEY");
export const kraiter = new Kraiter({ apiKey, baseUrl });

let names = 0;

/** A name that no other test and no other run has. */
export function fresh(what) {
  names += 1;
  return `${what}-${process.pid}-${Date.now().toString(36)}-${names}`;
}

export const address = (what = "reader") => `${fresh(what)}@example.com`;

function wanted(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run cargo test --test client`);
  return value;
}
