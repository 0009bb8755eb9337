// The list of regions: filtered, sorted, and shown a page at a time.
"use strict";

const PAGE = 12;
const list = { by: "prediction", ascending: false, shown: PAGE };
const listTable = document.getElementById("region-table");

function matches(i, text) {
  const at = parsePlace(text);
  if (at) return overlapsPlace(i, at);
  const wanted = text.trim().toLowerCase();
  return !wanted || [INDEX.names[i], INDEX.chroms[i], ...INDEX.peaks[i], ...INDEX.genes[i].map((gene) => gene[0])]
    .some((name) => name.toLowerCase().includes(wanted));
}

function orderedRegions() {
  const text = document.getElementById("region-filter").value;
  const output = Number(document.getElementById("region-by").value);
  const motif = document.getElementById("region-motif").value;
  const found = INDEX.names.map((name, i) => i).filter((i) => matches(i, text) && (motif === "" || INDEX.motifs[i].includes(Number(motif))));
  const prediction = (i) => INDEX.best[i][output] ?? null;
  const compare = {
    name: (a, b) => INDEX.names[a].localeCompare(INDEX.names[b], undefined, { numeric: true }),
    place: (a, b) => a - b, // as they are: by chromosome and start
    prediction: (a, b) => (prediction(a) ?? -Infinity) - (prediction(b) ?? -Infinity),
  }[list.by];
  found.sort((a, b) => {
    if (list.by === "prediction" && (prediction(a) === null) !== (prediction(b) === null)) return prediction(a) === null ? 1 : -1;
    return (list.ascending ? compare(a, b) : compare(b, a)) || a - b;
  });
  return { found, prediction };
}

function fillList() {
  const { found, prediction } = orderedRegions();
  const body = listTable.tBodies[0];
  body.replaceChildren();
  for (const i of found.slice(0, list.shown)) {
    const row = body.insertRow();
    const heading = document.createElement("th");
    heading.scope = "row";
    const link = document.createElement("a");
    link.href = regionAddress(i);
    link.textContent = INDEX.names[i];
    heading.append(link);
    row.append(heading);
    const motifs = [...new Set(INDEX.motifs[i].map(motifLabel))];
    const cells = [place(i), INDEX.splits[i], fixed(prediction(i)), motifs.slice(0, 5).join(", ") + (motifs.length > 5 ? ", …" : "")];
    if (listTable.tHead.rows[0].cells.length > 5) cells.push(INDEX.genes[i].map((gene) => gene[0]).join(", "));
    cells.forEach((text, n) => {
      const cell = row.insertCell();
      cell.textContent = text;
      if (n === 2) cell.className = "n";
    });
  }
  const count = document.getElementById("region-count");
  count.textContent = found.length === INDEX.names.length ? `${found.length} regions` : `${found.length} of ${INDEX.names.length} regions`;
  document.getElementById("region-more").hidden = found.length <= list.shown;
  fit();
}

for (const button of listTable.querySelectorAll("button.sort")) {
  button.addEventListener("click", () => {
    list.ascending = list.by === button.dataset.by ? !list.ascending : button.dataset.by !== "prediction";
    list.by = button.dataset.by;
    for (const heading of listTable.tHead.rows[0].cells) heading.removeAttribute("aria-sort");
    button.closest("th").setAttribute("aria-sort", list.ascending ? "ascending" : "descending");
    fillList();
  });
}
for (const id of ["region-filter", "region-by", "region-motif"]) {
  document.getElementById(id).addEventListener("input", () => { list.shown = PAGE; fillList(); });
}
document.getElementById("region-more").addEventListener("click", () => { list.shown += 4 * PAGE; fillList(); });
