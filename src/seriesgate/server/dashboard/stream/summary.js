/** What a person who comes by wants to know first: is all well, and how much is coming? */

import { sparkline } from "/dashboard/charts/sparkline.js";
import { read } from "/dashboard/shared/api.js";
import { link } from "/dashboard/shared/address.js";
import { element } from "/dashboard/shared/element.js";
import { count } from "/dashboard/shared/format.js";
import { verdict } from "/dashboard/shared/gateway-health.js";
import { age } from "/dashboard/shared/parts.js";

const PAUSE = 3000;
const INTERVAL = 20000;
const TOTALS = ["Series", "Instances", "Studies", "Patients"];

export class Summary {
  #answer = element("div", { class: "answer", "data-state": "unknown" });
  #numbers = element("dl", { class: "totals" });
  #activity = element("a", { class: "activity", href: link(["charts"]) });
  #timer = 0;
  #due = Infinity;

  constructor() {
    this.element = element(
      "section",
      { class: "summary", "aria-label": "Summary" },
      this.#answer,
      element("div", { class: "summary-figures" }, this.#numbers, this.#activity),
    );
  }

  /** Read everything anew, but not for each of many changes. */
  refresh(wait = PAUSE) {
    const due = Date.now() + wait;
    if (due < this.#due) {
      this.#due = due;
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#read(), wait);
    }
  }

  async #read() {
    this.#due = Infinity;
    try {
      const [stats, latest, { gateways }] = await Promise.all([
        read("/stats", new URLSearchParams({ minutes: "60" })),
        read("/series", new URLSearchParams({ limit: "1" })),
        read("/gateways"),
      ]);
      this.#showNumbers(stats);
      this.#showAnswer(verdict(gateways), latest.series[0]);
    } catch (problem) {
      this.#answer.dataset.state = "unknown";
      this.#answer.replaceChildren(element("strong", {}, problem.message));
    }
    if (this.element.isConnected) {
      this.refresh(INTERVAL);
    }
  }

  /** @param {{Totals: Record<string, number>, Points: {Series: number}[]}} stats */
  #showNumbers({ Totals, Points }) {
    this.#numbers.replaceChildren(
      ...TOTALS.map((name) =>
        element("div", {}, element("dt", {}, name), element("dd", {}, count(Totals[name]))),
      ),
    );
    const lately = Points.reduce((sum, { Series }) => sum + Series, 0);
    this.#activity.replaceChildren(
      sparkline(Points.map(({ Series }) => Series)),
      element("span", {}, `${count(lately)} series in the last hour`),
    );
  }

  /**
   * @param {{kind: string, text: string} | null} gateways
   * @param {Record<string, any>} [latest]
   */
  #showAnswer(gateways, latest) {
    const came = latest
      ? element("span", {}, "The last series came ", age(latest.ReceivedAt))
      : element("span", {}, "Waiting for the first series");
    this.#answer.dataset.state = gateways?.kind ?? "unknown";
    this.#answer.replaceChildren(
      gateways ? element("strong", {}, element("a", { class: "gateways-line", href: link(["gateways"]) }, gateways.text)) : "",
      gateways ? came : element("strong", {}, came),
    );
  }

  leave() {
    clearTimeout(this.#timer);
    this.#due = -Infinity; // an answer that is still under way starts no timer
  }
}
