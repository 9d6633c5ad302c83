// Rows that can be ticked for a command on many: the tick of the heading, the words of the bar, and the key x.

const rows = () => [...document.querySelectorAll("[data-select-row]")];

function say() {
  const words = document.querySelector("[data-selected]");
  if (!words) return;
  words.dataset.many ??= words.textContent.trim();
  const ticked = rows().filter((row) => row.checked).length;
  const all = document.querySelector("[data-select-all]")?.checked;
  words.textContent = all ? "All that match" : ticked ? `${ticked} chosen` : words.dataset.many;
  const page = document.querySelector("[data-select-page]");
  page.checked = ticked > 0 && ticked === rows().length;
  page.indeterminate = ticked > 0 && !page.checked;
}

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-select-page]")) rows().forEach((row) => (row.checked = event.target.checked));
  if (event.target.matches("[data-select-page]:not(:checked)")) {
    const all = document.querySelector("[data-select-all]");
    if (all) all.checked = false;
  }
  if (event.target.matches("[data-select]")) say();
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "x" || !document.documentElement.hasAttribute("data-shortcuts")) return;
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const tick = document.activeElement.closest("a, [data-select-row]")?.closest("tr")?.querySelector("[data-select-row]");
  if (!tick) return;
  event.preventDefault();
  tick.checked = !tick.checked;
  say();
});

window.addEventListener("pageshow", say);
