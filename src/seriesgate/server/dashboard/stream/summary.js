/** What a person who comes by wants to know first: is all well, and how much is coming? */

import { sparkline } from "/dashboard/charts/sparkline.js";
import { read } from "/dashboard/shared/api.js";
import { link } from "/dashboard/shared/address.js";
import { element } from "/dashboard/shared/element.js";
import { count, counted } from "/dashboard/shared/format.js";
import { age } from "/dashboard/shared/parts.js";

const PAUSE = 3000;
const INTERVAL = 20000;
const TOTALS = ["Series", "Instances", "Studies", "Patients"];

export class Summary {
  #answer = element("div", { class: "answer", "data-state": "unknown" });
  #gateways = element("a", { class: "gateways-line", href: link(["gateways"]) });
  #numbers = element("dl", { class: "totals" });
  #activity = element("a", { class: "activity", href: link(["charts"]) });
  #timer = 0;
  #due = Infinity;

  constructor() {
    this.element = element(
      "section",
      { class: "summary", "aria-label": "Summary" },
      element("div", {}, this.#answer, this.#gateways),
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
        read("/stats", new URLSearchParams({ minutes: 60 })),
        read("/series", new URLSearchParams({ limit: 1 })),
        read("/gateways"),
      ]);
      this.#showNumbers(stats);
      this.#showAnswer(latest.series[0]);
      this.#gateways.textContent = gatewaysLine(gateways);
    } catch (problem) {
      this.#answer.dataset.state = "unknown";
      this.#answer.replaceChildren(element("strong", {}, problem.message));
    }
    if (this.element.isConnected) {
      this.refresh(INTERVAL);
    }
  }

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

  #showAnswer(latest) {
    this.#answer.dataset.state = "unknown";
    this.#answer.replaceChildren(
      ...(latest
        ? [element("strong", {}, "The last series came ", age(latest.ReceivedAt))]
        : [element("strong", {}, "Ready"), " Waiting for the first series."]),
    );
  }

  leave() {
    clearTimeout(this.#timer);
    this.#due = -Infinity; // an answer that is still under way starts no timer
  }
}

/** Whether all is well with the gateways; nothing where none has ever reported. */
function gatewaysLine(gateways) {
  const quiet = gateways.filter(({ IsQuiet }) => IsQuiet).length;
  const dead = gateways.reduce((sum, { DeadLetters }) => sum + DeadLetters, 0);
  const complaints = [
    quiet > 0 && `${counted(quiet, "gateway")} quiet`,
    dead > 0 && counted(dead, "dead letter"),
  ].filter(Boolean);
  return gateways.length ? complaints.join(", ") || "Gateways: all is well" : "";
}
