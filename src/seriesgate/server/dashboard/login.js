/** Logging in with a token. */

import { change } from "/dashboard/shared/api.js";
import { element } from "/dashboard/shared/element.js";

export class LoginPage {
  title = "Log in";

  /** @param {() => void} done called once the server knows the token */
  constructor(done) {
    this.done = done;
    this.input = element("input", {
      type: "password",
      name: "token",
      id: "token",
      required: true,
      maxlength: 512,
      autocomplete: "current-password",
      spellcheck: "false",
      "aria-describedby": "token-hint",
    });
    this.problem = element("p", { class: "login-problem", role: "alert" });
    this.button = element("button", { class: "button primary", type: "submit" }, "Log in");
    this.element = element(
      "div",
      { class: "page login" },
      element("h1", { tabindex: -1 }, "Log in"),
      element(
        "form",
        {
          submit: (/** @type {Event} */ event) => {
            event.preventDefault();
            this.#submit();
          },
        },
        element("label", { for: "token" }, "Token"),
        this.input,
        this.problem,
        this.button,
        element(
          "p",
          { class: "hint", id: "token-hint" },
          "An administrator makes one with ",
          element("code", {}, "seriesgate token create NAME --scope read"),
          ". You stay logged in for twelve hours.",
        ),
      ),
    );
  }

  enter() {
    this.input.focus();
  }

  leave() {}

  async #submit() {
    this.button.disabled = true;
    this.problem.textContent = "";
    try {
      // A header takes ASCII; no token has anything else.
      const token = this.input.value.trim().replace(/[^!-~]/g, "?");
      await change("POST", "/session", { Authorization: `Bearer ${token}` });
    } catch (problem) {
      this.problem.textContent = explained(problem);
      this.input.select();
      return;
    } finally {
      this.button.disabled = false;
    }
    this.input.value = "";
    this.done();
  }
}

/** @param {import("/dashboard/shared/api.js").Problem} problem */
function explained(problem) {
  switch (problem.status) {
    case 401:
      return "The server does not know this token. It may have been revoked.";
    case 429:
      return `Too many wrong tokens came from here. Try again in ${problem.retryAfter ?? 60} seconds.`;
    default:
      return problem.message;
  }
}
