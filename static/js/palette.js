// The palette: Ctrl/Cmd+K or the search link. A combobox over a listbox that the server fills.

const palette = document.getElementById("palette");
const input = document.getElementById("palette-input");
const RECENT = "recent-pages";
let turn = 0;

const list = () => document.getElementById("palette-list");
const options = () => [...palette.querySelectorAll('[role="option"]:not([aria-disabled])')];
const recent = () => JSON.parse(localStorage.getItem(RECENT) ?? "[]");

function remember() {
  if (!/^\/(runs|workflows)\/[^/_]+\/$/.test(location.pathname)) return;
  const title = document.querySelector("h1")?.textContent.trim();
  const rest = recent().filter((page) => page.url !== location.pathname);
  if (title) localStorage.setItem(RECENT, JSON.stringify([{ url: location.pathname, title }, ...rest].slice(0, 5)));
}

function choose(index) {
  const all = options();
  all.forEach((option, i) => option.setAttribute("aria-selected", String(i === index)));
  const chosen = all[index];
  input.setAttribute("aria-activedescendant", chosen?.id ?? "");
  chosen?.scrollIntoView({ block: "nearest" });
}

function addRecent() {
  const pages = recent();
  if (pages.length === 0) return;
  const group = document.createElement("div");
  group.setAttribute("role", "group");
  group.setAttribute("aria-label", "Recent");
  const title = Object.assign(document.createElement("div"), { className: "palette__group", textContent: "Recent" });
  title.setAttribute("role", "presentation");
  group.append(title);
  pages.forEach((page, i) => {
    const link = Object.assign(document.createElement("a"), { className: "palette__item", href: page.url, tabIndex: -1 });
    link.id = `recent-${i}`;
    link.setAttribute("role", "option");
    link.textContent = page.title;
    group.append(link);
  });
  list().prepend(group);
}

async function search() {
  const mine = ++turn;
  const text = input.value.trim();
  const url = `${input.dataset.search}?q=${encodeURIComponent(text)}`;
  try {
    const response = await fetch(url, { headers: { "HX-Request": "true" } });
    const elsewhere = response.headers.get("HX-Redirect"); // to the sign-in page
    if (elsewhere) return location.assign(elsewhere);
    const parsed = new DOMParser().parseFromString(await response.text(), "text/html");
    const found = parsed.getElementById("palette-list");
    if (mine !== turn || !found) return;
    list().replaceWith(found);
  } catch {
    return; // the last results stay
  }
  if (text === "") addRecent();
  choose(0);
  const count = options().length;
  const status = document.getElementById("palette-status");
  if (text) status.textContent = count === 1 ? "1 result" : `${count} results`;
}

function open() {
  if (palette.open) return;
  input.value = "";
  palette.showModal();
  search();
}

let pause = null;
input?.addEventListener("input", () => {
  clearTimeout(pause);
  pause = setTimeout(search, 120);
});

input?.addEventListener("keydown", (event) => {
  const all = options();
  const at = all.findIndex((option) => option.getAttribute("aria-selected") === "true");
  const to = { ArrowDown: (at + 1) % all.length, ArrowUp: (at - 1 + all.length) % all.length, Home: 0, End: all.length - 1 };
  if (event.key === "Enter") all[at]?.click();
  else if (event.key in to && all.length && !(event.key.length < 5 && input.value)) choose(to[event.key]);
  else return;
  event.preventDefault();
});

palette?.addEventListener("click", (event) => event.target === palette && palette.close());
document.addEventListener("click", (event) => {
  if (!event.target.closest("[data-palette]") || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  open();
});
document.addEventListener("keydown", (event) => {
  if (event.key.toLowerCase() !== "k" || !(event.ctrlKey || event.metaKey) || !palette) return;
  if (document.querySelector('[role="alertdialog"][open]')) return;
  event.preventDefault();
  open();
});
if (palette) remember();
