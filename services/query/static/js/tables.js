// Every table with sort buttons sorts, every CSV button downloads. Sorting survives a refresh.
const chosen = new Map();

export function bindTables() {
  document.addEventListener("click", (event) => {
    const sort = event.target.closest?.("[data-sort]");
    if (sort) choose(sort);
    const csv = event.target.closest?.("[data-csv]");
    if (csv) download(document.getElementById(csv.dataset.csv));
  });
  const search = document.getElementById("search");
  search?.addEventListener("input", filter);
}

export function resort() {
  for (const id of chosen.keys()) {
    const table = document.getElementById(id);
    if (table) sort(table);
  }
  filter();
}

function choose(button) {
  const header = button.closest("th");
  const table = header.closest("table");
  const before = chosen.get(table.id);
  const numeric = header.classList.contains("r");
  const again = before?.column === header.cellIndex;
  chosen.set(table.id, { column: header.cellIndex, down: again ? !before.down : numeric });
  sort(table);
}

function value(row, column) {
  const cell = row.cells[column];
  return cell.dataset.value ?? cell.textContent.trim();
}

function sort(table) {
  const { column, down } = chosen.get(table.id);
  const body = table.tBodies[0];
  for (const header of table.tHead.rows[0].cells) header.removeAttribute("aria-sort");
  table.tHead.rows[0].cells[column].setAttribute("aria-sort", down ? "descending" : "ascending");
  const rows = [...body.rows].sort((a, b) => compare(value(a, column), value(b, column)) * (down ? -1 : 1));
  // To move the row that has the focus takes the focus from it.
  const focused = document.activeElement;
  body.append(...rows);
  if (focused !== document.activeElement) focused.focus({ preventScroll: true });
}

function compare(a, b) {
  const [x, y] = [Number(a), Number(b)];
  if (a !== "" && b !== "" && !Number.isNaN(x) && !Number.isNaN(y)) return x - y;
  if (a === "" || b === "") return a === b ? 0 : a === "" ? -1 : 1;
  return a.localeCompare(b);
}

function filter() {
  const search = document.getElementById("search");
  if (!search) return;
  const wanted = search.value.trim().toLowerCase();
  for (const row of document.querySelectorAll("[data-row]")) {
    row.hidden = wanted !== "" && !row.textContent.toLowerCase().includes(wanted);
  }
  // What lies above the table one searches makes room for what is found.
  for (const panel of document.querySelectorAll("[data-gives-way]")) {
    panel.hidden = wanted !== "" && !panel.querySelector("[data-row]:not([hidden])");
  }
}

// A spreadsheet runs what begins with = + - @; a leading apostrophe keeps text text. Numbers pass as they are.
function field(text) {
  const plain = text.replaceAll("\u202f", " ").trim();
  const safe = /^[=+\-@\t\r]/.test(plain) && Number.isNaN(Number(plain)) ? `'${plain}` : plain;
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

function download(table) {
  const head = [...table.tHead.rows[0].cells].map((cell) => field(cell.textContent));
  const body = [...table.tBodies[0].rows].map((row) => [...row.cells].map((cell) => field(cell.dataset.value ?? cell.textContent)).join(","));
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([[head.join(","), ...body].join("\r\n") + "\r\n"], { type: "text/csv" }));
  link.download = `spendstream-${table.dataset.file}.csv`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
