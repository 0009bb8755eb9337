// One region as tracks that zoom from the whole window to letters, and the numbers beside them.
"use strict";

const NARROWEST = 12; // bp
const COLOUR = { peak: "#64707d", gene: "#37808c", planted: "#1c2733" };
const view = { region: null, from: 0, to: 0, shown: "", drag: null };
const plot = document.getElementById("region-plot");

const shownOutputs = (region) => [...new Set(region.tracks.map((track) => track.output))]
  .filter((output) => view.shown === "" || Number(view.shown) === output);

// The predicted signal of the targets that the outputs are about.
const shownSignals = (region, outputs) => region.predicted.filter((signal) => outputs.some((output) => INDEX.target_of[output] === signal.target));

function hitBoxes(region, output, method) {
  return region.hits.filter((hit) => hit[0] === output && hit[1] === method).map(([, , entry, strand, start, end, sum]) => ({
    start, end, strand, name: motifLabel(entry), colour: METHOD[method].colour,
    address: `#motif/${encodeURIComponent(INDEX.entries[entry][0])}`,
    title: `${motifLabel(entry)}, ${INDEX.what.slice(0, -1)}, summed contribution ${fixed(sum)}` }));
}

// The picture of a stretch of a region: everything that is known of it, one row below the other.
function drawRegion(region, from, to, width, outputs) {
  const picture = frame(region, from, to, width);
  let top = rulerRow(picture, 0);
  top = sequenceRow(picture, top);
  const boxes = (rows, colour, make) => rows.map((row) => ({ colour, ...make(row) }));
  top = boxRow(picture, top, "genes", boxes(region.genes, COLOUR.gene, ([name, start, end, strand]) => ({ name, start, end, strand, title: `gene ${name}` })));
  top = boxRow(picture, top, "peaks", boxes(region.peaks, COLOUR.peak, ([target, start, end, name]) => ({
    start, end, name: INDEX.targets[target], title: `peak of ${INDEX.targets[target]} ${name}` })));
  top = boxRow(picture, top, "planted", boxes(region.planted, COLOUR.planted, ([start, end, name]) => ({ start, end, name, title: `planted ${name}` })));
  for (const output of outputs) {
    const tracks = region.tracks.filter((track) => track.output === output);
    const scale = limits(tracks.filter((track) => track.method !== "mutagenesis"));
    top += 8;
    for (const track of tracks) {
      label(picture, picture.margin, top + 11, `${INDEX.outputs[output]}, `, { "font-weight": 600 })
        .append(svg("tspan", { fill: METHOD[track.method].colour }, METHOD[track.method].name));
      top = contributionRow(picture, top + 17, track, track.method === "mutagenesis" ? limits([track]) : scale);
      top = boxRow(picture, top, "", hitBoxes(region, output, track.method)) + 6;
    }
  }
  for (const signal of shownSignals(region, outputs)) {
    const about = signal.strands.length > 1 ? ", minus strand below the line" : "";
    label(picture, picture.margin, top + 19, `${INDEX.targets[signal.target]}, `, { "font-weight": 600 })
      .append(svg("tspan", { fill: STRAND_COLOUR["+"] }, `predicted signal${about}`));
    top = predictedRow(picture, top + 25, signal);
  }
  picture.root.setAttribute("height", top + 4);
  picture.root.setAttribute("viewBox", `0 0 ${width} ${top + 4}`);
  picture.root.setAttribute("role", "img");
  const names = [...new Set(region.tracks.map((track) => METHOD[track.method].name)), ...(region.predicted.length ? ["predicted signal"] : [])].join(", ");
  picture.root.setAttribute("aria-label", `Contributions at ${region.chrom}:${thousands(from)}–${thousands(to)} as ${picture.letters ? "letters" : "bars"}: ${names}.`);
  return picture;
}

