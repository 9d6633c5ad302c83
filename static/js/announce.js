// The one polite status region. Says changes of [data-announce] and "announce" events, at most every 15 s.

const QUIET_MILLISECONDS = 15_000;
const said = new Map(); // id of the region -> last text
let last = 0;
let waiting = null;

function say(text) {
  clearTimeout(waiting);
  const rest = last + QUIET_MILLISECONDS - Date.now();
  if (rest > 0) {
    waiting = setTimeout(() => say(text), rest); // the newest text wins
    return;
  }
  last = Date.now();
  const region = document.getElementById("announcer");
  if (region) region.textContent = text;
}

for (const element of document.querySelectorAll("[data-announce][id]")) said.set(element.id, element.dataset.announce);

document.addEventListener("htmx:after:swap", () => {
  for (const element of document.querySelectorAll("[data-announce][id]")) {
    const text = element.dataset.announce;
    if (said.has(element.id) && said.get(element.id) !== text && text) say(text);
    said.set(element.id, text);
  }
});

document.addEventListener("announce", (event) => say(event.detail));
