/** The top of every page: where one can go, whether the page is live, who one is. */

import { detailOf } from "/dashboard/shared/change-feed.js";
import { element, foreign, svg } from "/dashboard/shared/element.js";

const LINKS = [
  ["stream", "#/", "Series"],
  ["charts", "#/charts", "Charts"],
  ["gateways", "#/gateways", "Gateways"],
];
const STATES = { live: "Live", connecting: "Connecting", refused: "Signed out" };
const THEMES = [
  ["system", "System"],
  ["light", "Light"],
  ["dark", "Dark"],
];

export class Header {
  /**
   * @param {HTMLElement} place
   * @param {{feed: import("/dashboard/shared/change-feed.js").ChangeFeed, logOut: () => void}} given
   */
  constructor(place, { feed, logOut }) {
    this.logOut = logOut;
    this.links = new Map(LINKS.map(([kind, href, text]) => [kind, element("a", { href }, text)]));
    this.nav = element("nav", { "aria-label": "Pages" }, ...this.links.values());
    this.state = element("span", { class: "live", role: "status" });
    this.account = element("div", { class: "account" });
    feed.addEventListener("state", (event) => this.#showState(detailOf(event)));
    this.#showState(feed.state);
    place.replaceChildren(
      element("a", { class: "brand", href: "#/" }, mark(), "seriesgate"),
      this.nav,
      element("div", { class: "frame-tools" }, this.state, themeSwitch(), this.account),
    );
    this.signedOut();
  }

  /** Mark a kind of page as the current one. @param {string} kind */
  select(kind) {
    const page = kind === "series" ? "stream" : kind;
    for (const [name, anchor] of this.links) {
      anchor.toggleAttribute("data-current", name === page);
      if (name === kind) {
        anchor.setAttribute("aria-current", "page");
      } else {
        anchor.removeAttribute("aria-current");
      }
    }
  }

  /** @param {{name: string | null}} session */
  signedIn({ name }) {
    this.nav.hidden = false;
    this.state.hidden = false;
    this.account.replaceChildren(
      ...(name === null
        ? []
        : [
            foreign(name, { class: "account-name", title: `Signed in with the token ${name}` }),
            element("button", { class: "button quiet", click: this.logOut }, "Log out"),
          ]),
    );
  }

  signedOut() {
    this.nav.hidden = true;
    this.state.hidden = true;
    this.account.replaceChildren();
  }

  /** @param {keyof typeof STATES} state */
  #showState(state) {
    this.state.dataset.state = state;
    this.state.textContent = STATES[state];
  }
}

function mark() {
  /** @type {(x: number, y: number, height: number) => SVGElement} */
  const bar = (x, y, height) => svg("rect", { x, y, width: 4, height, rx: 1.5 });
  return svg(
    "svg",
    { viewBox: "0 0 20 18", width: 20, height: 18, "aria-hidden": "true" },
    bar(0, 1, 16),
    bar(7, 1, 16),
    bar(14, 1, 9),
    bar(14, 13, 4),
  );
}

function themeSwitch() {
  const theme = /** @type {any} */ (window).seriesgateTheme; // theme.js sets it
  const select = element(
    "select",
    { "aria-label": "Colours", class: "theme", change: () => theme.choose(select.value) },
    ...THEMES.map(([value, text]) => element("option", { value, selected: value === theme.read() }, text)),
  );
  return select;
}
