// Live regions, [data-live]: htmx polls them; this decides when a poll may happen and says how old things are.
// Kept state lives in data-kept-* attributes, which a morph leaves alone.

const MISSES_UNTIL_STALE = 3;
const PAUSED = "live-paused";
const regions = () => [...document.querySelectorAll("[data-live][hx-get]")];
const isRegion = (element) => element instanceof Element && element.matches("[data-live]");
const pulse = new WeakMap(); // region -> {at: time of the last good answer, misses}

const pulseOf = (region) => {
  if (!pulse.has(region)) pulse.set(region, { at: Date.now(), misses: 0 });
  return pulse.get(region);
};

const isPaused = () => sessionStorage.getItem(PAUSED) === "yes";

function isBusy(region) {
  const selection = document.getSelection();
  const active = document.activeElement;
  return (
    document.hidden ||
    document.querySelector("dialog[open]") !== null ||
    (!selection.isCollapsed && region.contains(selection.anchorNode)) ||
    (region.contains(active) && active.matches("input, select, textarea")) ||
    region.querySelector('tr[aria-selected="true"], [data-select]:checked') !== null
  );
}

const refresh = (region) => region.dispatchEvent(new CustomEvent("every", { detail: { now: true } }));

document.addEventListener("htmx:before:request", (event) => {
  const { sourceElement: region, sourceEvent: cause } = event.detail.ctx;
  if (!isRegion(region) || cause?.type !== "every" || cause.detail?.now) return;
  if (isPaused() || isBusy(region)) event.preventDefault();
});

document.addEventListener("htmx:after:request", (event) => {
  const { sourceElement: region, response } = event.detail.ctx;
  if (!isRegion(region)) return;
  if (response.status < 400) {
    pulse.set(region, { at: Date.now(), misses: 0 });
    region.removeAttribute("data-kept-stale");
    region.querySelector(":scope > .stale")?.remove();
  } else {
    event.preventDefault(); // an error never replaces what was known, nor does the sign-in page
    missed(region, response.status === 401);
  }
});

document.addEventListener("htmx:error", (event) => {
  const region = event.detail.ctx?.sourceElement;
  if (isRegion(region)) missed(region);
});

function missed(region, isSignedOut = false) {
  const state = pulseOf(region);
  state.misses += isSignedOut ? MISSES_UNTIL_STALE : 1;
  state.reason = isSignedOut ? "you have been signed out" : "the portal does not answer";
  if (state.misses < MISSES_UNTIL_STALE || region.hasAttribute("data-kept-stale")) return;
  region.setAttribute("data-kept-stale", "");
  const bar = Object.assign(document.createElement("div"), { className: "stale" });
  const words = Object.assign(document.createElement("span"), { className: "stale__words" });
  const retry = Object.assign(document.createElement("button"), { type: "button", className: "button button--small" });
  retry.textContent = isSignedOut ? "Sign in" : "Try again";
  retry.dataset.liveRetry = isSignedOut ? "page" : "";
  bar.append(words, retry);
  region.prepend(bar);
  showState();
  announce(`Live updates have stopped: ${state.reason}.`);
}

const announce = (text) => document.dispatchEvent(new CustomEvent("announce", { detail: text }));

function age(milliseconds) {
  const seconds = Math.round(milliseconds / 1000);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min`;
}

function say(region) {
  const words = region.querySelector(":scope > .stale > .stale__words");
  const { at, reason } = pulseOf(region);
  if (words) words.textContent = `This is ${age(Date.now() - at)} old: ${reason}.`;
}

function showState() {
  const all = regions();
  all.filter((region) => region.hasAttribute("data-kept-stale")).forEach(say);
  const button = document.querySelector("[data-live-switch]");
  if (!button) return;
  button.hidden = all.length === 0;
  if (button.hidden) return;
  const oldest = Date.now() - Math.min(...all.map((region) => pulseOf(region).at));
  const stale = all.some((region) => region.hasAttribute("data-kept-stale"));
  const state = isPaused() ? "paused" : stale ? "stale" : "live";
  button.dataset.state = state;
  button.setAttribute("aria-pressed", String(state === "paused"));
  button.title = state === "paused" ? "Go on with live updates (p)" : "Pause live updates (p)";
  const words = { paused: "Paused", stale: `Stale ${age(oldest)}`, live: `Live · ${age(oldest)} ago` };
  button.querySelector(".live__word").textContent = words[state];
}

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-live-switch]")) {
    sessionStorage.setItem(PAUSED, isPaused() ? "no" : "yes");
    if (!isPaused()) regions().forEach(refresh);
    showState();
  }
  const retry = event.target.closest("[data-live-retry]");
  if (retry?.dataset.liveRetry === "page") location.reload();
  else if (retry) refresh(retry.closest("[data-live]"));
});

document.addEventListener("visibilitychange", () => {
  if (!document.hidden && !isPaused()) regions().forEach(refresh);
});

regions().forEach(pulseOf);
showState();
setInterval(showState, 1000);
