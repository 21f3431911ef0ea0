/** All that is known of one series. */

import { historyList } from "/dashboard/series/history.js";
import { instanceStrip } from "/dashboard/series/instance-strip.js";
import { Problem, read } from "/dashboard/shared/api.js";
import { link, seriesPath } from "/dashboard/shared/address.js";
import { detailOf } from "/dashboard/shared/change-feed.js";
import { element, foreign } from "/dashboard/shared/element.js";
import { bytes, count, counted, dicomDate, exact } from "/dashboard/shared/format.js";
import { empty, failure, flagList, modalityBadge, patientName, preview } from "/dashboard/shared/parts.js";
import { PreviewWatch } from "/dashboard/shared/preview-watch.js";

export class SeriesPage {
  title = "Series ";
  #reading = new AbortController();
  #previews = new PreviewWatch(() => this.#read());

  /**
   * @param {string} uid
   * @param {import("/dashboard/shared/change-feed.js").ChangeFeed} feed
   */
  constructor(uid, feed) {
    this.uid = uid;
    this.feed = feed;
    this.heading = element("h1", { tabindex: -1 }, "Series");
    this.content = element("div", { "aria-busy": "true" });
    this.element = element(
      "div",
      { class: "page series-page" },
      element("nav", { class: "trail", "aria-label": "Trail" }, element("a", { href: link([]) }, "Series")),
      this.heading,
      this.content,
    );
    this.onChange = (/** @type {Event} */ event) => {
      if (detailOf(event).series.SeriesInstanceUID === uid) {
        this.#read();
      }
    };
    this.onFresh = () => this.#read();
  }

  enter() {
    this.feed.addEventListener("change", this.onChange);
    this.feed.addEventListener("fresh", this.onFresh);
    this.#read();
  }

  leave() {
    this.feed.removeEventListener("change", this.onChange);
    this.feed.removeEventListener("fresh", this.onFresh);
    this.#reading.abort();
    this.#previews.leave();
  }

  async #read() {
    this.#reading.abort();
    this.#reading = new AbortController();
    try {
      const path = seriesPath(this.uid);
      const series = await read(path, null, this.#reading.signal);
      this.#show(series);
      this.#previews.add(series);
    } catch (problem) {
      if (!(problem instanceof Problem)) {
        if (problem.name === "AbortError") {
          return;
        }
        throw problem;
      }
      const unknown = problem.status === 404;
      this.heading.replaceChildren("Series"); // it may have been deleted, and its name with it
      this.content.replaceChildren(
        unknown
          ? empty("No such series", "No series with this UID is registered: ", element("code", {}, this.uid))
          : failure(problem, () => this.#read()),
      );
    }
    this.content.setAttribute("aria-busy", "false");
  }

  /** @param {Record<string, any>} series */
  #show(series) {
    this.heading.replaceChildren(patientName(series.PatientName));
    this.content.replaceChildren(
      element(
        "div",
        { class: "series-head" },
        element(
          "div",
          { class: "series-title" },
          modalityBadge(series.Modality),
          element("span", {}, foreign(series.SeriesDescription || "No description")),
          flagList(series),
        ),
      ),
      element(
        "div",
        { class: "series-columns" },
        element(
          "div",
          { class: "series-main" },
          section("History", historyList(series)),
          series.MissingInstanceNumbers.length ? section("Instance numbers", instanceStrip(series)) : "",
          series.ConflictingInstances.length
            ? section(
                "Conflicting instances",
                element("p", {}, "These came more than once with different content. The first is counted, the others are kept beside it at the gateway."),
                uids(series.ConflictingInstances),
              )
            : "",
          series.DamagedInstances.length
            ? section(
                "Damaged instances",
                element("p", {}, "The files of these were found damaged at the gateway. They are not counted; send them again."),
                uids(series.DamagedInstances),
              )
            : "",
          series.InconsistentAttributes.length ? section("Inconsistent instances", ...inconsistent(series)) : "",
        ),
        element(
          "aside",
          { class: "series-aside", "aria-label": "Details" },
          preview(series, { size: 256, alt: "Preview of the series", lazy: false }),
          fields(series),
        ),
      ),
    );
  }
}

/**
 * @param {string} title
 * @param {...import("/dashboard/shared/element.js").Child} content
 */
function section(title, ...content) {
  return element("section", { class: "card" }, element("h2", {}, title), ...content);
}

/** @param {Record<string, any>} series */
function inconsistent(series) {
  const attributes = series.InconsistentAttributes.join(" and ");
  const named = series.InconsistentInstances;
  const total = series.InconsistentInstanceCount;
  const some = total > named.length ? ` ${count(named.length)} of them are named here.` : "";
  const which = named.length
    ? ` ${counted(total, "instance")} of another study or patient than most:${some}`
    : "";
  return [
    element("p", {}, `The instances of this series disagree on ${attributes}. What most of them say is shown.${which}`),
    named.length ? uids(named) : "",
  ];
}

/** @param {string[]} list */
function uids(list) {
  return element("ul", { class: "uids" }, ...list.map((uid) => element("li", {}, element("code", {}, uid))));
}

/** @param {Record<string, any>} series */
function fields(series) {
  /** @param {string} name */
  const query = (name) => link([], new URLSearchParams({ [name]: series[name] }));
  /** @param {string} name */
  const filtered = (name) =>
    series[name] ? element("a", { href: query(name), title: "Show all that have this" }, foreign(series[name])) : null;
  const rows = [
    ["Instances", count(series.InstancesInSeries)],
    ["Size", series.Bytes === null ? null : bytes(series.Bytes)],
    ["Patient ID", filtered("PatientID")],
    ["Patient name, as sent", series.PatientName ? foreign(series.PatientName) : null],
    ["Study", series.StudyDescription ? foreign(series.StudyDescription) : null],
    ["Study date", series.StudyDate ? dicomDate(series.StudyDate) : null],
    ["Accession number", filtered("AccessionNumber")],
    ["Series number", series.SeriesNumber],
    ["Body part", series.BodyPartExamined ? foreign(series.BodyPartExamined) : null],
    ["Manufacturer", series.Manufacturer ? foreign(series.Manufacturer) : null],
    ["Sent by", series.CallingAETitle ? foreign(series.CallingAETitle) : null],
    ["Gateway", filtered("Gateway")],
    ["Registered", exact(new Date(series.ReceivedAt))],
    ["Updated", series.UpdatedAt === series.ReceivedAt ? null : exact(new Date(series.UpdatedAt))],
    ["Revision", series.Revision],
    ["Series Instance UID", element("code", {}, series.SeriesInstanceUID)],
    ["Study Instance UID", element("a", { href: query("StudyInstanceUID"), title: "Show all series of the study" }, element("code", {}, series.StudyInstanceUID))],
  ];
  return element(
    "dl",
    { class: "fields" },
    ...rows
      .filter(([, value]) => value !== null && value !== undefined)
      .map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value))),
  );
}
