// What makes the pages move. Everything is readable without it: the server sends figures and drawings, this adds
// charts one can point at, sorting, search, keys, and the poll that keeps the figures current.
import { hydrateCharts, repaintCharts } from "./charts.js";
import { bindKeyForms } from "./keyforms.js";
import { bindKeys } from "./keys.js";
import { bindLive } from "./live.js";
import { bindTables, resort } from "./tables.js";
import { bindTheme } from "./theme.js";
import { bindTips } from "./tips.js";

bindTheme(repaintCharts);
bindTables();
bindTips();
bindKeys();
bindKeyForms();
bindLive(() => {
  resort();
  hydrateCharts();
});
hydrateCharts();

for (const form of document.querySelectorAll("form[data-auto]")) {
  form.addEventListener("change", () => form.requestSubmit());
}
document.addEventListener("click", (event) => {
  for (const open of document.querySelectorAll("details.drop[open]")) {
    if (!open.contains(event.target)) open.open = false;
  }
});
document.addEventListener("submit", (event) => {
  const { confirm: question } = event.target.dataset;
  if (question && !confirm(question)) event.preventDefault();
});
