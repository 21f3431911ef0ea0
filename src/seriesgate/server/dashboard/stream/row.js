/** One series as a row of the stream. */

import { link } from "/dashboard/shared/address.js";
import { element, foreign } from "/dashboard/shared/element.js";
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
  const cells = {
    preview: preview(series, { size: 40 }),
    patient: [
      element("a", { class: "row-link", href: target }, patientName(series.PatientName)),
      foreign(series.PatientID || "no ID", { class: "second patient-id", title: series.PatientID }),
    ],
    modality: modalityBadge(series.Modality),
    description: [
      element("span", { class: "first" }, described(series)),
      element("span", { class: "second" }, foreign(series.StudyDescription)),
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

function described(series) {
  if (series.SeriesDescription) {
    return foreign(series.SeriesDescription, { title: series.SeriesDescription });
  }
  return series.SeriesNumber === null
    ? element("span", { class: "nothing" }, "–")
    : `Series ${series.SeriesNumber}`;
}
