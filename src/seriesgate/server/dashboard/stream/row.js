/** One series as a row of the stream. */

import { link } from "/dashboard/shared/address.js";
import { direction, element, foreign } from "/dashboard/shared/element.js";
import { count } from "/dashboard/shared/format.js";
import { flagList, modalityBadge, moment, patientName, preview } from "/dashboard/shared/parts.js";

/** The columns: class and heading. */
export const COLUMNS = [
  ["preview", "Preview"],
  ["patient", "Patient"],
  ["modality", "Modality"],
  ["description", "Description"],
  ["instances", "Instances"],
  ["flags", "Remarks"],
  ["gateway", "Gateway"],
  ["received", "Received"],
  ["revision", "Rev."],
];

/**
 * @param {Record<string, any>} series
 * @returns {HTMLElement}
 */
export function seriesRow(series) {
  const target = link(["series", series.SeriesInstanceUID]);
  /** @type {Record<string, import("/dashboard/shared/element.js").Child | HTMLElement[]>} */
  const cells = {
    preview: preview(series, { size: 40 }),
    patient: [
      element("a", { class: "row-link", href: target, dir: direction(series.PatientName) }, patientName(series.PatientName)),
      foreign(series.PatientID || "no ID", { class: "second patient-id", title: series.PatientID }),
    ],
    modality: modalityBadge(series.Modality),
    description: [
      described(series),
      foreign(series.StudyDescription, { class: "second" }),
    ],
    instances: element("span", {}, count(series.InstancesInSeries)),
    flags: flagList(series),
    gateway: foreign(series.Gateway || "–", { title: series.Gateway }),
    received: moment(series.ReceivedAt),
    revision: element("span", {}, series.Revision),
  };
  return element(
    "tr",
    { role: "row", "data-uid": series.SeriesInstanceUID },
    ...COLUMNS.map(([name, heading]) =>
      element("td", { role: "cell", class: `cell-${name}`, "data-heading": heading }, cells[name]),
    ),
  );
}

/** @param {Record<string, any>} series */
function described(series) {
  if (series.SeriesDescription) {
    return foreign(series.SeriesDescription, { class: "first", title: series.SeriesDescription });
  }
  return series.SeriesNumber === null
    ? element("span", { class: "first nothing" }, "–")
    : element("span", { class: "first" }, `Series ${series.SeriesNumber}`);
}
