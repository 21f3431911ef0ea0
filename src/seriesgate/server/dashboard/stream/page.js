/** The stream of series: a list that grows by itself, with filters that live in the URL. */

import { Problem, read } from "/dashboard/shared/api.js";
import { link } from "/dashboard/shared/address.js";
import { announce } from "/dashboard/shared/announcer.js";
import { detailOf } from "/dashboard/shared/change-feed.js";
import { element } from "/dashboard/shared/element.js";
import { counted } from "/dashboard/shared/format.js";
import { empty, failure } from "/dashboard/shared/parts.js";
import { PreviewWatch } from "/dashboard/shared/preview-watch.js";
import { conditionsOf, meets } from "/dashboard/stream/conditions.js";
import { Filters } from "/dashboard/stream/filters.js";
import { Summary } from "/dashboard/stream/summary.js";
import { PAGE, SeriesTable } from "/dashboard/stream/table.js";

/** How far down the page a reader may be for rows to come in above; farther down they'd jump. */
const NEAR_TOP = 320;
/** How long the list waits for the stream to open, in milliseconds. */
const PATIENCE = 1000;

export class StreamPage {
  title = "Series";
  #conditions = new URLSearchParams();
  #cursor = "";
  #table = new SeriesTable();
  #previews = new PreviewWatch((series) => this.#table.update(series));
  #summary = new Summary();
  #filters;
  /** New series that are not shown yet, the oldest first. @type {Map<string, Record<string, any>>} */
  #waiting = new Map();
  /** Series that were deleted while the list was on its way. @type {Set<string>} */
  #gone = new Set();
  #frame = 0;
  #first = 0;
  #reading = new AbortController();
  #ready = false;

