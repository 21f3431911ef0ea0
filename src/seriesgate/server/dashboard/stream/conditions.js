/** Which series are wanted: as the URL has it, as the server takes it, and for a series at hand. */

/** The conditions that a value must equal, with what people call them. */
export const EXACT = {
  PatientID: "Patient ID",
  Modality: "Modality",
  Gateway: "Gateway",
  AccessionNumber: "Accession number",
  StudyInstanceUID: "Study UID",
};

/** All conditions, in the order in which they are shown. @type {Record<string, string>} */
export const LABELS = {
  text: "Text",
  ...EXACT,
  received_from: "From",
  received_before: "Before",
};

const SEARCHED = [
  "PatientName",
  "PatientID",
  "AccessionNumber",
  "StudyDescription",
  "SeriesDescription",
];

/**
 * Give the conditions of an address that are known and not empty.
 * @param {URLSearchParams} query
 * @returns {URLSearchParams}
 */
export function conditionsOf(query) {
  const found = new URLSearchParams();
  for (const name of Object.keys(LABELS)) {
    const value = query.get(name);
    if (value?.trim()) {
      found.set(name, value.trim());
    }
  }
  return found;
}

/**
 * Return whether a series meets every condition, as the server would decide.
 * @param {Record<string, any>} series
 * @param {URLSearchParams} conditions
 */
export function meets(series, conditions) {
  for (const [name, value] of conditions) {
    if (name === "text") {
      const wanted = folded(value);
      if (!SEARCHED.some((field) => folded(series[field]).includes(wanted))) {
        return false;
      }
    } else if (name === "received_from") {
      if (new Date(series.ReceivedAt) < new Date(value)) {
        return false;
      }
    } else if (name === "received_before") {
      if (new Date(series.ReceivedAt) >= new Date(value)) {
        return false;
      }
    } else if (series[name].trim().normalize() !== value.normalize()) {
      return false;
    }
  }
  return true;
}

/** Text in the form in which neither case nor the way accents are written matters. @param {string} text */
function folded(text) {
  return text.toLowerCase().normalize();
}
