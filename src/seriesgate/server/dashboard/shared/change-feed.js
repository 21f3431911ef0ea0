/** Follows the changes of series, through breaks and sleep, and never while nobody looks. */

import { read } from "/dashboard/shared/api.js";

const FIRST_WAIT = 1000;
const LONGEST_WAIT = 30000;

/**
 * What an event of the feed tells.
 * @param {Event} event
 * @returns {any}
 */
export function detailOf(event) {
  return /** @type {CustomEvent} */ (event).detail;
}

/**
 * Events: `change` with `detail: {outcome, series}`, where of a series that was deleted `series` has
 * its SeriesInstanceUID alone; `fresh` when changes may have been missed and
 * lists must be read anew; `state` with `detail` "live", "connecting" or "refused".
 *
 * A tab that is hidden lets go of its stream: a browser has few connections to one server, and
 * every stream keeps one.
 */
export class ChangeFeed extends EventTarget {
  /** @type {EventSource | null} */
  #source = null;
  #lastId = "";
  #timer = 0;
  #wait = FIRST_WAIT;
  #running = false;
  /** @type {"live" | "connecting" | "refused"} */
  state = "connecting";

  constructor() {
    super();
    document.addEventListener("visibilitychange", () => this.#follow());
    window.addEventListener("online", () => this.#follow());
  }

  start() {
    this.#running = true;
    this.#follow();
  }

  stop() {
    this.#running = false;
    this.#follow();
  }

  #follow() {
    const wanted = this.#running && document.visibilityState === "visible";
    if (!wanted) {
      this.#close();
      this.#lastId = ""; // what comes meanwhile is read from the lists
    } else if (this.#source === null) {
      clearTimeout(this.#timer);
      this.#open();
    }
  }

  #open() {
    this.#tell("connecting");
    const source = new EventSource(this.#lastId ? `/events?after=${this.#lastId}` : "/events");
    this.#source = source;
    source.onopen = () => {
      this.#wait = FIRST_WAIT;
      this.#tell("live");
      if (!this.#lastId) {
        this.dispatchEvent(new Event("fresh"));
      }
    };
    source.onerror = () => {
      this.#tell("connecting");
      if (source.readyState === EventSource.CLOSED) {
        this.#close();
        this.#retry();
      }
    };
    // We were away so long that the server has let go of changes.
    source.addEventListener("forgotten", () => this.dispatchEvent(new Event("fresh")));
    for (const outcome of ["created", "updated", "deleted"]) {
      source.addEventListener(outcome, (event) => {
        this.#lastId = event.lastEventId;
        const detail = { outcome, series: JSON.parse(event.data) };
        this.dispatchEvent(new CustomEvent("change", { detail }));
      });
    }
  }

  /** The stream does not say why it was refused. */
  async #retry() {
    try {
      await read("/session");
    } catch (problem) {
      if (problem.status === 401) {
        this.#tell("refused");
        return;
      }
    }
    if (this.#running && this.#source === null) {
      this.#timer = setTimeout(() => this.#follow(), this.#wait);
      this.#wait = Math.min(LONGEST_WAIT, 2 * this.#wait);
    }
  }

  #close() {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = null;
  }

  /** @param {"live" | "connecting" | "refused"} state */
  #tell(state) {
    if (state !== this.state) {
      this.state = state;
      this.dispatchEvent(new CustomEvent("state", { detail: state }));
    }
  }
}