  /** @param {import("/dashboard/shared/change-feed.js").ChangeFeed} feed */
  constructor(feed) {
    this.feed = feed;
    this.#filters = new Filters((conditions) => this.#choose(conditions));
    this.list = element("div", { class: "list", "aria-busy": "true" });
    this.pager = element("nav", { class: "pager", "aria-label": "Pages of the list" });
    this.news = element("button", { class: "button news", hidden: true, click: () => this.#showNews() });
    this.element = element(
      "div",
      { class: "page stream-page" },
      element("h1", { tabindex: -1 }, "Series"),
      this.#summary.element,
      this.#filters.element,
      this.news,
      this.list,
      this.pager,
    );
    /** @type {Record<string, EventListener>} */
    this.listeners = {
      change: (event) => this.#take(detailOf(event)),
      fresh: () => this.#load(),
    };
    this.onScroll = () => !this.news.hidden && this.#schedule();
  }

  /** @param {import("/dashboard/shared/address.js").Address} address */
  enter({ query }) {
    for (const [name, listener] of Object.entries(this.listeners)) {
      this.feed.addEventListener(name, listener);
    }
    window.addEventListener("scroll", this.onScroll, { passive: true });
    this.#summary.refresh(0);
    this.#read(query);
    // The list is read once the stream is open, so that nothing falls between the two.
    if (this.feed.state === "live") {
      this.#load();
    } else {
      this.#first = setTimeout(() => this.#load(), PATIENCE);
    }
  }

  /** Go to other filters or another page of the list. @param {import("/dashboard/shared/address.js").Address} address */
  update({ query }) {
    this.#read(query);
    this.#load();
  }

  leave() {
    for (const [name, listener] of Object.entries(this.listeners)) {
      this.feed.removeEventListener(name, listener);
    }
    window.removeEventListener("scroll", this.onScroll);
    cancelAnimationFrame(this.#frame);
    clearTimeout(this.#first);
    this.#reading.abort();
    this.#filters.leave();
    this.#summary.leave();
    this.#previews.leave();
  }

  /** @param {URLSearchParams} query */
  #read(query) {
    this.#conditions = conditionsOf(query);
    this.#cursor = query.get("cursor") ?? "";
    this.#filters.show(this.#conditions);
  }

  /** @param {URLSearchParams} conditions */
  #choose(conditions) {
    if (String(conditions) !== String(this.#conditions) || this.#cursor) {
      // No step back for each letter that is typed.
      const target = link([], conditions);
      if (document.activeElement?.getAttribute("name") === "text") {
        history.replaceState(null, "", target);
        this.update({ path: [], query: conditions });
      } else {
        location.hash = target;
      }
    }
  }

  async #load() {
    clearTimeout(this.#first);
    this.#reading.abort();
    this.#reading = new AbortController();
    this.#waiting.clear();
    this.#gone.clear();
    this.#ready = false;
    this.list.setAttribute("aria-busy", "true");
    const query = new URLSearchParams(this.#conditions);
    query.set("limit", String(PAGE));
    if (this.#cursor) {
      query.set("cursor", this.#cursor);
    }
    try {
      const page = await read("/series", query, this.#reading.signal);
      const list = page.series.filter((/** @type {any} */ each) => !this.#gone.has(each.SeriesInstanceUID));
      this.#table.replace(list);
      this.#watch(list);
      this.#ready = true;
      this.#showList();
      this.#showPager(page.next_cursor);
      this.#schedule();
    } catch (problem) {
      if (problem instanceof Problem) {
        this.list.replaceChildren(failure(problem, () => this.#load()));
        this.pager.replaceChildren();
      } else if (problem.name !== "AbortError") {
        throw problem;
      } else {
        return; // what aborted it shows the list
      }
    }
    this.list.setAttribute("aria-busy", "false");
  }

  #showList() {
    if (this.#table.size) {
      if (this.#table.element.parentElement !== this.list) {
        this.list.replaceChildren(this.#table.element);
      }
    } else if (String(this.#conditions)) {
      const all = element("a", { href: link([]) }, "Show all series");
      this.list.replaceChildren(empty("No series match", "Nothing that was registered meets these filters. ", all));
    } else {
      this.list.replaceChildren(
        empty(
          "No series yet",
          "Series appear here by themselves as soon as a gateway registers them. To try it: ",
          element("code", {}, "seriesgate send --synthetic 5x100"),
        ),
      );
    }
  }

  /** @param {string | null} following the cursor of the next page */
  #showPager(following) {
    const links = [];
    if (this.#cursor) {
      links.push(element("a", { class: "button", href: link([], this.#conditions) }, "Newest"));
    }
    if (following) {
      const query = new URLSearchParams(this.#conditions);
      query.set("cursor", following);
      links.push(element("a", { class: "button", href: link([], query) }, "Older"));
    }
    this.pager.replaceChildren(...links);
  }

  /**
   * Take a change of the feed; what is shown changes with the next frame.
   * @param {{outcome: string, series: Record<string, any>}} change
   */
  #take({ outcome, series }) {
    this.#summary.refresh();
    if (outcome === "deleted") {
      this.#remove(series.SeriesInstanceUID);
    } else if (outcome === "updated" || this.#waiting.has(series.SeriesInstanceUID)) {
      if (this.#waiting.has(series.SeriesInstanceUID)) {
        this.#waiting.set(series.SeriesInstanceUID, series);
      } else {
        this.#table.update(series) && this.#watch([series]);
      }
    } else if (!this.#cursor && meets(series, this.#conditions)) {
      this.#gone.delete(series.SeriesInstanceUID);
      this.#waiting.set(series.SeriesInstanceUID, series);
      this.#schedule();
    }
  }

  /** @param {string} uid */
  #remove(uid) {
    this.#waiting.delete(uid);
    this.#gone.add(uid);
    if (this.#table.remove(uid)) {
      this.#showList();
    }
    this.#schedule();
  }

  #schedule() {
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame(() => this.#flush());
  }

  #flush() {
    if (!this.#ready) {
      return; // the list is on its way, and is followed by another flush
    }
    for (const [uid, series] of this.#waiting) {
      if (this.#table.update(series)) {
        this.#waiting.delete(uid);
      }
    }
    const news = this.#waiting.size;
    if (news && window.scrollY <= NEAR_TOP) {
      this.#table.prepend([...this.#waiting.values()]);
      this.#watch([...this.#waiting.values()].reverse());
      this.#waiting.clear();
      this.#showList();
      announce(`${counted(news, "series")} came in`);
    }
    this.news.hidden = this.#waiting.size === 0;
    this.news.textContent = `${counted(this.#waiting.size, "new series")}`;
  }

  /** @param {Record<string, any>[]} list of what is shown now, the newest first */
  #watch(list) {
    for (const series of list) {
      this.#previews.add(series);
    }
  }

  #showNews() {
    window.scrollTo({ top: 0 });
    this.#schedule();
  }
}
