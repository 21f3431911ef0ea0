/** Waits for the pictures of series that have just come: a gateway sends one after its report. */

import { seriesPath } from "/dashboard/shared/address.js";
import { Problem, read } from "/dashboard/shared/api.js";

/** How long after each other a series is looked at, in milliseconds. */
const WAITS = [1500, 4000, 15000];
/** How old a series may be for its picture to be on its way, in milliseconds. */
const RECENT = 60000;
/** How many are waited for at a time: while more come, nobody looks at each. */
const MOST = 24;

export class PreviewWatch {
  /** The timers, by the series that they are for. @type {Map<string, number>} */
  #timers = new Map();

  /** @param {(series: Record<string, any>) => void} found is given a series that has a picture now */
  constructor(found) {
    this.found = found;
  }

  /** Wait for the picture of a series, unless it is there or will not come. @param {Record<string, any>} series */
  add(series) {
    const uid = series.SeriesInstanceUID;
    const isRecent = Date.now() - Date.parse(series.UpdatedAt) < RECENT;
    if (!series.HasPreview && isRecent && !this.#timers.has(uid) && this.#timers.size < MOST) {
      this.#wait(uid, 0);
    }
  }

  leave() {
    for (const timer of this.#timers.values()) {
      clearTimeout(timer);
    }
    this.#timers.clear();
  }

  /**
   * @param {string} uid
   * @param {number} attempt
   */
  #wait(uid, attempt) {
    this.#timers.set(uid, setTimeout(() => this.#look(uid, attempt), WAITS[attempt]));
  }

  /**
   * @param {string} uid
   * @param {number} attempt
   */
  async #look(uid, attempt) {
    let series = null;
    try {
      series = await read(seriesPath(uid));
    } catch (problem) {
      if (!(problem instanceof Problem)) {
        throw problem;
      }
    }
    if (!this.#timers.has(uid)) {
      return; // the page was left meanwhile
    }
    if (series?.HasPreview) {
      this.#timers.delete(uid);
      this.found(series);
    } else if (attempt + 1 < WAITS.length) {
      this.#wait(uid, attempt + 1);
    } else {
      this.#timers.delete(uid);
    }
  }
}
