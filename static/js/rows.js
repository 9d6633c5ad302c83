// Lists that are live, [data-live-rows]: what is new does not push the rows; a bar says how many there are.
// Rows carry an id. Only rows above all known ones count as new; the rest is morphed as it comes.

const keyed = (root) => [...root.querySelectorAll("tbody > tr[id]")];

document.addEventListener("htmx:before:swap", (event) => {
  const { ctx, tasks } = event.detail;
  const region = ctx.sourceElement;
  if (!region?.matches?.("[data-live-rows]") || region.hasAttribute("data-kept-show")) {
    region?.removeAttribute?.("data-kept-show");
    return;
  }
  const fragment = tasks.find((task) => task.type === "main")?.fragment;
  const present = keyed(region);
  const coming = fragment ? keyed(fragment) : [];
  const known = new Set(present.map((row) => row.id));
  const firstKnown = coming.findIndex((row) => known.has(row.id));
  const fresh = firstKnown < 0 ? [] : coming.slice(0, firstKnown);
  if (fresh.length === 0) return;

  // The server's page has moved on by as many rows as are new: keep those that fell off its end.
  const body = fresh[0].parentElement;
  const stays = new Set(coming.map((row) => row.id));
  fresh.forEach((row) => row.remove());
  present.filter((row) => !stays.has(row.id)).forEach((row) => body.append(row.cloneNode(true)));

  const noun = region.dataset.liveRows || "row";
  const bar = document.createElement("div");
  bar.className = "fresh";
  const button = Object.assign(document.createElement("button"), { type: "button", className: "button" });
  button.dataset.fresh = "";
  button.textContent = `${fresh.length} new ${noun}${fresh.length === 1 ? "" : "s"} · show`;
  bar.append(button);
  fragment.firstElementChild.prepend(bar);
});

document.addEventListener("click", (event) => {
  const region = event.target.closest("[data-fresh]")?.closest("[data-live-rows]");
  if (!region) return;
  region.setAttribute("data-kept-show", "");
  region.dispatchEvent(new CustomEvent("every", { detail: { now: true } }));
});
