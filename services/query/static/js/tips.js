// One tooltip for everything that names its figures: data-tip is the title, data-tip-rows "name=text|name=text".
let tip;

export function bindTips() {
  document.addEventListener("pointerover", (event) => show(event.target.closest?.("[data-tip]"), event));
  document.addEventListener("pointermove", (event) => tip && !tip.hidden && place(event.clientX, event.clientY));
  document.addEventListener("focusin", (event) => {
    const target = event.target.closest?.("[data-tip]");
    if (!target) return hide();
    const box = target.getBoundingClientRect();
    show(target, { clientX: box.left + box.width / 2, clientY: box.bottom });
  });
  document.addEventListener("keydown", (event) => event.key === "Escape" && hide());
}

function hide() {
  if (tip) tip.hidden = true;
}

function show(target, at) {
  if (!target) return hide();
  if (!tip) {
    tip = document.createElement("div");
    tip.className = "tip";
    tip.setAttribute("role", "status");
    document.body.append(tip);
  }
  const rows = target.dataset.tipRows.split("|").map((line) => {
    const cut = line.lastIndexOf("=");
    return { name: line.slice(0, cut), text: line.slice(cut + 1) };
  });
  tip.replaceChildren(...card(target.dataset.tip, rows));
  tip.hidden = false;
  place(at.clientX, at.clientY);
}

function place(x, y) {
  const { width, height } = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(8, Math.min(x + 14, innerWidth - width - 8))}px`;
  tip.style.top = `${y + 18 + height > innerHeight ? Math.max(8, y - height - 10) : y + 18}px`;
}

// Title and rows as elements: text is only ever text. A row is {name, text, share, colour, sum}.
export function card(title, rows, note) {
  const head = document.createElement("b");
  head.textContent = title;
  const list = document.createElement("dl");
  for (const row of rows) {
    const name = document.createElement("dt");
    if (row.colour) {
      const dot = document.createElement("i");
      dot.className = `dot ${row.colour}`;
      name.append(dot);
    }
    name.append(row.name);
    const text = document.createElement("dd");
    text.textContent = row.text;
    const share = document.createElement("dd");
    share.className = "share";
    share.textContent = row.share ?? "";
    for (const cell of [name, text, share]) row.sum && cell.classList.add("sum");
    list.append(name, text, share);
  }
  const parts = [head, list];
  if (note) {
    const line = document.createElement("p");
    line.textContent = note;
    parts.push(line);
  }
  return parts;
}
