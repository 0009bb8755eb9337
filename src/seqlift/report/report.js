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
    const compare = (a, b) => {
      const [x, y] = [key(a), key(b)];
      const [u, v] = [Number(x), Number(y)];
      if (heading.classList.contains("n") || column === 0) {
        if (Number.isNaN(u) || Number.isNaN(v)) return Number.isNaN(u) - Number.isNaN(v); // no number: last
        return ascending ? u - v : v - u;
      }
      return ascending ? x.localeCompare(y) : y.localeCompare(x);
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
