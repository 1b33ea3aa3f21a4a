// Improvements of the pages by a script. Without it, everything works with page loads.
(() => {
  const rows = () => [...document.querySelectorAll("tbody tr")];
  let escapes = [];

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      escapes = [...escapes, event.timeStamp].slice(-3);
      if (escapes.length === 3 && escapes[2] - escapes[0] < 2000) {
        document.documentElement.hidden = true;
        document.getElementById("exit")?.submit();
      }
      return;
    }
    if (document.body.dataset.keys !== "on" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, textarea, select")) return;
    const all = rows();
    const here = all.indexOf(document.activeElement.closest("tr"));
    const moves = { j: Math.min(here + 1, all.length - 1), k: Math.max(here - 1, 0) };
    if (event.key in moves) all[moves[event.key]]?.querySelector("a")?.focus();
    if (event.key === "/") {
      const search = document.querySelector("input[type=search], main select, main input:not([type=hidden])");
      if (search) event.preventDefault();
      search?.focus();
    }
    if (event.key === "?") location.assign("/console/settings");
  });

  document.getElementById("problems")?.focus();

  // One click sends one request; the service would answer a second one with the same result.
  document.addEventListener("submit", (event) => {
    if (event.target.dataset.sent) event.preventDefault();
    event.target.dataset.sent = "1";
  });
  addEventListener("pageshow", () => document.querySelectorAll("form").forEach((form) => delete form.dataset.sent));

  // A chosen file fills the text field, so the request is the same as with pasted text.
  document.querySelectorAll("[data-reads-into]").forEach((field) => {
    field.hidden = false;
    field.querySelector("input").addEventListener("change", async (event) => {
      document.getElementById(field.dataset.readsInto).value = await event.target.files[0].text();
    });
  });
  // A job in several steps continues automatically until the page is left.
  const following = document.querySelector("form[data-goes-on]");
  if (following) setTimeout(() => following.requestSubmit(), 500);

  const live = document.querySelector("[data-live]");
  if (live) {
    const stream = new EventSource(live.dataset.live);
    let seen = 0;
    stream.addEventListener("news", () => {
      seen += 1;
      live.textContent = `${seen} new since you opened this page`;
      document.body.dispatchEvent(new Event("news"));
    });
    addEventListener("pagehide", () => stream.close());
  }
})();
