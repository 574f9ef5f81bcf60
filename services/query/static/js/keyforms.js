// Making and revoking keys, through the same API that everybody has.
export function bindKeyForms() {
  document.querySelector("form[data-new-key]")?.addEventListener("submit", (event) => {
    event.preventDefault();
    make(event.target);
  });
  document.addEventListener("click", (event) => {
    const filling = event.target.closest?.("[data-fill-key]");
    if (filling) fill(filling);
    const button = event.target.closest?.("[data-revoke]");
    if (button && confirm(`Revoke the key “${button.dataset.name}”? Whoever uses it is shut out at once.`)) revoke(button);
  });
}

async function ask(fields) {
  const answer = await fetch("/api/v1/keys", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(fields),
  }).catch(() => null);
  return { ok: answer?.ok === true, said: await answer?.json().catch(() => ({})) };
}

function faultOf(said) {
  return said?.errors?.map((one) => `${one.parameter}: ${one.detail}`).join("; ") || said?.detail || "No answer; try again.";
}

// The lines that send a first event get a key of their own, so that they can be copied as they are.
async function fill(button) {
  button.disabled = true;
  const { ok, said } = await ask({ role: "ingest", tenant_id: button.dataset.fillKey, name: "first event" });
  const state = button.closest(".state");
  const fault = state.querySelector("[data-key-fault]");
  fault.hidden = ok;
  button.disabled = false;
  if (!ok) return void (fault.textContent = faultOf(said));
  state.querySelector("[data-own-key]").textContent = said.data.key;
  // The poll must not take away what is shown only once.
  for (const kept of [state.querySelector("pre"), button.parentElement]) kept.dataset.keep = "";
  button.hidden = true;
}

async function make(form) {
  const { ok, said } = await ask(Object.fromEntries([...new FormData(form)].filter(([, value]) => value !== "")));
  const fault = form.querySelector("[data-fault]");
  const made = form.querySelector("[data-made]");
  fault.hidden = ok;
  made.hidden = !ok;
  if (ok) made.querySelector("code").textContent = said.data.key;
  else fault.textContent = faultOf(said);
}

async function revoke(button) {
  const answer = await fetch(`/api/v1/keys/${encodeURIComponent(button.dataset.revoke)}`, { method: "DELETE" }).catch(() => null);
  if (answer?.ok) location.reload();
  else button.textContent = "failed, try again";
}
