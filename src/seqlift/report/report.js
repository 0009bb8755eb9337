// Sorts a table by the column whose heading is pressed; pressed again, the other way round.
// Numbers start with the largest, except p and q, whose smallest is the most telling; text starts at A.
"use strict";
for (const button of document.querySelectorAll("button.sort")) {
  button.addEventListener("click", () => {
    const heading = button.closest("th");
    const row = heading.parentElement;
    const column = [...row.children].indexOf(heading);
    const body = heading.closest("table").tBodies[0];
    const ascendingFirst = !heading.classList.contains("n") || ["p", "q"].includes(button.textContent.trim());
    const before = heading.getAttribute("aria-sort");
    const ascending = before ? before === "descending" : ascendingFirst;
    for (const other of row.children) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    const key = (line) => line.children[column].dataset.sort;
    const numeric = heading.classList.contains("n") || column === 0;
    const missing = (x) => x === "" || (numeric && Number.isNaN(Number(x))); // these stay last, either way
    const compare = (a, b) => {
      const [x, y] = [key(a), key(b)];
      if (missing(x) || missing(y)) return missing(x) - missing(y);
      const order = numeric ? Number(x) - Number(y) : x.localeCompare(y);
      return ascending ? order : -order;
    };
    body.append(...[...body.rows].sort(compare));
  });
}

// A box that does not scroll needs no stop for the Tab key.
const fit = () => {
  for (const box of document.querySelectorAll(".scroll")) {
    if (box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
};
addEventListener("resize", fit);
addEventListener("load", fit);
