/** A bar chart over time, drawn by hand, that can be read with a mouse, a finger, keys or a reader. */

import { labelled, ticks } from "/dashboard/charts/scale.js";
import { element, svg } from "/dashboard/shared/element.js";
import { count, day } from "/dashboard/shared/format.js";

const HEIGHT = 220;
const LEFT = 52;
const RIGHT = 8;
const TOP = 10;
const BOTTOM = 26;
const LABEL_WIDTH = 72;

/**
 * @typedef {object} Measured
 * @property {Date} at when the step starts
 * @property {number} value of a minute
 * @property {number} sum of the step
 */

export class Chart {
  /** @type {Measured[]} */
  #points = [];
  #chosen = -1;
  #width = 0;
  /** Over the step that is read out. */
  #marker = svg("rect");

  /** @param {{title: string, noun: string}} given what is counted */
  constructor({ title, noun }) {
    this.noun = noun;
    this.readout = element("p", { class: "readout", "aria-live": "polite" });
    this.plot = element("div", { class: "plot" });
    this.table = element("tbody");
    this.element = element(
      "section",
      { class: "chart" },
      element("div", { class: "chart-head" }, element("h2", {}, title), this.readout),
      this.plot,
      element(
        "details",
        { class: "chart-table" },
        element("summary", {}, "As a table"),
        element(
          "div",
          { class: "scroll", tabindex: 0, role: "region", "aria-label": `${title}, as a table` },
          element(
            "table",
            {},
            element("thead", {}, element("tr", {}, element("th", { scope: "col" }, "From"), element("th", { scope: "col" }, `New ${noun}`))),
            this.table,
          ),
        ),
      ),
    );
    this.observer = new ResizeObserver(([{ contentRect }]) => {
      if (Math.round(contentRect.width) !== this.#width) {
        this.#width = Math.round(contentRect.width);
        this.#draw();
      }
    });
    this.observer.observe(this.plot);
  }

  /** @param {Measured[]} points the oldest first */
  show(points) {
    this.#points = points;
    this.#chosen = -1;
    this.#draw();
    this.table.replaceChildren(
      ...points
        .filter(({ sum }) => sum > 0)
        .reverse()
        .map(({ at, sum }) => element("tr", {}, element("td", {}, step(at)), element("td", {}, count(sum)))),
    );
  }

  leave() {
    this.observer.disconnect();
  }

  #draw() {
    const points = this.#points;
    if (points.length === 0 || this.#width === 0) {
      return;
    }
    const values = ticks(Math.max(...points.map(({ value }) => value)));
    const bottom = HEIGHT - BOTTOM;
    const pitch = (this.#width - LEFT - RIGHT) / points.length;
    const top = values[values.length - 1];
    /** @param {number} value */
    const y = (value) => bottom - (value / top) * (bottom - TOP);
    /** @param {number} position */
    const x = (position) => LEFT + position * pitch;
    const gap = Math.min(2, pitch * 0.2);
    this.#marker = svg("rect", { class: "marker", y: TOP, width: Math.max(1, pitch), height: bottom - TOP, visibility: "hidden" });
    const drawing = svg(
      "svg",
      {
        viewBox: `0 0 ${this.#width} ${HEIGHT}`,
        width: this.#width,
        height: HEIGHT,
        role: "img",
        tabindex: 0,
        "aria-label": this.#description(),
        pointermove: (/** @type {PointerEvent} */ event) => this.#choose(Math.floor((event.offsetX - LEFT) / pitch), x),
        pointerleave: () => this.#choose(-1, x),
        blur: () => this.#choose(-1, x),
        keydown: (/** @type {KeyboardEvent} */ event) => this.#step(event, x),
      },
      ...values.map((value) =>
        svg(
          "g",
          { class: "tick" },
          svg("line", { x1: LEFT, x2: this.#width - RIGHT, y1: y(value), y2: y(value) }),
          svg("text", { x: LEFT - 8, y: y(value) + 4, "text-anchor": "end" }, label(value)),
        ),
      ),
      this.#marker,
      ...points.map(({ value }, position) =>
        value
          ? svg("rect", {
              class: "bar",
              x: x(position) + gap / 2,
              y: Math.min(y(value), bottom - 1),
              width: Math.max(0.5, pitch - gap),
              height: Math.max(1, bottom - y(value)),
            })
          : null,
      ),
      ...this.#timeLabels(x, bottom),
    );
    this.plot.replaceChildren(drawing);
    this.#tell();
  }

  /**
   * @param {(position: number) => number} x
   * @param {number} bottom
   */
  #timeLabels(x, bottom) {
    const times = this.#points.map(({ at }) => at);
    const room = Math.max(1, Math.floor((this.#width - LEFT) / LABEL_WIDTH));
    const byDay = times[times.length - 1].getTime() - times[0].getTime() > 3 * 86400000;
    return labelled(times, room).map((position) => {
      const at = times[position];
      const text = byDay || at.getHours() + at.getMinutes() === 0 ? day(at).slice(5) : hourOf(at);
      return svg("text", { class: "time", x: x(position), y: bottom + 18, "text-anchor": "middle" }, text);
    });
  }

  #description() {
    const total = this.#points.reduce((sum, each) => sum + each.sum, 0);
    const most = this.#points.reduce((one, other) => (other.value > one.value ? other : one));
    const peak = total ? `, the most at ${step(most.at)}: ${label(most.value)} a minute` : "";
    return `${count(total)} ${this.noun} since ${step(this.#points[0].at)}${peak}. Arrow keys read each step.`;
  }

  /**
   * @param {KeyboardEvent} event
   * @param {(position: number) => number} x
   */
  #step(event, x) {
    const last = this.#points.length - 1;
    const from = this.#chosen < 0 ? last + 1 : this.#chosen;
    /** @type {Record<string, number>} */
    const steps = { ArrowLeft: from - 1, ArrowRight: from + 1, Home: 0, End: last };
    const wanted = steps[event.key];
    if (wanted !== undefined) {
      event.preventDefault();
      this.#choose(Math.min(last, Math.max(0, wanted)), x);
    }
  }

  /**
   * @param {number} position
   * @param {(position: number) => number} x
   */
  #choose(position, x) {
    this.#chosen = position < this.#points.length ? Math.max(-1, position) : -1;
    this.#marker.setAttribute("visibility", this.#chosen < 0 ? "hidden" : "visible");
    if (this.#chosen >= 0) {
      this.#marker.setAttribute("x", String(x(this.#chosen)));
    }
    this.#tell();
  }

  #tell() {
    const point = this.#points[this.#chosen];
    const total = this.#points.reduce((sum, each) => sum + each.sum, 0);
    this.readout.textContent = point
      ? `${step(point.at)} · ${count(point.sum)} ${this.noun}, ${label(point.value)} a minute`
      : `${count(total)} ${this.noun} in this time`;
  }
}

/** @param {number} value */
function label(value) {
  return value >= 10000 ? `${count(Number((value / 1000).toPrecision(3)))}k` : count(Number(value.toFixed(value < 10 ? 2 : 0)));
}

/** @param {Date} at */
function hourOf(at) {
  return `${String(at.getHours()).padStart(2, "0")}:${String(at.getMinutes()).padStart(2, "0")}`;
}

/** @param {Date} at */
function step(at) {
  return `${day(at)} ${hourOf(at)}`;
}
