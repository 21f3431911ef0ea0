/** How each gateway stands, by its own heartbeats, and its dead letters. */

import { change, read } from "/dashboard/shared/api.js";
import { announce } from "/dashboard/shared/announcer.js";
import { element, foreign } from "/dashboard/shared/element.js";
import { bytes, count, counted, duration } from "/dashboard/shared/format.js";
import { health, worstFirst } from "/dashboard/shared/gateway-health.js";
import { link } from "/dashboard/shared/address.js";
import { age, empty, failure, moment } from "/dashboard/shared/parts.js";

const INTERVAL = 10000;

export class GatewaysPage {
  title = "Gateways";
  #timer = 0;
  #reading = new AbortController();
  #shown = "";

  constructor() {
    this.list = element("div", { class: "gateways" });
    this.problem = element("div");
    this.element = element(
      "div",
      { class: "page gateways-page" },
      element("div", { class: "page-head" }, element("h1", { tabindex: -1 }, "Gateways")),
      this.problem,
      this.list,
    );
    this.onVisible = () => document.hidden || this.#read();
  }

  enter() {
    document.addEventListener("visibilitychange", this.onVisible);
    this.#read();
  }

  leave() {
    document.removeEventListener("visibilitychange", this.onVisible);
    this.#reading.abort();
    clearTimeout(this.#timer);
  }

  async #read() {
    this.#reading.abort();
    const reading = (this.#reading = new AbortController());
    clearTimeout(this.#timer);
    try {
      const { gateways } = await read("/gateways", null, reading.signal);
      this.problem.replaceChildren();
      this.#show(gateways);
    } catch (problem) {
      if (problem.name === "AbortError") {
        return;
      }
      this.problem.replaceChildren(failure(problem, () => this.#read()));
    }
    if (!document.hidden && !reading.signal.aborted) {
      this.#timer = setTimeout(() => this.#read(), INTERVAL);
    }
  }

  /** @param {Record<string, any>[]} gateways */
  #show(gateways) {
    const text = JSON.stringify(gateways);
    if (text === this.#shown) {
      return;
    }
    this.#shown = text;
    // What is drawn anew must not take the focus away from whoever goes by keys.
    const focused = document.activeElement?.getAttribute("data-letter");
    this.list.replaceChildren(
      ...(gateways.length
        ? worstFirst(gateways).map((gateway) => this.#card(gateway))
        : [empty("No gateway has reported yet", "A gateway tells how it stands as soon as it runs and reaches this server.")]),
    );
    if (focused) {
      /** @type {HTMLElement | null} */ (
        this.list.querySelector(`[data-letter="${CSS.escape(focused)}"]`)
      )?.focus();
    }
  }

  /** @param {Record<string, any>} gateway */
  #card(gateway) {
    const { kind, text } = health(gateway);
    const late = `${(gateway.LateArrivalRate * 100).toFixed(1)} % of ${counted(gateway.SeriesClosed, "series")}`;
    const refused = Object.entries(gateway.RefusedAssociations).filter(([, times]) => times > 0);
    return element(
      "section",
      { class: "card gateway", "data-gateway": gateway.Name, "data-health": kind },
      element(
        "div",
        { class: "gateway-head" },
        element("h2", {}, foreign(gateway.Name)),
        element("span", { class: "health", "data-health": kind }, text),
        element("span", { class: "second" }, "last seen ", age(gateway.LastSeenAt)),
      ),
      gateway.IsQuiet ? element("p", { class: "last-known" }, "Three of its heartbeats have not come. This is what it said last:") : null,
      gateway.NotReady.length ? element("ul", { class: "not-ready" }, ...gateway.NotReady.map((/** @type {string} */ each) => element("li", {}, each))) : null,
      element(
        "dl",
        { class: "gateway-figures" },
        figure("Open series", count(gateway.OpenSeries)),
        figure("Pending deliveries", count(gateway.PendingDeliveries)),
        figure("Dead letters", count(gateway.DeadLetters)),
        figure("Late arrivals", late),
        figure("Series a minute", gateway.SeriesPerMinute.toFixed(1)),
        figure("Instances a minute", count(Math.round(gateway.InstancesPerMinute))),
        figure("Instances received", count(gateway.InstancesReceived)),
        figure("Data received", bytes(gateway.BytesReceived)),
        figure("Free disk", disk(gateway)),
        figure("Refused associations", refused.length ? refused.map(([reason, times]) => `${reasonText(reason)}: ${count(times)}`).join(", ") : "none"),
        figure("Quiet period", duration(gateway.QuietPeriod)),
        figure("Durability", gateway.Durability),
        figure("Version", gateway.Version),
        figure("Started", moment(gateway.StartedAt)),
      ),
      gateway.DeadLetterList.length ? this.#letters(gateway) : null,
    );
  }

  /** @param {Record<string, any>} gateway */
  #letters(gateway) {
    const more = gateway.DeadLetters - gateway.DeadLetterList.length;
    return element(
      "div",
      { class: "letters" },
      element("h3", {}, "Dead letters"),
      element(
        "ul",
        {},
        ...gateway.DeadLetterList.map((/** @type {Record<string, any>} */ letter) =>
          element(
            "li",
            {},
            element(
              "div",
              {},
              element("a", { href: link(["series", letter.SeriesInstanceUID]) }, element("code", {}, letter.SeriesInstanceUID)),
              element("p", {}, foreign(letter.Reason)),
              element("span", { class: "second" }, "since ", moment(letter.Since)),
            ),
            this.#retryButton(gateway, letter),
          ),
        ),
      ),
      more > 0 ? element("p", { class: "second" }, `and ${count(more)} more`) : null,
    );
  }

  /**
   * @param {Record<string, any>} gateway
   * @param {Record<string, any>} letter
   */
  #retryButton(gateway, letter) {
    const button = element(
      "button",
      {
        class: "button",
        "data-letter": letter.DeliveryID,
        "aria-disabled": letter.RetryAsked ? "true" : null,
        "aria-label": `${letter.RetryAsked ? "Retry asked for" : "Retry"}: series ${letter.SeriesInstanceUID}`,
        click: () => letter.RetryAsked || this.#retry(gateway, letter),
      },
      letter.RetryAsked ? "Retry asked for" : "Retry",
    );
    return button;
  }

  /**
   * @param {Record<string, any>} gateway
   * @param {Record<string, any>} letter
   */
  async #retry(gateway, letter) {
    const path = `/gateways/${encodeURIComponent(gateway.Name)}/dead-letters/${letter.DeliveryID}/retry`;
    try {
      await change("POST", path);
      announce("The gateway is asked to retry with its next heartbeat");
      this.#read();
    } catch (problem) {
      this.problem.replaceChildren(failure(problem, () => this.#read()));
    }
  }
}

/** `calling_ae_title` as `calling AE title`. @param {string} reason */
function reasonText(reason) {
  return reason.replaceAll("_", " ").replace(/\bae\b/, "AE");
}

/**
 * @param {string} name
 * @param {...import("/dashboard/shared/element.js").Child} value
 */
function figure(name, ...value) {
  return element("div", {}, element("dt", {}, name), element("dd", {}, ...value));
}

/** Free space as a bar that is full at ten times what must stay free. @param {Record<string, any>} gateway */
function disk({ FreeBytes, MinFreeBytes }) {
  if (FreeBytes === null) {
    return "unknown";
  }
  const meter = element("meter", {
    min: 0,
    max: Math.max(10 * MinFreeBytes, 1),
    low: 2 * MinFreeBytes,
    value: FreeBytes,
    "aria-label": "Free disk",
  });
  return element("span", { class: "disk" }, `${bytes(FreeBytes)} `, meter);
}
