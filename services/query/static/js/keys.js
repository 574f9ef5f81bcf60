// The keyboard: / search, j k rows, Enter opens, t light or dark, ? help.
export function bindKeys() {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.matches?.("input, select, textarea")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    const act = actions[event.key];
    if (act && act(event) !== false) event.preventDefault();
  });
}

const actions = {
  "/": () => document.getElementById("search")?.focus(),
  "?": () => document.getElementById("keys-help")?.showModal(),
  j: () => move(1),
  k: () => move(-1),
  t: () => document.dispatchEvent(new CustomEvent("spendstream:theme")),
  Enter: (event) => {
    const link = event.target.closest?.("[data-row]")?.querySelector("a");
    if (!link || event.target.closest("a, button")) return false;
    link.click();
  },
};

function move(step) {
  const rows = [...document.querySelectorAll("[data-row]")].filter((row) => !row.hidden && row.offsetParent !== null);
  if (!rows.length) return;
  const here = rows.indexOf(document.activeElement?.closest?.("[data-row]"));
  const next = rows[here < 0 ? (step > 0 ? 0 : rows.length - 1) : Math.max(0, Math.min(rows.length - 1, here + step))];
  next.tabIndex = -1;
  next.focus({ preventScroll: true });
  next.scrollIntoView({ block: "nearest" });
}
