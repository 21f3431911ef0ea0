/** Bars of the size of a word. */

import { svg } from "/dashboard/shared/element.js";

const WIDTH = 3;
const HEIGHT = 28;

/** @param {number[]} values */
export function sparkline(values) {
  const most = Math.max(1, ...values);
  const bars = values.map((value, position) => {
    const height = value ? Math.max(2, (value / most) * HEIGHT) : 1;
    return svg("rect", {
      x: position * WIDTH,
      y: HEIGHT - height,
      width: WIDTH - 1,
      height,
      class: value ? null : "none",
    });
  });
  const width = values.length * WIDTH - 1;
  return svg("svg", { class: "sparkline", viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT, preserveAspectRatio: "none", "aria-hidden": "true" }, ...bars);
}
