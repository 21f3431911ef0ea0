/**
 * Where a page is: in the fragment of the URL, which browsers send to no server. So a filter that
 * names a patient is in nobody's log, and can be kept as a bookmark all the same.
 */

/**
 * @typedef {object} Address
 * @property {string[]} path decoded segments: `#/series/1.2` is ["series", "1.2"]
 * @property {URLSearchParams} query
 */

/**
 * Read the address of a fragment.
 * @param {string} hash
 * @returns {Address}
 */
export function parseAddress(hash) {
  const [path, query = ""] = hash.replace(/^#?\/?/, "").split("?", 2);
  return {
    path: path.split("/").filter(Boolean).map(decoded),
    query: new URLSearchParams(query),
  };
}

/** @param {string} segment */
function decoded(segment) {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

/**
 * Give the path of a series in the API. A browser takes `.` and `..` for steps, encoded too; a blank
 * behind them, which means nothing at the end of a UID, keeps it from that.
 * @param {string} uid
 */
export function seriesPath(uid) {
  return `/series/${encodeURIComponent(uid)}${/^\.\.?$/.test(uid) ? "%20" : ""}`;
}

/**
 * Give the link to an address.
 * @param {string[]} path
 * @param {URLSearchParams} [query]
 */
export function link(path, query = new URLSearchParams()) {
  const question = String(query);
  return `#/${path.map(encodeURIComponent).join("/")}${question ? `?${question}` : ""}`;
}
