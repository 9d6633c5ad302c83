// Keyboard: "/" filter, "g" and a letter, j/k rows, p pause, "?" help, and elements that name their own data-key.
// Single keys can be switched off on the account (html[data-shortcuts]) and never fire while typing.

const help = document.getElementById("keys");
let going = false;

const isTyping = (element) => element.closest("input:not([type=checkbox]), textarea, select, [contenteditable], [role=combobox]") !== null;

function move(step) {
  const links = [...document.querySelectorAll("[data-rows] tbody th[scope=row] a, [data-rows] > li > a")];
  if (links.length === 0) return;
  const row = document.activeElement.closest("tr, li");
  const at = links.findIndex((link) => link.closest("tr, li") === row);
  const next = links[Math.min(Math.max(at + step, 0), links.length - 1)];
  next.focus();
  next.scrollIntoView({ block: "nearest" });
}

function go(letter) {
  const link = document.querySelector(`[data-go="${CSS.escape(letter)}"]`);
  if (link) location.assign(link.href);
}

function act(key) {
  if (key === "g") {
    going = true;
    setTimeout(() => (going = false), 1500);
  } else if (key === "/") document.querySelector("[data-filter]")?.focus();
  else if (key === "j" || key === "k") move(key === "j" ? 1 : -1);
  else if (key === "p") document.querySelector("[data-live-switch]:not([hidden])")?.click();
  else if (key === "?") help?.showModal();
  else {
    const target = document.querySelector(`[data-key="${CSS.escape(key)}"]:not(:disabled)`);
    if (!target) return false;
    target.focus();
    target.click();
  }
  return true;
}

document.addEventListener("keydown", (event) => {
  if (!document.documentElement.hasAttribute("data-shortcuts")) return;
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (isTyping(event.target) || document.querySelector("dialog[open]")) return;
  if (going) {
    going = false;
    go(event.key);
    event.preventDefault();
  } else if (event.key.length === 1 && act(event.key)) event.preventDefault();
});

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-help]") && help) {
    event.preventDefault();
    document.getElementById("rail")?.matches(":popover-open") && document.getElementById("rail").hidePopover();
    help.showModal();
  }
  if (event.target.closest("[data-close]")) event.target.closest("dialog")?.close();
});
