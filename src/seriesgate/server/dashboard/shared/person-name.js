/** Names of people as DICOM writes them (PS3.5 6.2, PN). */

/**
 * Give the readable forms of a name, the one to lead with first: the alphabetic one, then the
 * ideographic and the phonetic one, as far as there are any and they differ.
 * @param {string} value groups with `=` between them, of components with `^` between them
 * @returns {string[]} empty for a name that says nothing
 */
export function personNames(value) {
  const names = value.split("=").map(readable).filter(Boolean);
  return [...new Set(names)];
}

/** @param {string} group */
function readable(group) {
  const [family = "", given = "", middle = "", prefix = "", suffix = ""] = group
    .split("^")
    .map((component) => component.trim());
  const others = [prefix, given, middle].filter(Boolean).join(" ");
  // Scripts without case, such as Chinese, are written family name first without a comma.
  const separator = /\p{Lu}|\p{Ll}/u.test(family + others) ? ", " : " ";
  return [[family, others].filter(Boolean).join(separator), suffix].filter(Boolean).join(", ");
}
