// Server-sent events say when totals have changed; the figures are then asked for at once instead of at the next poll.
// Each event holds the whole state, so a browser that comes back after a restart has missed nothing. Only a page that
// is looked at listens: a browser has few connections to one host. Without a stream the poll goes on as it was.
const AGAIN_MS = 15_000;
const GAP_MS = 2_000;
const STALE_MS = 60_000;
let stream = null;
let totals = "";
let asked = 0;
let waiting = 0;

export function bindStream(onThrough) {
  const begin = () => listen(onThrough);
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : begin()));
  addEventListener("pagehide", close);
  addEventListener("pageshow", begin);
  begin();
}

// Whether a poll can wait: the stream would tell.
export function isTold() {
  return stream?.readyState === EventSource.OPEN;
}

export function noteAsked() {
  asked = Date.now();
}

export function sinceAsked() {
  return Date.now() - asked;
}

function listen(onThrough) {
  const source = document.getElementById("figures")?.dataset.stream;
  if (!source || document.hidden || stream) return;
  stream = new EventSource(source);
  stream.addEventListener("open", () => {
    totals = "";
    mark("open");
  });
  stream.addEventListener("totals", (event) => told(JSON.parse(event.data), onThrough));
  stream.addEventListener("error", () => {
    mark("");
    // A line that broke is tried again by the browser itself; an answer that was no stream ends it.
    if (stream?.readyState !== EventSource.CLOSED) return;
    close();
    setTimeout(() => listen(onThrough), AGAIN_MS);
  });
}

function close() {
  stream?.close();
  stream = null;
  mark("");
}

function mark(state) {
  const live = document.getElementById("live");
  if (live) live.dataset.stream = state;
}

function told(state, onThrough) {
  const now = JSON.stringify([state.totals, state.unpriced_events, state.late_events]);
  if (now !== totals) refresh();
  totals = now;
  const at = new Date(state.data_through ?? NaN);
  const behind = Date.now() - at;
  if (behind < STALE_MS) onThrough("live", `data through ${clock(at)}`);
}

function clock(at) {
  const timeZone = document.getElementById("figures")?.dataset.zone;
  return at.toLocaleTimeString("en-GB", { timeZone });
}

function refresh() {
  if (waiting) return;
  waiting = setTimeout(() => {
    waiting = 0;
    document.getElementById("figures")?.dispatchEvent(new Event("spendstream:figures"));
  }, Math.max(0, GAP_MS - sinceAsked()));
}
