// Arrow keys move in a grid of links; one of them is in the tab order (WAI-ARIA grid pattern).
const STEPS = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] };

function linkAt(grid, row, column) {
  return grid.rows[row]?.cells[column]?.querySelector("a");
}

function target(event, grid, cell) {
  const row = cell.parentElement;
  if (event.key === "Home") return linkAt(grid, event.ctrlKey ? 0 : row.rowIndex, 1);
  if (event.key === "End") return linkAt(grid, event.ctrlKey ? grid.rows.length - 1 : row.rowIndex, row.cells.length - 1);
  const [down, across] = STEPS[event.key] ?? [0, 0];
  return down || across ? linkAt(grid, row.rowIndex + down, cell.cellIndex + across) : null;
}

document.addEventListener("keydown", (event) => {
  const cell = event.target.closest?.("[data-grid] :is(td, th)");
  if (!cell || event.altKey || event.metaKey) return;
  const grid = cell.closest("[data-grid]");
  const next = target(event, grid, cell);
  if (!next) return;
  event.preventDefault();
  grid.querySelectorAll('a[tabindex="0"], a:not([tabindex])').forEach((link) => link.setAttribute("tabindex", "-1"));
  next.setAttribute("tabindex", "0");
  next.focus();
});
