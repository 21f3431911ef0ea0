/** What happened to a series, and when: each report as a line of moments. */

import { element, foreign } from "/dashboard/shared/element.js";
import { clock, count, counted, day, duration, exact } from "/dashboard/shared/format.js";

const MOMENTS = [
  ["FirstInstanceAt", "First instance"],
  ["LastInstanceAt", "Last instance"],
  ["ClosedAt", "Closed"],
  ["DeliveredAt", "Delivered"],
  ["RegisteredAt", "Registered"],
];

/**
 * Give the moments of one report that are known, and the seconds since the one before.
 * @param {Record<string, any>} entry of the history
 * @param {Record<string, any>} series the row
 */
export function momentsOf(entry, series) {
  const isFirst = entry.ReceivedAt === series.ReceivedAt;
  const values = {
    ...entry.Report,
    // The report comes with the delivery; with the first one the series is registered.
    DeliveredAt: isFirst ? null : entry.ReceivedAt,
    RegisteredAt: isFirst ? entry.ReceivedAt : null,
  };
  const known = MOMENTS.filter(([name]) => values[name]);
  return known.map(([name, text], position) => {
    const at = new Date(values[name]);
    const before = position ? new Date(values[known[position - 1][0]]) : null;
    const both = name === "RegisteredAt" ? "Delivered, registered" : text;
    return { text: both, at, since: before === null ? null : (at.getTime() - before.getTime()) / 1000 };
  });
}

/** @param {Record<string, any>} series with its history */
export function historyList(series) {
  return element("ol", { class: "history" }, ...series.History.map((/** @type {Record<string, any>} */ entry) => revision(entry, series)));
}

/**
 * @param {Record<string, any>} entry of its history
 * @param {Record<string, any>} series
 */
function revision(entry, series) {
  const report = entry.Report;
  const added = report.AddedInstances === null ? null : `, ${count(report.AddedInstances)} added`;
  return element(
    "li",
    {},
    element(
      "div",
      { class: "history-head" },
      element("h3", {}, `Revision ${report.Revision}`),
      element("span", {}, counted(report.InstancesInSeries, "instance"), added),
      report.Gateway ? element("span", { class: "second" }, "from ", foreign(report.Gateway)) : null,
    ),
    element("ol", { class: "timeline" }, ...momentsOf(entry, series).map(moment)),
  );
}

/** @param {{text: string, at: Date, since: number | null}} given */
function moment({ text, at, since }) {
  return element(
    "li",
    {},
    since === null ? null : element("span", { class: "since" }, since < 0 ? "clocks differ" : duration(since)),
    element("span", { class: "moment-name" }, text),
    element("time", { datetime: at.toISOString(), title: exact(at) }, element("span", { class: "day" }, day(at)), " ", clock(at)),
  );
}
