// Tables: sorted by the column whose heading is pressed (pressed again, the other way round), and motifs filtered.
// Numbers start with the largest, except p and q, whose smallest is the most telling; text starts at A.
"use strict";

function sortTable(button) {
  const heading = button.closest("th");
  const row = heading.parentElement;
  const column = [...row.children].indexOf(heading);
  const body = heading.closest("table").tBodies[0];
  const ascendingFirst = !heading.classList.contains("n") || /^[pq]\b/.test(button.textContent.trim());
  const before = heading.getAttribute("aria-sort");
  const ascending = before ? before === "descending" : ascendingFirst;
  for (const other of row.children) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", ascending ? "ascending" : "descending");
  const key = (line) => line.children[column].dataset.sort;
  const numeric = heading.classList.contains("n") || column === 0;
  const missing = (x) => x === "" || x === "None" || (numeric && Number.isNaN(Number(x))); // last, either way
  const compare = (a, b) => {
    const [x, y] = [key(a), key(b)];
    if (missing(x) || missing(y)) return missing(x) - missing(y);
    const order = numeric ? Number(x) - Number(y) : x.localeCompare(y);
    return ascending ? order : -order;
  };
  body.append(...[...body.rows].sort(compare));
}

function filterMotifs(controls, table) {
  const wanted = {};
  for (const control of controls.querySelectorAll("[data-filter]")) {
    wanted[control.dataset.filter] = control.type === "checkbox" ? control.checked : control.value.trim();
  }
  let shown = 0;
  const rows = [...table.tBodies[0].rows];
  for (const row of rows) {
    const about = row.dataset;
    const fits = about.text.includes(wanted.text.toLowerCase())
      && (!wanted.outputs || about.outputs.includes(` ${wanted.outputs} `))
      && (!wanted.methods || about.methods.includes(` ${wanted.methods} `))
      && (!wanted.sign || about.sign === wanted.sign)
      && (!wanted.named || about.named);
    row.hidden = !fits;
    shown += fits;
  }
  controls.querySelector(".shown").textContent = shown === rows.length ? `${rows.length} motifs`
    : `${shown} of ${rows.length} motifs`;
}

for (const button of document.querySelectorAll("button.sort:not([data-by])")) {
  button.addEventListener("click", () => sortTable(button));
}
{
  const controls = document.querySelector("#motifs .filters");
  if (controls) {
    const filter = () => filterMotifs(controls, document.getElementById("motif-table"));
    controls.addEventListener("input", filter);
    filter();
  }
}
