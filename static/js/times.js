// Times: the clock of the top bar, relative times that grow older, the tooltip with zone and UTC, this computer's zone.

const root = document.documentElement;
const zone = root.dataset.zone || "UTC";
const here = Intl.DateTimeFormat().resolvedOptions().timeZone;
const clockFormat = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", timeZone: zone });

function relative(milliseconds) {
  const seconds = Math.round(Math.abs(milliseconds) / 1000);
  if (seconds < 5) return "now";
  const words =
    seconds < 60 ? `${seconds} s` : seconds < 7200 ? `${Math.floor(seconds / 60)} min` : `${Math.floor(seconds / 3600)} h`;
  return milliseconds > 0 ? `${words} ago` : `in ${words}`;
}

function tick() {
  const now = Date.now();
  for (const clock of document.querySelectorAll("[data-clock]")) clock.textContent = clockFormat.format(now);
  for (const time of document.querySelectorAll("time[data-relative]")) {
    const apart = now - Date.parse(time.dateTime);
    if (Math.abs(apart) < 86_400_000) time.textContent = relative(apart);
  }
}
setInterval(tick, 10_000);

for (const button of document.querySelectorAll("[data-zone-here]")) {
  button.hidden = here === zone || here === "UTC";
  button.value = here;
  button.append(`, ${here}`);
}

const tip = Object.assign(document.createElement("div"), { className: "tip", id: "tip", popover: "manual" });
tip.setAttribute("role", "tooltip");
document.body.append(tip);
let owner = null;

function show(element) {
  hide();
  owner = element;
  tip.textContent = element.dataset.tip;
  element.setAttribute("aria-describedby", "tip");
  tip.showPopover();
  const box = element.getBoundingClientRect();
  const below = box.bottom + 6 + tip.offsetHeight < innerHeight;
  const left = Math.min(Math.max(8, box.left), innerWidth - tip.offsetWidth - 8);
  tip.style.left = `${left}px`;
  tip.style.top = `${below ? box.bottom + 6 : box.top - tip.offsetHeight - 6}px`;
}

function hide() {
  owner?.removeAttribute("aria-describedby");
  owner = null;
  if (tip.matches(":popover-open")) tip.hidePopover();
}

const tipped = (event) => event.target.closest?.("[data-tip]");
document.addEventListener("pointerover", (event) => {
  const element = tipped(event);
  if (element && element !== owner) show(element);
  else if (!element && owner && event.target !== tip && owner !== document.activeElement) hide();
});
document.addEventListener("focusin", (event) => (tipped(event) ? show(tipped(event)) : hide()));
document.addEventListener("focusout", hide);
const follow = () => (owner === document.activeElement ? owner && show(owner) : hide());
document.addEventListener("scroll", follow, { capture: true, passive: true });
document.addEventListener("keydown", (event) => event.key === "Escape" && hide());
