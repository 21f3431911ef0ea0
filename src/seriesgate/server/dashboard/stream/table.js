/** The table of the stream: never more rows than a page, however many series come. */

import { element } from "/dashboard/shared/element.js";
import { COLUMNS, seriesRow } from "/dashboard/stream/row.js";

/** Rows on a page. */
export const PAGE = 100;

export class SeriesTable {
  /** @type {Map<string, {series: Record<string, any>, row: HTMLElement}>} */
  #shown = new Map();
  #body = element("tbody", { role: "rowgroup" });

  constructor() {
    const headings = COLUMNS.map(([name, heading]) =>
      element(
        "th",
        { role: "columnheader", scope: "col", class: `cell-${name}` },
        name === "preview" ? element("span", { class: "for-readers" }, heading) : heading,
      ),
    );
    this.element = element(
      "table",
      { class: "stream", role: "table" },
      element("caption", { class: "for-readers" }, "Series, the newest first"),
      element("thead", { role: "rowgroup" }, element("tr", { role: "row" }, ...headings)),
      this.#body,
    );
  }

  get size() {
    return this.#shown.size;
  }

  /** Show these series and no others. @param {Record<string, any>[]} list */
  replace(list) {
    const before = this.#shown;
    this.#shown = new Map();
    for (const series of list) {
      const known = before.get(series.SeriesInstanceUID);
      const isSame = known !== undefined && looksLike(known.series, series);
      this.#shown.set(series.SeriesInstanceUID, isSame ? known : { series, row: seriesRow(series) });
    }
    this.#body.replaceChildren(...[...this.#shown.values()].map(({ row }) => row));
  }

  /** Show a newer state of a series; return whether it is on the page. @param {Record<string, any>} series */
  update(series) {
    const known = this.#shown.get(series.SeriesInstanceUID);
    if (known === undefined) {
      return false;
    }
    const isNewer = known.series.UpdatedAt < series.UpdatedAt;
    if (isNewer || (series.HasPreview && !known.series.HasPreview)) {
      const row = isNewer ? fresh(seriesRow(series)) : seriesRow(series);
      const focused = known.row.contains(document.activeElement);
      known.row.replaceWith(row);
      this.#shown.set(series.SeriesInstanceUID, { series, row });
      if (focused) {
        row.querySelector("a")?.focus();
      }
    }
    return true;
  }

  /** Show a series no more; return whether it was on the page. @param {string} uid */
  remove(uid) {
    this.#shown.get(uid)?.row.remove();
    return this.#shown.delete(uid);
  }

  /** Put new series above all, the last of them first. @param {Record<string, any>[]} list */
  prepend(list) {
    const rows = [];
    for (const series of list.slice(-PAGE)) {
      const row = fresh(seriesRow(series));
      this.#shown.set(series.SeriesInstanceUID, { series, row });
      rows.unshift(row);
    }
    this.#body.prepend(...rows);
    const [...all] = this.#body.children;
    for (const row of all.slice(PAGE)) {
      this.#shown.delete(row.getAttribute("data-uid") ?? "");
      row.remove();
    }
  }
}

/**
 * @param {Record<string, any>} one
 * @param {Record<string, any>} other
 */
function looksLike(one, other) {
  return one.UpdatedAt === other.UpdatedAt && one.HasPreview === other.HasPreview;
}

/** @param {HTMLElement} row */
function fresh(row) {
  row.classList.add("fresh");
  return row;
}
