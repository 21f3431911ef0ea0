/** What is remarkable about a series. */

import { count, counted, runsAsText } from "/dashboard/shared/format.js";

/**
 * @typedef {object} Flag
 * @property {"late" | "missing" | "conflicting" | "inconsistent" | "damaged" | "invalid"} kind
 * @property {string} label
 * @property {string} explanation
 */

/**
 * Give the flags of a series, the worst first.
 * @param {Record<string, any>} series
 * @returns {Flag[]}
 */
export function flagsOf(series) {
  /** @type {Flag[]} */
  const flags = [];
  const damaged = series.DamagedInstances.length;
  if (damaged) {
    flags.push({
      kind: "damaged",
      label: `${count(damaged)} damaged`,
      explanation: `${counted(damaged, "file")} of received instances found damaged; not counted`,
    });
  }
  const conflicting = series.ConflictingInstances.length;
  if (conflicting) {
    flags.push({
      kind: "conflicting",
      label: `${count(conflicting)} conflicting`,
      explanation: `${counted(conflicting, "instance")} came again with other content`,
    });
  }
  const inconsistent = series.InconsistentInstanceCount;
  if (inconsistent || series.InconsistentAttributes.length) {
    const which = inconsistent ? `; ${counted(inconsistent, "instance")} not as most` : "";
    flags.push({
      kind: "inconsistent",
      label: inconsistent ? `${count(inconsistent)} inconsistent` : "inconsistent",
      explanation: `Its instances disagree on ${series.InconsistentAttributes.join(" and ")}${which}`,
    });
  }
  if (series.InvalidUIDs?.length) {
    flags.push({
      kind: "invalid",
      label: "no UID",
      explanation: `No valid UID: ${series.InvalidUIDs.join(" and ")}`,
    });
  }
  const missing = series.MissingInstanceNumbers.length;
  if (missing) {
    flags.push({
      kind: "missing",
      label: `${count(missing)} missing`,
      explanation: `Instance numbers not received: ${runsAsText(series.MissingInstanceNumbers)}`,
    });
  }
  if (series.Revision > 1) {
    const added = series.AddedInstances;
    flags.push({
      kind: "late",
      label: added ? `${count(added)} late` : "late",
      explanation: `Instances came after the series had been closed; revision ${series.Revision}`,
    });
  }
  return flags;
}
