// Runs before the first paint, so that a page in the dark does not flash. Not a module for that
// reason: modules wait for the document.
(() => {
  const KEY = "seriesgate-theme";

  /** @param {string} theme */
  function apply(theme) {
    if (theme === "light" || theme === "dark") {
      document.documentElement.dataset.theme = theme;
    } else {
      delete document.documentElement.dataset.theme;
    }
  }

  function read() {
    try {
      return localStorage.getItem(KEY) ?? "system";
    } catch {
      return "system"; // a browser that keeps nothing
    }
  }

  /** @param {string} theme */
  function choose(theme) {
    apply(theme);
    try {
      localStorage.setItem(KEY, theme);
    } catch {
      // It holds for this page then.
    }
  }

  apply(read());
  Object.assign(window, { seriesgateTheme: { read, choose } });
})();
