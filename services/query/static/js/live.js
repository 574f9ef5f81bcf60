// The figures: htmx asks for them when the stream says so, every five seconds where there is no stream, idiomorph puts
// in what changed. A page nobody looks at, or on which something is being dragged, does not ask. When the answer fails
// the figures stay and the dot says so.
import { bindStream, isTold, noteAsked, sinceAsked } from "./stream.js";

// What the stream does not tell of, an earlier day corrected or an hour begun, is there after this at the latest.
const POLL_BESIDE_STREAM_MS = 30_000;

export function bindLive(onFigures) {
  const root = document.body;
  let seen = "";
  if (window.Idiomorph) {
    window.Idiomorph.defaults.callbacks.beforeNodeMorphed = (old) => !old.matches?.("[data-keep]");
    window.Idiomorph.defaults.callbacks.beforeAttributeUpdated = (name) => !["data-ready", "aria-sort", "tabindex"].includes(name);
    window.Idiomorph.defaults.ignoreActiveValue = true;
  }
  root.addEventListener("htmx:confirm", (event) => {
    if (event.target.id !== "figures") return;
    const canWait = isTold() && event.detail.triggeringEvent?.type !== "spendstream:figures" && sinceAsked() < POLL_BESIDE_STREAM_MS;
    if (canWait || document.hidden || document.querySelector("[data-busy]")) event.preventDefault();
    else noteAsked();
  });
  root.addEventListener("htmx:configRequest", (event) => {
    if (event.target.id === "figures" && seen) event.detail.headers["X-Seen"] = seen;
  });
  root.addEventListener("htmx:afterRequest", (event) => {
    if (event.target.id !== "figures") return;
    const { xhr, successful } = event.detail;
    if (!successful) return stale(xhr?.status);
    seen = xhr.getResponseHeader("X-Seen") ?? "";
    const through = xhr.getResponseHeader("X-Through");
    if (through) dot(through.split(" ")[0], through.slice(through.indexOf(" ") + 1));
  });
  root.addEventListener("htmx:afterSwap", () => {
    current();
    onFigures();
  });
  bindStream(dot);
  root.addEventListener("htmx:responseError", (event) => {
    if (event.detail.xhr.status === 401) location.reload();
  });
}

function dot(state, text) {
  const live = document.getElementById("live");
  if (!live) return;
  live.dataset.state = state;
  live.lastElementChild.textContent = text;
}

function current() {
  const figures = document.getElementById("figures");
  if (figures) dot(figures.dataset.throughState, figures.dataset.through);
}

function stale(status) {
  dot("stale", status ? "figures can’t be refreshed; trying again" : "no connection; trying again");
}
