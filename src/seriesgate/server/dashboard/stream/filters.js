/** The form that filters the stream. What it says is in the URL, and the URL is what it shows. */

import { element, foreign } from "/dashboard/shared/element.js";
import { clock, day } from "/dashboard/shared/format.js";
import { EXACT, LABELS, conditionsOf } from "/dashboard/stream/conditions.js";

const PAUSE = 250;
const TIMES = ["received_from", "received_before"];
const MODALITIES = ["CR", "CT", "DX", "ES", "IO", "MG", "MR", "NM", "OT", "PT", "RF", "SR", "US", "XA"];
/** @type {Record<string, string>} */
const HINTS = { Modality: "MR", StudyInstanceUID: "1.2.840…" };

export class Filters {
  #timer = 0;
  #chips = element("ul", { class: "chips", "aria-label": "Active filters" });
  #details;
  #text;

  /** @param {(conditions: URLSearchParams) => void} changed */
  constructor(changed) {
    this.changed = changed;
    this.#text = element("input", {
      type: "search",
      name: "text",
      maxlength: 64,
      placeholder: "Search patient, ID, accession number, description",
      "aria-label": "Search series",
      autocomplete: "off",
      spellcheck: "false",
      input: () => this.#soon(),
    });
    this.#details = element(
      "details",
      { class: "more-filters" },
      element("summary", { class: "button" }, "Filters"),
      element(
        "div",
        { class: "filter-fields" },
        ...Object.entries(EXACT).map(([name, label]) => this.#field(name, label)),
        this.#field("received_from", "Received from", "datetime-local"),
        this.#field("received_before", "Received before", "datetime-local"),
        element("datalist", { id: "modalities" }, ...MODALITIES.map((value) => element("option", { value }))),
      ),
    );
    this.element = element(
      "form",
      {
        class: "filters",
        role: "search",
        submit: (/** @type {Event} */ event) => {
          event.preventDefault();
          this.#now();
        },
      },
      element("div", { class: "filter-bar" }, this.#text, this.#details),
      this.#chips,
    );
  }

  /**
   * @param {string} name
   * @param {string} label
   */
  #field(name, label, type = "text") {
    const input = element("input", {
      type,
      name,
      id: `filter-${name}`,
      step: type === "text" ? null : 1,
      list: name === "Modality" ? "modalities" : null,
      placeholder: HINTS[name] ?? null,
      autocomplete: "off",
      spellcheck: "false",
      change: () => this.#now(),
    });
    return element("div", { class: "field" }, element("label", { for: `filter-${name}` }, label), input);
  }

  /** Show what the URL says. @param {URLSearchParams} conditions */
  show(conditions) {
    for (const name of Object.keys(LABELS)) {
      const input = this.#input(name);
      const value = conditions.get(name) ?? "";
      const shown = TIMES.includes(name) && value ? local(value) : value;
      if (input.value.trim() !== shown && !(input === document.activeElement && name === "text")) {
        input.value = shown;
      }
    }
    this.#chips.replaceChildren(
      ...[...conditions].filter(([name]) => name !== "text").map(([name, value]) => this.#chip(name, value)),
    );
  }

  /** @param {string} name */
  #input(name) {
    return /** @type {HTMLInputElement} */ (this.element.elements.namedItem(name));
  }

  /**
   * @param {string} name
   * @param {string} value
   */
  #chip(name, value) {
    const text = TIMES.includes(name) ? local(value).replace("T", " ") : value;
    const remove = () => {
      this.#input(name).value = "";
      this.#now();
    };
    return element(
      "li",
      {},
      element(
        "button",
        { type: "button", class: "chip", click: remove },
        element("span", { class: "chip-name" }, `${LABELS[name]} `),
        foreign(text),
        element("span", { class: "for-readers" }, ", remove this filter"),
        element("span", { "aria-hidden": "true", class: "chip-cross" }, "×"),
      ),
    );
  }

  #soon() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#now(), PAUSE);
  }

  #now() {
    clearTimeout(this.#timer);
    const written = new URLSearchParams();
    for (const [name, value] of new FormData(this.element)) {
      written.set(name, String(value)); // the form has no files
    }
    written.set("Modality", (written.get("Modality") ?? "").toUpperCase());
    for (const name of TIMES) {
      const value = written.get(name);
      written.set(name, value ? new Date(value).toISOString() : "");
    }
    this.changed(conditionsOf(written));
  }

  /** Forget a change that was not told yet. */
  leave() {
    clearTimeout(this.#timer);
  }
}

/** A moment as the input for times takes it. @param {string} value */
function local(value) {
  const at = new Date(value);
  return Number.isNaN(at.getTime()) ? "" : `${day(at)}T${clock(at)}`;
}
