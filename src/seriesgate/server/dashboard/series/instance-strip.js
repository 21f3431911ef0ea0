/** The instance numbers of a series as a strip with holes. */

import { element, svg } from "/dashboard/shared/element.js";
import { count, runs, runsAsText } from "/dashboard/shared/format.js";

const WIDTH = 1000;
const HEIGHT = 24;
const LEAST_HOLE = 2;

/**
 * Give the least and the greatest instance number, as far as the report tells: it names the holes
 * in between. Most series are numbered from 1, one number an instance.
 * @param {number[]} missing not empty
 * @param {number} instances
 * @returns {[number, number]}
 */
export function span(missing, instances) {
  const least = Math.min(1, Math.min(...missing) - 1);
  return [least, Math.max(least + instances + missing.length - 1, Math.max(...missing) + 1)];
}

/** @param {Record<string, any>} series that lacks instance numbers */
export function instanceStrip(series) {
  const missing = series.MissingInstanceNumbers;
  const [first, last] = span(missing, series.InstancesInSeries);
  const scale = WIDTH / (last - first + 1);
  const holes = runs(missing).map(([from, to]) =>
    svg(
      "rect",
      { class: "hole", x: (from - first) * scale, y: 0, width: Math.max(LEAST_HOLE, (to - from + 1) * scale), height: HEIGHT },
      svg("title", {}, from === to ? `${from}` : `${from}–${to}`),
    ),
  );
  const text = `Missing: ${runsAsText(missing)}`;
  return element(
    "figure",
    { class: "strip" },
    svg(
      "svg",
      { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": text },
      svg("rect", { class: "there", width: WIDTH, height: HEIGHT }),
      ...holes,
    ),
    element("div", { class: "strip-ends", "aria-hidden": "true" }, element("span", {}, first), element("span", {}, last)),
    element("figcaption", {}, element("strong", {}, `${count(missing.length)}${missing.length === 1000 ? " or more" : ""} of about ${count(last - first + 1)} numbers missing: `), runsAsText(missing)),
  );
}
