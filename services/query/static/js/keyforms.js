// Making and revoking keys, through the same API that everybody has.
export function bindKeyForms() {
  document.querySelector("form[data-new-key]")?.addEventListener("submit", (event) => {
    event.preventDefault();
    make(event.target);
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-revoke]");
    if (button && confirm(`Revoke the key “${button.dataset.name}”? Whoever uses it is shut out at once.`)) revoke(button);
  });
}

async function make(form) {
  const fields = Object.fromEntries([...new FormData(form)].filter(([, value]) => value !== ""));
  const answer = await fetch("/api/v1/keys", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(fields),
  }).catch(() => null);
  const said = await answer?.json().catch(() => ({}));
  const fault = form.querySelector("[data-fault]");
  const made = form.querySelector("[data-made]");
  fault.hidden = answer?.ok === true;
  made.hidden = !answer?.ok;
  if (answer?.ok) made.querySelector("code").textContent = said.data.key;
  else fault.textContent = said?.errors?.map((one) => `${one.parameter}: ${one.detail}`).join("; ") || said?.detail || "No answer; try again.";
}

async function revoke(button) {
  const answer = await fetch(`/api/v1/keys/${encodeURIComponent(button.dataset.revoke)}`, { method: "DELETE" }).catch(() => null);
  if (answer?.ok) location.reload();
  else button.textContent = "failed, try again";
}
