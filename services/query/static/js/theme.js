// Light or dark: the reader's system decides until the toggle does; the choice is a cookie, so the server's first
// paint already has it.
const root = document.documentElement;
const system = matchMedia("(prefers-color-scheme: dark)");

export function isDark() {
  return root.dataset.theme ? root.dataset.theme === "dark" : system.matches;
}

export function bindTheme(onChange) {
  system.addEventListener("change", onChange);
  document.addEventListener("click", (event) => {
    if (event.target.closest?.("[data-theme-toggle]")) toggle(onChange);
  });
  document.addEventListener("spendstream:theme", () => toggle(onChange));
}

function toggle(onChange) {
  const chosen = isDark() ? "light" : "dark";
  root.dataset.theme = chosen;
  document.cookie = `spendstream_theme=${chosen}; path=/; max-age=31536000; samesite=lax`;
  onChange();
}
