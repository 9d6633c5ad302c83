// button[data-copy]: copies its value, shows a tick for two seconds and says so.

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
  } catch {
    const area = Object.assign(document.createElement("textarea"), { value: button.dataset.copy }); // plain http
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
    button.focus();
  }
  button.setAttribute("data-copied", "");
  document.dispatchEvent(new CustomEvent("announce", { detail: "Copied" }));
  setTimeout(() => button.removeAttribute("data-copied"), 2000);
});
