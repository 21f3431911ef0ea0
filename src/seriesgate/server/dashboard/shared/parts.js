/** Small parts that several pages show. */

import { seriesPath } from "/dashboard/shared/address.js";
import { element, foreign } from "/dashboard/shared/element.js";
import { flagsOf } from "/dashboard/shared/flags.js";
import { ago, clock, day, exact } from "/dashboard/shared/format.js";
import { personNames } from "/dashboard/shared/person-name.js";

/**
 * A patient's name in all its scripts.
 * @param {string} value of PatientName
 */
export function patientName(value) {
  const [first, ...others] = personNames(value);
  if (first === undefined) {
    return element("span", { class: "nameless" }, "No name");
  }
  const more = others.map((name) => [" ", foreign(name, { class: "other-script" })]).flat();
  return element("span", { class: "patient-name", title: [first, ...others].join(" · ") }, foreign(first), ...more);
}

/** @param {Record<string, any>} series */
export function flagList(series) {
  const flags = flagsOf(series).map(({ kind, label, explanation }) =>
    element("li", { class: `flag flag-${kind}`, title: explanation }, label),
  );
  return flags.length ? element("ul", { class: "flags" }, ...flags) : null;
}

/**
 * The preview of a series, or a quiet place where it would be.
 * @param {Record<string, any>} series
 * @param {{size: number, alt?: string, lazy?: boolean}} options
 */
export function preview(series, { size, alt = "", lazy = true }) {
  const place = element("span", { class: "preview", "data-modality": series.Modality.slice(0, 2) });
  if (!series.HasPreview) {
    return place;
  }
  const image = element("img", {
    alt,
    width: size,
    height: size,
    loading: lazy ? "lazy" : "eager",
    decoding: "async",
    error: () => image.remove(),
    load: () => place.classList.add("has-image"),
    src: `${seriesPath(series.SeriesInstanceUID)}/preview`,
  });
  place.append(image);
  return place;
}

/** @param {string} modality */
export function modalityBadge(modality) {
  return modality
    ? foreign(modality, { class: "modality", title: modality })
    : element("span", { class: "nothing", title: "Modality unknown" }, "–");
}

/**
 * A moment as time of day, with its day unless that is today.
 * @param {string} value ISO 8601
 */
export function moment(value) {
  const at = new Date(value);
  const today = day(at) === day(new Date());
  return element(
    "time",
    { datetime: value, title: exact(at) },
    today ? null : element("span", { class: "day" }, `${day(at)} `),
    clock(at),
  );
}

/**
 * A moment as how long ago it was; `refreshAges` keeps it right.
 * @param {string} value ISO 8601
 */
export function age(value) {
  const at = new Date(value);
  return element("time", { datetime: value, title: exact(at), "data-age": true }, ago(at));
}

/** Bring all ages on the page up to date. */
export function refreshAges() {
  for (const node of document.querySelectorAll("time")) {
    if (node.dataset.age !== undefined) {
      node.textContent = ago(new Date(node.dateTime));
    }
  }
}

/**
 * What stands where there is nothing to show.
 * @param {string} title
 * @param {...(Node | string)} text
 */
export function empty(title, ...text) {
  return element("div", { class: "empty" }, element("h2", {}, title), element("p", {}, ...text));
}

/**
 * What stands where something could not be read.
 * @param {Error} problem
 * @param {() => void} again
 */
export function failure(problem, again) {
  return element(
    "div",
    { class: "empty failure", role: "alert" },
    element("h2", {}, "This could not be read"),
    element("p", {}, problem.message),
    element("button", { class: "button", click: again }, "Try again"),
  );
}