// The whole window in small, with a box around what is shown.
function overview(region, width) {
  const picture = frame(region, region.start, region.end, width);
  const track = region.tracks.find((each) => shownOutputs(region).includes(each.output)) ?? region.tracks[0];
  const [low, high] = limits([track]);
  const y = (value) => 3 + (high - value) * 26 / (high - low);
  drawBars(picture.root, picture, { values: track.values, errors: null }, 0, INDEX.length, y(0), y, "#8b97a3");
  picture.root.append(svg("rect", { x: picture.x(view.from), y: 1, width: Math.max(3, (view.to - view.from) * picture.scale),
    height: 30, fill: "#1f5fa8", "fill-opacity": 0.1, stroke: "#1f5fa8", rx: 2 }));
  picture.root.setAttribute("height", 34);
  picture.root.setAttribute("aria-hidden", "true");
  picture.root.classList.add("overview");
  picture.root.addEventListener("pointerdown", (event) => {
    const at = region.start + (event.offsetX - picture.margin) / picture.scale;
    show(at - (view.to - view.from) / 2, at + (view.to - view.from) / 2);
  });
  return picture.root;
}

function redraw() {
  const { region } = view;
  if (!region || !plot.clientWidth) return;
  const picture = drawRegion(region, view.from, view.to, plot.clientWidth, shownOutputs(region));
  picture.root.classList.add("tracks");
  plot.replaceChildren(overview(region, plot.clientWidth), picture.root);
  view.picture = picture;
  say(`${region.chrom}:${thousands(view.from)}–${thousands(view.to)}, ${thousands(view.to - view.from)} bp, ${picture.letters ? "letters" : "bars: zoom in for letters"}`);
}

const say = (text) => { document.getElementById("region-status").textContent = text; };

// Shows the stretch, moved into the region and no narrower than can be read.
function show(from, to) {
  const { region } = view;
  const span = Math.min(INDEX.length, Math.max(NARROWEST, to - from));
  const middle = (from + to) / 2;
  view.from = Math.min(Math.max(region.start, middle - span / 2), region.end - span);
  view.to = view.from + span;
  redraw();
}

function zoom(factor, at = (view.from + view.to) / 2) {
  show(at - (at - view.from) * factor, at + (view.to - at) * factor);
}

// The stretch with the largest contributions that can be drawn in letters at this width.
function showLetters() {
  const { region } = view;
  const span = Math.min(INDEX.length, Math.floor((plot.clientWidth - 50) / Math.max(LETTER + 2, 8)));
  const size = new Float64Array(INDEX.length);
  for (const track of region.tracks) {
    if (shownOutputs(region).includes(track.output)) track.values.forEach((value, i) => { size[i] += Math.abs(value); });
  }
  let sum = 0, best = -1, first = 0;
  for (let i = 0; i < INDEX.length; i++) {
    sum += size[i] - (i >= span ? size[i - span] : 0);
    if (i >= span - 1 && sum > best * 1.0001) [best, first] = [sum, i - span + 1];
  }
  show(region.start + first, region.start + first + span);
}

const ACTIONS = {
  in: () => zoom(0.6),
  out: () => zoom(1 / 0.6),
  left: () => show(view.from - 0.25 * (view.to - view.from), view.to - 0.25 * (view.to - view.from)),
  right: () => show(view.from + 0.25 * (view.to - view.from), view.to + 0.25 * (view.to - view.from)),
  whole: () => show(view.region.start, view.region.end),
  letters: showLetters,
};
const KEYS = { "+": "in", "=": "in", "-": "out", ArrowLeft: "left", ArrowRight: "right", 0: "whole", Home: "whole", l: "letters", L: "letters" };

