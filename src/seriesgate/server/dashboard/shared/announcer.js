/** Tells people who listen to the page what others see change. */

const PAUSE = 4000;
let timer = 0;
let waiting = "";

/**
 * Say something, not more often than every few seconds; what was not said yet is replaced.
 * @param {string} text
 */
export function announce(text) {
  waiting = text;
  if (timer === 0) {
    speak();
  }
}

function speak() {
  timer = 0;
  if (waiting) {
    /** @type {HTMLElement} */ (document.getElementById("announcer")).textContent = waiting;
    waiting = "";
    timer = setTimeout(speak, PAUSE);
  }
}
