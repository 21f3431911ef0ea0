/** Speaks with the server's API. When that asks who it is, the window gets an `unauthorized` event. */

/** An answer that is an error: the server's problem (RFC 9457), or no answer at all. */
export class Problem extends Error {
  /**
   * @param {number} status 0 when there was no answer
   * @param {string} detail
   * @param {number | null} retryAfter seconds
   */
  constructor(status, detail, retryAfter = null) {
    super(detail);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

/**
 * Read something.
 * @param {string} path
 * @param {URLSearchParams | null} [query]
 * @param {AbortSignal} [signal]
 * @returns {Promise<any>}
 */
export async function read(path, query = null, signal) {
  const question = query === null ? "" : String(query);
  return ask("GET", question ? `${path}?${question}` : path, {}, signal);
}

/**
 * Change something.
 * @param {"POST" | "DELETE"} method
 * @param {string} path
 * @param {Record<string, string>} [headers]
 * @returns {Promise<any>}
 */
export async function change(method, path, headers = {}) {
  // The header that no page of another site can send.
  return ask(method, path, { "X-Requested-With": "seriesgate", ...headers });
}

/**
 * @param {string} method
 * @param {string} url
 * @param {Record<string, string>} headers
 * @param {AbortSignal} [signal]
 */
async function ask(method, url, headers, signal) {
  let answer;
  try {
    answer = await fetch(url, { method, headers, signal, redirect: "error" });
  } catch (error) {
    if (error.name === "AbortError") {
      throw error;
    }
    throw new Problem(0, "The server does not answer.");
  }
  if (answer.ok) {
    return answer.status === 204 ? null : answer.json();
  }
  if (answer.status === 401 && !("Authorization" in headers)) {
    window.dispatchEvent(new Event("unauthorized")); // the session is over
  }
  const problem = await answer.json().catch(() => ({}));
  const wait = Number.parseInt(answer.headers.get("retry-after") ?? "", 10);
  throw new Problem(answer.status, explanation(problem), Number.isNaN(wait) ? null : wait);
}

/** @param {{detail?: string, errors?: {field?: string, message: string}[]}} problem */
function explanation({ detail = "The server gave no reason.", errors = [] }) {
  const fields = errors.map(({ field, message }) => (field ? `${field}: ${message}` : message));
  return [detail, ...fields].join(" – ");
}
