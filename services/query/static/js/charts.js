// Hydrates the drawings the server sent: same numbers, same axis, same margins, so nothing moves.
// Bars: click leads into the bucket, dragging zooms to the days dragged over.
import { card } from "./tips.js";

const charts = new Map();
let library;

// The drawings stand there from the first paint on; the library, which is large, is asked for beside it.
export function hydrateCharts() {
  if (window.echarts) hydrate();
  else if (document.querySelector("[data-chart]")) load().then(hydrate);
}

function load() {
  library ??= new Promise((there) => {
    const script = document.createElement("script");
    script.src = "/static/vendor/echarts/echarts.min.js";
    script.addEventListener("load", there);
    document.head.append(script);
  });
  return library;
}

function hydrate() {
  for (const holder of document.querySelectorAll("[data-chart]")) {
    const source = document.querySelector(`script[data-for="${holder.id}"]`);
    if (source) paint(holder, source.textContent);
  }
  for (const [holder, one] of charts) {
    if (!holder.isConnected) {
      one.chart.dispose();
      one.watch.disconnect();
      charts.delete(holder);
    }
  }
}

export function repaintCharts() {
  for (const one of charts.values()) one.draw();
}

function paint(holder, text) {
  const known = charts.get(holder);
  if (known?.text === text) return;
  const data = JSON.parse(text);
  if (known) {
    Object.assign(known, { text, data });
    known.draw();
    return;
  }
  const chart = window.echarts.init(holder.querySelector(".canvas"), null, { renderer: "canvas" });
  const one = { chart, text, data, draw: () => chart.setOption(option(holder, one.data), true) };
  one.watch = new ResizeObserver(() => {
    chart.resize();
    one.draw();
  });
  one.watch.observe(holder);
  charts.set(holder, one);
  one.draw();
  holder.dataset.ready = "";
  bindPointer(holder, one);
}

function colour(name) {
  const probe = document.createElement("i");
  probe.className = name;
  probe.hidden = true;
  document.body.append(probe);
  const value = getComputedStyle(probe).getPropertyValue("--c").trim();
  probe.remove();
  return value;
}

function option(holder, data) {
  const style = getComputedStyle(document.documentElement);
  const token = (name) => style.getPropertyValue(name).trim();
  const narrow = matchMedia("(max-width: 720px)").matches;
  const named = new Map(
    data.labels.filter(([, , odd]) => !(narrow && odd)).map(([x, text]) => [Math.round((x * data.titles.length) / 100 - 0.5), text]),
  );
  const font = { fontFamily: token("--font"), fontSize: 11, color: token("--ink-3") };
  return {
    animation: false,
    textStyle: font,
    grid: { left: narrow ? 44 : 52, right: 8, top: 22, bottom: 26 },
    tooltip: {
      trigger: "axis",
      confine: true,
      padding: 0,
      borderWidth: 0,
      backgroundColor: "transparent",
      extraCssText: "box-shadow:none",
      transitionDuration: 0,
      axisPointer: { type: data.kind === "stack" ? "shadow" : "line", shadowStyle: { color: token("--ink"), opacity: 0.05 }, lineStyle: { color: token("--line-strong") } },
      formatter: (points) => tooltip(data, points[0].dataIndex),
    },
    xAxis: {
      type: "category",
      data: data.titles,
      boundaryGap: true,
      axisTick: { show: false },
      axisLine: { lineStyle: { color: token("--line-strong") } },
      axisLabel: { ...font, margin: 10, interval: (index) => named.has(index), formatter: (_, index) => named.get(index) ?? "", hideOverlap: false },
    },
    yAxis: {
      type: "value",
      min: 0,
      max: data.axis.top,
      interval: data.axis.top / data.axis.steps,
      splitLine: { lineStyle: { color: token("--line") } },
      axisLabel: { ...font, margin: 8, formatter: (value) => data.axis.labels[Math.round((value * data.axis.steps) / data.axis.top)] },
    },
    series: data.kind === "stack" ? bars(data, token) : lines(data),
  };
}

