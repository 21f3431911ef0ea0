/** How much came, and when. */

import { Chart } from "/dashboard/charts/chart.js";
import { read } from "/dashboard/shared/api.js";
import { link } from "/dashboard/shared/address.js";
import { element } from "/dashboard/shared/element.js";
import { failure } from "/dashboard/shared/parts.js";

/**
 * Minutes of the window, and of a step: never more points than a screen has room for.
 * @type {[name: string, text: string, minutes: number, step: number][]}
 */
const WINDOWS = [
  ["hour", "Hour", 60, 1],
  ["6h", "6 hours", 360, 5],
  ["day", "Day", 1440, 15],
  ["week", "Week", 10080, 120],
];
const INTERVAL = 30000;
const PAUSE = 2000;

export class ChartsPage {
  title = "Charts";
  #window = WINDOWS[0];
  #timer = 0;
  #due = Infinity;
  #reading = new AbortController();

  /** @param {import("/dashboard/shared/change-feed.js").ChangeFeed} feed */
  constructor(feed) {
    this.feed = feed;
    this.charts = {
      Series: new Chart({ title: "Series per minute", noun: "series" }),
      Instances: new Chart({ title: "Instances per minute", noun: "instances" }),
    };
    this.windows = WINDOWS.map(([name, text]) =>
      element("a", { href: link(["charts"], new URLSearchParams({ window: name })) }, text),
    );
    this.problem = element("div");
    this.element = element(
      "div",
      { class: "page charts-page" },
      element(
        "div",
        { class: "page-head" },
        element("h1", { tabindex: -1 }, "Charts"),
        element("nav", { class: "choice", "aria-label": "Time" }, ...this.windows),
      ),
      this.problem,
      ...Object.values(this.charts).map((chart) => chart.element),
    );
    this.onChange = () => this.#soon(PAUSE);
  }

  /** @param {import("/dashboard/shared/address.js").Address} address */
  enter(address) {
    this.feed.addEventListener("change", this.onChange);
    this.feed.addEventListener("fresh", this.onChange);
    this.update(address);
  }

  /** @param {import("/dashboard/shared/address.js").Address} address */
  update({ query }) {
    this.#window = WINDOWS.find(([name]) => name === query.get("window")) ?? WINDOWS[0];
    this.windows.forEach((anchor, position) => {
      if (WINDOWS[position] === this.#window) {
        anchor.setAttribute("aria-current", "true");
      } else {
        anchor.removeAttribute("aria-current");
      }
    });
    this.#read();
  }

  leave() {
    this.feed.removeEventListener("change", this.onChange);
    this.feed.removeEventListener("fresh", this.onChange);
    this.#reading.abort();
    clearTimeout(this.#timer);
    Object.values(this.charts).forEach((chart) => chart.leave());
  }

  /** @param {number} wait in milliseconds */
  #soon(wait) {
    const due = Date.now() + wait;
    if (due < this.#due) {
      this.#due = due;
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#read(), wait);
    }
  }

  async #read() {
    this.#reading.abort();
    this.#reading = new AbortController();
    clearTimeout(this.#timer);
    this.#due = Infinity;
    const [, , minutes, step] = this.#window;
    try {
      const { Points } = await read("/stats", new URLSearchParams({ minutes: String(minutes), step: String(step) }), this.#reading.signal);
      for (const [name, chart] of Object.entries(this.charts)) {
        chart.show(Points.map((/** @type {Record<string, any>} */ point) => ({ at: new Date(point.At), value: point[`${name}PerMinute`], sum: point[name] })));
      }
      this.problem.replaceChildren();
    } catch (problem) {
      if (problem.name === "AbortError") {
        return;
      }
      this.problem.replaceChildren(failure(problem, () => this.#read()));
    }
    this.#soon(INTERVAL);
  }
}
