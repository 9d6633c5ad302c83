// form[data-once]: the second submit does nothing. The form wakes up when the page comes back from history.

document.addEventListener(
  "submit",
  (event) => {
    const form = event.target;
    if (!form.matches("[data-once]")) return;
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "yes";
    form.setAttribute("aria-busy", "true");
  },
  { capture: true },
);

window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-once][data-sent]")) {
    delete form.dataset.sent;
    form.removeAttribute("aria-busy");
  }
});

// Selects and checkboxes of form[data-auto] apply at once; its button stays for those without script.
document.addEventListener("change", (event) => {
  if (event.target.matches("select, [type=checkbox]")) event.target.closest("form[data-auto]")?.requestSubmit();
});

document.addEventListener("click", (event) => {
  event.target.closest("[data-dismiss]")?.closest("[data-toast]")?.remove();
});