for (const button of document.querySelectorAll("#region [data-do]")) button.addEventListener("click", ACTIONS[button.dataset.do]);
plot.addEventListener("keydown", (event) => {
  const action = !event.ctrlKey && !event.metaKey && !event.altKey && KEYS[event.key];
  if (!action || !view.region) return;
  event.preventDefault();
  ACTIONS[action]();
});
plot.addEventListener("wheel", (event) => {
  if (!view.region || !view.picture || Math.abs(event.deltaX) > Math.abs(event.deltaY)) return;
  const whole = view.to - view.from >= INDEX.length - 1e-6;
  if (whole && event.deltaY > 0) return; // nothing more to see: let the page scroll
  event.preventDefault();
  const x = event.clientX - plot.getBoundingClientRect().left;
  zoom(event.deltaY > 0 ? 1.25 : 0.8, view.from + Math.max(0, x - view.picture.margin) / view.picture.scale);
}, { passive: false });
plot.addEventListener("pointerdown", (event) => {
  if (event.button === 0 && event.target.closest(".tracks") && !event.target.closest("a")) view.drag = { x: event.clientX, from: view.from, to: view.to };
});
addEventListener("pointerup", () => { view.drag = null; });
addEventListener("pointercancel", () => { view.drag = null; });
plot.addEventListener("pointermove", (event) => {
  if (!view.picture) return;
  if (view.drag) {
    const moved = (event.clientX - view.drag.x) / view.picture.scale;
    show(view.drag.from - moved, view.drag.to - moved);
    return;
  }
  const { region } = view;
  const i = Math.floor(view.from + (event.clientX - plot.getBoundingClientRect().left - view.picture.margin) / view.picture.scale - region.start);
  if (i < 0 || i >= INDEX.length) return;
  const shown = shownOutputs(region);
  const values = region.tracks.filter((track) => shown.includes(track.output)).map((track) =>
    `${shown.length > 1 ? `${INDEX.outputs[track.output]} ` : ""}${METHOD[track.method].name} ${fixed(track.values[i], 3)}${track.errors ? ` ± ${fixed(track.errors[i], 3)}` : ""}`);
  for (const signal of shownSignals(region, shown)) {
    const found = signal.strands.filter((each) => !Number.isNaN(each.values[i])).map((each) => `${each.strand.replace(".", "").replace("-", "−")}${fixed(each.values[i])}`);
    if (found.length) values.push(`${region.predicted.length > 1 ? `${INDEX.targets[signal.target]} ` : ""}predicted signal ${found.join(" ")}`);
  }
  say(`${region.chrom}:${thousands(region.start + i)} ${region.sequence[i]}: ${values.join("; ")}`);
});

document.getElementById("region-outputs").addEventListener("change", (event) => {
  view.shown = event.target.value;
  redraw();
  drawPath(view.region);
});
document.getElementById("region-save").addEventListener("click", (event) => {
  const text = new XMLSerializer().serializeToString(view.picture.root);
  event.currentTarget.href = URL.createObjectURL(new Blob([text], { type: "image/svg+xml" }));
  event.currentTarget.download = `${view.region.name.replace(/[^\w.+-]/g, "_")}.svg`;
});
addEventListener("resize", redraw);

// Table of predictions: text only through textContent, so that no name can become an element.
function numbers(region) {
  const table = document.createElement("table");
  const head = table.createTHead().insertRow();
  for (const [text, numeric] of [["target", 0], ["method", 0], [`prediction (${INDEX.unit})`, 1], ["its references", 1], ["Σ contributions", 1]]) {
    const cell = document.createElement("th");
    cell.scope = "col";
    if (numeric) cell.className = "n";
    cell.textContent = text;
    head.append(cell);
  }
  const body = table.createTBody();
  for (const track of region.tracks) {
    const row = body.insertRow();
    const sum = track.values.reduce((total, value) => total + value, 0);
    const cells = [INDEX.outputs[track.output], METHOD[track.method].name, fixed(track.prediction), fixed(track.reference), fixed(sum)];
    cells.forEach((text, i) => {
      const cell = row.insertCell();
      cell.textContent = text;
      if (i > 1) cell.className = "n";
      if (i === 1) cell.className = `method ${track.method}`;
    });
  }
  const box = document.createElement("div");
  box.className = "scroll";
  box.append(table);
  document.getElementById("region-numbers").replaceChildren(box);
}