function bars(data, token) {
  const parts = data.series.map((one) => ({
    type: "bar",
    name: one.name,
    stack: "all",
    barWidth: "64%",
    cursor: "pointer",
    emphasis: { disabled: true },
    itemStyle: { color: colour(one.colour), borderRadius: data.titles.length > 40 ? 0 : 2, borderColor: token("--panel"), borderWidth: data.titles.length > 40 ? 0 : 1 },
    data: one.values.map((value, index) => (index === data.running ? { value, itemStyle: { color: hatched(colour(one.colour), token("--hatch")) } } : value)),
  }));
  if (data.tops) {
    // Nothing on top of each stack, which carries the total.
    parts.push({
      type: "bar",
      stack: "all",
      silent: true,
      data: data.titles.map(() => 0),
      label: {
        show: true,
        position: "top",
        distance: 5,
        formatter: ({ dataIndex }) => (data.series.some((one) => one.values[dataIndex]) ? data.topTexts[dataIndex] : ""),
        color: token("--ink-2"),
        fontWeight: 560,
        fontSize: 11,
        fontFamily: token("--font"),
      },
    });
  }
  return parts;
}

// The incomplete bucket: its colour under diagonal lines, as in the drawing.
function hatched(ground, line) {
  const size = 8;
  const tile = document.createElement("canvas");
  tile.width = tile.height = size;
  const pen = tile.getContext("2d");
  pen.fillStyle = ground;
  pen.fillRect(0, 0, size, size);
  pen.strokeStyle = line;
  pen.lineWidth = 3;
  for (const shift of [-size, 0, size]) {
    pen.beginPath();
    pen.moveTo(shift, size);
    pen.lineTo(shift + size, 0);
    pen.stroke();
  }
  return { image: tile, repeat: "repeat" };
}

function lines(data) {
  return data.series.map((one, index) => ({
    type: "line",
    name: one.name,
    showSymbol: false,
    step: data.kind === "steps" ? "middle" : false,
    lineStyle: { width: 2 },
    itemStyle: { color: colour(one.colour) },
    areaStyle: index === 0 && data.kind === "lines" ? { opacity: 0.1 } : undefined,
    emphasis: { disabled: true },
    data: data.kind === "steps" ? one.values.map((value, i) => (one.texts[i] ? value : null)) : one.values,
  }));
}

function tooltip(data, index) {
  const rows = data.series
    .map((one) => ({ name: one.name, text: one.texts[index], share: one.shares[index], colour: one.colour }))
    .filter((row) => row.text && row.text !== "0");
  if (data.totals.length) rows.push({ name: "total", text: data.totals[index], sum: true });
  const box = document.createElement("div");
  box.className = "tip still";
  box.append(...card(data.titles[index], rows, data.notes[index]));
  const frame = document.createElement("div");
  frame.className = "tip-frame";
  frame.append(box);
  return frame;
}

function bindPointer(holder, one) {
  const zr = one.chart.getZr();
  let from = null;
  let band = null;
  const bucketAt = (x) => {
    const index = one.chart.convertFromPixel({ xAxisIndex: 0 }, x);
    return Math.max(0, Math.min(one.data.titles.length - 1, index));
  };
  zr.on("mousedown", (event) => {
    if (one.data.hrefs.length && one.chart.containPixel("grid", [event.offsetX, event.offsetY])) from = event.offsetX;
  });
  zr.on("mousemove", (event) => {
    if (from === null || Math.abs(event.offsetX - from) < 8) return;
    if (!band) {
      band = document.createElement("div");
      band.className = "brush";
      holder.append(band);
      holder.dataset.busy = "";
    }
    band.style.left = `${Math.min(from, event.offsetX)}px`;
    band.style.width = `${Math.abs(event.offsetX - from)}px`;
  });
  const finish = (event) => {
    if (from === null) return;
    const [first, last] = [bucketAt(Math.min(from, event.offsetX ?? from)), bucketAt(Math.max(from, event.offsetX ?? from))];
    const dragged = band !== null;
    band?.remove();
    delete holder.dataset.busy;
    from = band = null;
    if (dragged && first !== last) location.assign(zoomed(one.data, first, last));
    else if (!dragged && event.type === "mouseup") location.assign(one.data.hrefs[first]);
  };
  zr.on("mouseup", finish);
  zr.on("globalout", finish);
}

function zoomed(data, first, last) {
  const target = new URL(data.hrefs[last], location.href);
  target.searchParams.set("startDate", data.days[first]);
  return target.href;
}
