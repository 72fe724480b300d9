// The API, with the key of this session. The key lives in the tab and goes with it.

const KEY = "kraiter-api-key";

export const signedIn = () => sessionStorage.getItem(KEY) !== null;
export const signIn = (key) => sessionStorage.setItem(KEY, key);
export const authorization = () => `Bearer ${sessionStorage.getItem(KEY)}`;
export const signOut = () => sessionStorage.removeItem(KEY);

export class ApiError extends Error {
  constructor(status, problem) {
    super(problem.detail || problem.title || `The service answered ${status}.`);
    this.status = status;
    this.code = problem.code;
  }
}

/** The JSON of a GET; `query` is left without what is not set. */
export async function get(path, query = {}, signal) {
  const parameters = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== undefined && value !== null));
  const url = parameters.size ? `${path}?${parameters}` : path;
  let answer;
  try {
    answer = await fetch(url, { headers: { authorization: authorization() }, cache: "no-store", signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, { detail: "The service cannot be reached. Check that it runs, then try again." });
  }
  if (answer.ok) return answer.json();
  throw new ApiError(answer.status, await answer.json().catch(() => ({})));
}
