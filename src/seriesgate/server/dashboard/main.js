/**
 * Starts the page: who is there, which page is wanted, and what is the same on all of them.
 * Decided in ADR 30: no framework.
 */

import { ChartsPage } from "/dashboard/charts/page.js";
import { GatewaysPage } from "/dashboard/gateways/page.js";
import { Header } from "/dashboard/header.js";
import { LoginPage } from "/dashboard/login.js";
import { SeriesPage } from "/dashboard/series/page.js";
import { change, read } from "/dashboard/shared/api.js";
import { parseAddress } from "/dashboard/shared/address.js";
import { ChangeFeed, detailOf } from "/dashboard/shared/change-feed.js";
import { element } from "/dashboard/shared/element.js";
import { empty, failure, refreshAges } from "/dashboard/shared/parts.js";
import { StreamPage } from "/dashboard/stream/page.js";

const AGES = 10000;

/**
 * @typedef {object} Page
 * @property {string} title
 * @property {HTMLElement} element
 * @property {(address: import("/dashboard/shared/address.js").Address) => void} enter
 * @property {(address: import("/dashboard/shared/address.js").Address) => void} [update] another
 *   address of the same page; without it the page is made anew
 * @property {() => void} leave
 */

/** @typedef {{name: string | null, scopes: string[]}} Session */

const feed = new ChangeFeed();
const main = placed("main");
/** @type {Page | null} */
let current = null;
let currentKind = "";
/** @type {Session | null} */
let session = null;

const header = new Header(placed("header"), { feed, logOut });

/**
 * Give a part of the document that index.html has.
 * @param {string} id
 * @returns {HTMLElement}
 */
function placed(id) {
  return /** @type {HTMLElement} */ (document.getElementById(id));
}

/**
 * Give the kind of page that an address is for, and what makes one.
 * @param {string[]} path
 * @returns {[kind: string, make: () => Page]}
 */
function pageFor([first = "", second, ...rest]) {
  if (rest.length === 0) {
    switch (second === undefined ? first : `${first}/`) {
      case "":
        return ["stream", () => new StreamPage(feed)];
      case "charts":
        return ["charts", () => new ChartsPage(feed)];
      case "gateways":
        return ["gateways", () => new GatewaysPage()];
      case "series/":
        return [`series ${second}`, () => new SeriesPage(second, feed)];
    }
  }
  return ["none", () => missing()];
}

/** @returns {Page} */
function missing() {
  const all = element("a", { href: "#/" }, "All series");
  const page = element("div", { class: "page" }, element("h1", { tabindex: -1 }, "No such page"), empty("There is nothing here", all));
  return { title: "No such page", element: page, enter() {}, leave() {} };
}

function show() {
  if (session === null) {
    return;
  }
  const address = parseAddress(location.hash);
  const [kind, make] = pageFor(address.path);
  header.select(kind.split(" ")[0]);
  if (current && kind === currentKind && current.update) {
    current.update(address);
    return;
  }
  const isFirst = current === null;
  const page = make();
  place(page);
  currentKind = kind;
  page.enter(address);
  if (!isFirst) {
    window.scrollTo({ top: 0 });
    page.element.querySelector("h1")?.focus({ preventScroll: true });
  }
}

/** @param {Page} page */
function place(page) {
  current?.leave();
  current = page;
  currentKind = "";
  document.title = page.title === "Series" ? "seriesgate" : `${page.title} · seriesgate`;
  main.replaceChildren(page.element);
}

async function begin() {
  try {
    session = /** @type {Session} */ (await read("/session"));
  } catch (problem) {
    if (problem.status === 401) {
      askForToken();
    } else {
      main.replaceChildren(failure(problem, begin));
    }
    return;
  }
  header.signedIn(session);
  feed.start();
  current = null;
  show();
}

function askForToken() {
  session = null;
  feed.stop();
  header.signedOut();
  const page = new LoginPage(begin);
  place(page);
  page.enter();
}

async function logOut() {
  await change("DELETE", "/session");
  askForToken();
}

window.addEventListener("hashchange", show);
window.addEventListener("unauthorized", () => session !== null && askForToken());
feed.addEventListener("state", (event) => detailOf(event) === "refused" && askForToken());
placed("skip").addEventListener("click", (event) => {
  event.preventDefault(); // the fragment is the address of the page
  main.focus();
});
setInterval(refreshAges, AGES);
begin();
