// Danger dialogs: a[data-dialog] fetches its own address as a fragment into the one <dialog> of the page.
// Without script the same link is a page. Forms in the dialog are sent from here: 422 shows the form again.

const dialog = document.getElementById("dialog");
const HEADERS = { "HX-Request": "true", "HX-Request-Type": "partial" };

function fill(html) {
  const parsed = new DOMParser().parseFromString(html, "text/html");
  dialog.replaceChildren(...parsed.body.childNodes);
  if (!dialog.querySelector("[data-cancel]")) {
    const foot = document.createElement("div");
    foot.className = "dialog__foot";
    const close = Object.assign(document.createElement("button"), { type: "button", className: "button" });
    close.dataset.cancel = "";
    close.textContent = "Close";
    foot.append(close);
    dialog.append(foot);
  }
  window.htmx?.process(dialog);
}

function failed(text) {
  const notice = document.createElement("div");
  notice.className = "dialog__body";
  notice.setAttribute("role", "alert");
  notice.textContent = text;
  fill("");
  dialog.prepend(notice);
}

async function open(link) {
  try {
    const response = await fetch(link.href, { headers: HEADERS });
    const elsewhere = response.headers.get("HX-Redirect"); // to the sign-in page
    if (elsewhere) return location.assign(elsewhere);
    fill(await response.text());
  } catch {
    failed("The portal does not answer. Nothing was changed; try again.");
  }
  if (!dialog.open) dialog.showModal();
  dialog.querySelector("[data-cancel]")?.focus();
}

async function send(form, submitter) {
  const body = new URLSearchParams(new FormData(form, submitter));
  try {
    const response = await fetch(form.action, { method: "POST", headers: HEADERS, body });
    finish(response, await response.text());
  } catch {
    const words = "No answer came, so it is not known whether this was done. Close, and look at the state before you repeat it.";
    failed(words);
    dialog.querySelector("[data-cancel]")?.focus();
  }
}

function finish(response, text) {
  const target = response.headers.get("HX-Redirect") || (response.redirected && response.url);
  if (target) return location.assign(target);
  if (response.ok) {
    dialog.close();
    const names = (response.headers.get("HX-Trigger") || "").trim();
    const events = names.startsWith("{") ? Object.keys(JSON.parse(names)) : names.split(",");
    events.filter(Boolean).forEach((name) => document.body.dispatchEvent(new CustomEvent(name.trim(), { bubbles: true })));
    return;
  }
  fill(text);
  (dialog.querySelector('[aria-invalid="true"]') ?? dialog.querySelector("[data-cancel]"))?.focus();
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-dialog]");
  if (link && dialog && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
    event.preventDefault();
    open(link);
  }
  if (event.target.closest("[data-cancel]") && dialog?.open) {
    event.preventDefault();
    dialog.close();
  }
  const filler = event.target.closest("[data-fill]");
  const field = filler && document.getElementById(filler.dataset.fill);
  if (field) {
    field.value = filler.dataset.fillWith ?? filler.textContent.trim();
    field.dispatchEvent(new Event("input", { bubbles: true }));
    field.focus();
  }
});

dialog?.addEventListener("submit", (event) => {
  if (event.defaultPrevented) return; // a second submit, stopped by forms.js
  event.preventDefault();
  send(event.target, event.submitter);
});
dialog?.addEventListener("close", () => dialog.replaceChildren());