// The output along the path of the interior gradients, a line for each shown target.
function drawPath(region) {
  const holder = document.getElementById("region-path");
  const lines = region.tracks.filter((track) => track.path && shownOutputs(region).includes(track.output));
  holder.replaceChildren();
  if (!lines.length) return;
  const named = lines.length > 1; // below the axis, a row for each, where no curve can run through the names
  const [width, height, left, floor] = [320, 190 + (named ? 14 * lines.length : 0), 44, 156];
  const every = lines.flatMap((track) => [...track.path, track.reference, track.prediction]).filter((value) => Number.isFinite(value));
  const [low, high] = [Math.min(...every), Math.max(...every)];
  const x = (alpha) => left + alpha * (width - left - 10);
  const y = (value) => 8 + (high - value) * (floor - 8) / (high - low || 1);
  const root = svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "font-size": 11, fill: "#64707d",
    "aria-label": `Output along the path from the reference to the sequence: ${lines.map((track) => `${INDEX.outputs[track.output]} from ${fixed(track.reference)} to ${fixed(track.prediction)}`).join("; ")}.` });
  root.append(svg("path", { d: `M${left} 8V${floor}H${width - 10}`, fill: "none", stroke: "#8b97a3", "stroke-width": 0.7 }));
  for (const alpha of [0, 0.5, 1]) root.append(svg("text", { x: x(alpha), y: floor + 14, "text-anchor": "middle" }, alpha));
  for (const value of [low, high]) root.append(svg("text", { x: left - 5, y: y(value) + 4, "text-anchor": "end" }, fixed(value, 1)));
  root.append(svg("text", { x: x(0.5), y: floor + 30, "text-anchor": "middle" }, "α, from reference to sequence"));
  lines.forEach((track, n) => {
    const alphas = INDEX.alphas[INDEX.outputs[track.output]];
    const points = [[0, track.reference], ...track.path.map((value, i) => [alphas[i], value]), [1, track.prediction]].filter(([, value]) => Number.isFinite(value));
    const line = { fill: "none", stroke: METHOD[track.method].colour, "stroke-width": 1.8, "stroke-dasharray": n ? `${8 - 2 * (n % 3)} ${3}` : "none" };
    root.append(svg("path", { ...line,
      d: points.map(([alpha, value], i) => `${i ? "L" : "M"}${x(alpha).toFixed(1)} ${y(value).toFixed(1)}`).join("") }));
    if (!named) return;
    const row = floor + 45 + 14 * n;
    root.append(svg("path", { ...line, d: `M${left} ${row - 4}h30` }), svg("text", { x: left + 36, y: row }, INDEX.outputs[track.output]));
  });
  const title = document.createElement("h3");
  title.textContent = "Along the path";
  holder.append(title, root);
}

// Opens region `i`, whole or from-to (bp, genome); the view's section is on the page by now.
async function showRegion(i, from, to) {
  const region = await openRegion(i);
  view.region = region;
  document.getElementById("region-title").textContent = region.name;
  const facts = [place(i), INDEX.splits[i] && `${INDEX.splits[i]} split`, INDEX.peaks[i].length && `peaks ${INDEX.peaks[i].join(", ")}`,
    INDEX.motifs[i].length && `motifs ${[...new Set(INDEX.motifs[i].map(motifLabel))].join(", ")}`,
    INDEX.genes[i].length && `genes ${INDEX.genes[i].map(([name, distance, inside]) => (inside ? name : `${name} (starts ${thousands(distance)} bp away)`)).join(", ")}`];
  document.getElementById("region-facts").textContent = facts.filter(Boolean).join(" · ");
  const select = document.getElementById("region-outputs");
  const outputs = [...new Set(region.tracks.map((track) => track.output))];
  if (view.shown !== "" && !outputs.includes(Number(view.shown))) view.shown = "";
  select.replaceChildren(...["", ...outputs].map((output) => new Option(output === "" ? "all" : INDEX.outputs[output], output, false, String(output) === view.shown)));
  select.parentElement.hidden = outputs.length < 2;
  for (const [id, other] of [["region-previous", i - 1], ["region-next", i + 1]]) {
    const link = document.getElementById(id);
    link.hidden = INDEX.names[other] === undefined;
    link.href = link.hidden ? "#browser" : regionAddress(other);
  }
  numbers(region);
  drawPath(region);
  show(from ?? region.start, to ?? region.end);
}

// Small strips of letters on the pages of motifs.
async function drawStrip(figure) {
  const about = figure.dataset;
  const region = await openRegion(Number(about.region));
  const track = region.tracks.find((each) => each.output === Number(about.output) && each.method === about.method);
  const [start, end] = [Number(about.start), Number(about.end)];
  const width = Math.min(figure.clientWidth || 320, 420);
  const span = Math.min(INDEX.length, Math.floor((width - 50) / LETTER));
  const from = Math.min(Math.max(region.start, Math.round((start + end - span) / 2)), region.end - span);
  const picture = frame(region, from, from + span, width);
  picture.root.append(svg("rect", { x: picture.x(start), y: 0, width: (end - start) * picture.scale, height: 70, fill: "#eef2f6" }));
  const bottom = contributionRow(picture, 2, track, limits([track]), 64);
  picture.root.setAttribute("height", bottom);
  picture.root.setAttribute("role", "img");
  picture.root.setAttribute("aria-label", `Contributions at ${region.chrom}:${thousands(from)}–${thousands(from + span)} as letters.`);
  figure.querySelector("svg")?.remove();
  figure.append(picture.root);
}
