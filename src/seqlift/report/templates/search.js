// One box that finds motifs, regions, peaks, genes and positions, and leads to them.
"use strict";

const MOST = 12; // that are offered
const SHARED = 6; // regions
const search = { box: document.getElementById("search"), found: document.getElementById("found"), active: -1 };

// All that can be found: [what to compare with, what to show, kind, address]; made once, at the first search.
function searchable() {
  if (search.all) return search.all;
  const all = INDEX.entries.map(([key, name, consensus]) => [[name, consensus, key], name || consensus, "motif", `#motif/${encodeURIComponent(key)}`]);
  INDEX.names.forEach((name, i) => all.push([[name], name, "region", regionAddress(i)]));
  INDEX.genes.forEach((genes, i) => genes.forEach(([name, distance, inside]) =>
    all.push([[name], name, inside ? "gene" : `gene, ${thousands(distance)} bp away`, regionAddress(i)])));
  const peaks = new Map(); // a name that many peaks share, such as that of their factor, finds nothing
  INDEX.peaks.forEach((names, i) => names.forEach((name) => peaks.set(name, [...(peaks.get(name) ?? []), i])));
  for (const [name, regions] of peaks) {
    if (regions.length <= SHARED) for (const i of regions) all.push([[name], name, `peak in ${INDEX.names[i]}`, regionAddress(i)]);
  }
  search.all = all.map(([keys, ...rest]) => [keys.filter(Boolean).map((key) => key.toLowerCase()), ...rest]);
  return search.all;
}

function lookUp(text) {
  const at = parsePlace(text);
  if (at) {
    const found = INDEX.names.map((name, i) => i).filter((i) => overlapsPlace(i, at)).slice(0, MOST);
    const around = `${Math.max(0, at.start - 20)}-${at.end + 20}`;
    return found.map((i) => [INDEX.names[i], `region at ${INDEX.chroms[i]}:${thousands(at.start)}`, regionAddress(i, around)]);
  }
  const wanted = text.trim().toLowerCase();
  if (!wanted) return [];
  const ranked = [];
  for (const [keys, name, kind, address] of searchable()) {
    const rank = Math.min(...keys.map((key) => (key === wanted ? 0 : key.startsWith(wanted) ? 1 : key.includes(wanted) ? 2 : 3)));
    if (rank < 3) ranked.push([rank, name, kind, address]);
  }
  return ranked.sort((a, b) => a[0] - b[0]).slice(0, MOST).map(([, ...rest]) => rest);
}

function offer() {
  const text = search.box.value;
  const results = lookUp(text);
  search.active = -1;
  search.found.replaceChildren(...results.map(([name, kind, address], i) => {
    const item = document.createElement("li");
    item.id = `found-${i}`;
    item.setAttribute("role", "option");
    item.setAttribute("aria-selected", "false");
    item.dataset.address = address;
    const what = document.createElement("span");
    what.className = "soft";
    what.textContent = kind;
    item.append(`${name} `, what);
    return item;
  }));
  if (text.trim() && !results.length) {
    const item = document.createElement("li");
    item.className = "soft";
    item.textContent = "Nothing of that name in this page";
    search.found.append(item);
  }
  const open = search.found.children.length > 0;
  search.found.hidden = !open;
  search.box.setAttribute("aria-expanded", String(open));
  search.box.removeAttribute("aria-activedescendant");
}

function closeSearch() {
  search.found.hidden = true;
  search.box.setAttribute("aria-expanded", "false");
}

function go(item) {
  if (!item?.dataset.address) return;
  closeSearch();
  search.box.value = "";
  location.hash = item.dataset.address;
}

search.box.addEventListener("input", offer);
search.box.addEventListener("keydown", (event) => {
  const items = [...search.found.querySelectorAll("[role=option]")];
  if (event.key === "Enter") return go(items[Math.max(0, search.active)]);
  if (event.key === "Escape") return closeSearch();
  if (!["ArrowDown", "ArrowUp"].includes(event.key) || !items.length) return undefined;
  event.preventDefault();
  search.active = (search.active + (event.key === "ArrowDown" ? 1 : -1) + items.length) % items.length;
  items.forEach((item, i) => item.setAttribute("aria-selected", String(i === search.active)));
  search.box.setAttribute("aria-activedescendant", items[search.active].id);
  return undefined;
});
search.found.addEventListener("pointerdown", (event) => {
  event.preventDefault(); // the box keeps the focus
  go(event.target.closest("[role=option]"));
});
search.box.addEventListener("blur", closeSearch);
addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.target.closest("input, select, textarea")) return;
  event.preventDefault();
  search.box.focus();
});
