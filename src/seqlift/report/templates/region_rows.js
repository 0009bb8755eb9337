// The rows of a region's picture, one above the other, as SVG: ruler, genes, peaks, contributions, hits, predicted signal.
// Each takes the picture and where it begins (in pixels from the top) and gives where it ends.
"use strict";

const LETTER = 6.5; // pixels: a base that is wider is drawn as a letter
const STRAND_COLOUR = { ".": "#009e73", "+": "#009e73", "-": "#e69f00" }; // as in the session of the genome browser

function svg(name, attributes = {}, text) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

// The frame of a picture: `from` to `to` (bp, genome) over `width` pixels, right of a margin for the scales.
function frame(region, from, to, width, margin = 44) {
  const inner = width - margin - 6;
  const scale = inner / (to - from);
  const root = svg("svg", { width, xmlns: "http://www.w3.org/2000/svg", "font-family": "system-ui, sans-serif" });
  const clip = svg("clipPath", { id: `clip-${frame.count = (frame.count ?? 0) + 1}` });
  clip.append(svg("rect", { x: margin, y: 0, width: inner, height: 5000 }));
  root.append(clip);
  return { root, region, from, to, width, margin, inner, scale, letters: scale >= LETTER,
    clip: `url(#clip-${frame.count})`, x: (at) => margin + (at - from) * scale };
}

function label(picture, x, y, text, attributes = {}) {
  const element = svg("text", { x, y, "font-size": 11, fill: "#1c2733", ...attributes }, text);
  picture.root.append(element);
  return element;
}

function rulerRow(picture, top) {
  const span = picture.to - picture.from;
  const about = span * 80 / picture.inner; // a label every 80 pixels
  const power = 10 ** Math.floor(Math.log10(about));
  const step = Math.max(1, [1, 2, 5, 10].find((factor) => factor * power >= about) * power);
  const group = svg("g", { fill: "#64707d", "font-size": 10.5, "text-anchor": "middle" });
  for (let at = Math.ceil(picture.from / step) * step; at < picture.to; at += step) {
    const x = picture.x(at + (picture.letters ? 0.5 : 0));
    group.append(svg("path", { d: `M${x} ${top + 14}v4`, stroke: "#8b97a3" }));
    if (x > picture.margin + 18 && x < picture.width - 28) group.append(svg("text", { x, y: top + 11 }, thousands(at)));
  }
  group.append(svg("path", { d: `M${picture.margin} ${top + 18}h${picture.inner}`, stroke: "#d5dbe1" }));
  picture.root.append(group);
  return top + 22;
}

// Boxes with names: [{start, end, name, strand, colour, title}], on several lanes where they overlap.
function boxRow(picture, top, heading, boxes) {
  const seen = boxes.filter((box) => box.end > picture.from && box.start < picture.to);
  if (!seen.length) return top;
  if (heading) {
    label(picture, picture.margin, top + 11, heading, { fill: "#64707d", "font-size": 10.5 });
    top += 14;
  }
  const lanes = [];
  for (const box of seen.sort((a, b) => a.start - b.start)) {
    const [x, end] = [picture.x(box.start), picture.x(box.end)];
    const text = (box.strand === "-" ? "◂ " : "") + box.name + (box.strand === "+" ? " ▸" : "");
    const width = box.name ? text.length * 6.1 : 0;
    const inside = width < Math.min(end, picture.width) - Math.max(x, picture.margin) - 4;
    // A name that does not fit into its box is drawn behind it, or before it where the picture ends
    const before = !inside && Math.max(end, picture.margin) + 3 + width > picture.width;
    const [left, right] = inside ? [x, end] : before ? [x - width - 3, end] : [x, Math.max(end, picture.margin) + 3 + width];
    let lane = lanes.findIndex((taken) => taken <= left);
    if (lane < 0) lane = lanes.push(0) - 1;
    lanes[lane] = right + 3;
    const y = top + lane * 16;
    const group = svg("g", { "clip-path": picture.clip });
    group.append(svg("title", {}, box.title));
    group.append(svg("rect", { x, y, width: Math.max(2, end - x), height: 13, rx: 2, fill: box.colour,
      "fill-opacity": inside ? 0.16 : 0.75, stroke: box.colour, "stroke-width": 0.7 }));
    if (box.name) {
      const at = inside ? Math.max(x, picture.margin) + 3 : before ? left : Math.max(end, picture.margin) + 3;
      group.append(svg("text", { x: at, y: y + 10, "font-size": 10.5, fill: "#1c2733" }, text));
    }
    picture.root.append(box.address ? linked(group, box.address) : group);
  }
  return top + lanes.length * 16 + 3;
}

function linked(group, address) {
  const link = svg("a", { href: address });
  link.append(group);
  return link;
}

// The scale that holds all values of some tracks and their errors: [low, high], with 0 in it.
function limits(tracks) {
  let [low, high] = [0, 0];
  for (const track of tracks) {
    track.values.forEach((value, i) => {
      const error = track.errors ? track.errors[i] : 0;
      if (value + error > high) high = value + error;
      if (value - error < low) low = value - error;
    });
  }
  return high > low ? [low * 1.04, high * 1.04] : [-1, 1];
}

function contributionRow(picture, top, track, ends, height = 92) {
  const { zero, unit, y } = drawScale(picture, top, height, ends);
  const group = svg("g", { "clip-path": picture.clip });
  const [first, last] = shownBases(picture);
  if (picture.letters) drawLetters(group, picture, track, first, last, zero, unit, y);
  else drawBars(group, picture, track, first, last, zero, y, METHOD[track.method].colour);
  picture.root.append(group);
  return top + height + 4;
}

// The predicted signal of a target as bars, the minus strand pointing down.
function predictedRow(picture, top, signal, height = 64) {
  const strands = signal.strands.map(({ strand, values }) => ({
    colour: STRAND_COLOUR[strand], values: strand === "-" ? values.map((value) => -value) : values, errors: null }));
  const { zero, y } = drawScale(picture, top, height, limits(strands), Math.abs);
  const group = svg("g", { "clip-path": picture.clip, class: "predicted" });
  for (const each of strands) drawBars(group, picture, each, ...shownBases(picture), zero, y, each.colour);
  picture.root.append(group);
  return top + height + 4;
}

// The first base of the region that is seen, and the one behind the last.
function shownBases(picture) {
  return [Math.max(0, Math.floor(picture.from - picture.region.start)), Math.min(INDEX.length, Math.ceil(picture.to - picture.region.start))];
}

// Draws the line at 0 and the scale on the left, with its ends where they are not too near to 0; gives where things lie.
function drawScale(picture, top, height, [low, high], written = (value) => value) {
  const unit = height / (high - low);
  const zero = top + high * unit;
  const y = (value) => zero - value * unit;
  picture.root.append(svg("path", { d: `M${picture.margin} ${zero}h${picture.inner}`, stroke: "#8b97a3", "stroke-width": 0.7 }));
  const axis = svg("g", { "font-size": 10, fill: "#64707d", "text-anchor": "end" });
  for (const value of [high / 1.04, low / 1.04].filter((end) => Math.abs(end) * unit > 9)) {
    const text = Math.abs(value) >= 100 ? written(value).toFixed(0) : fixed(written(value));
    axis.append(svg("text", { x: picture.margin - 5, y: y(value) + 3.5 }, text));
  }
  axis.append(svg("text", { x: picture.margin - 5, y: zero + 3.5 }, "0"));
  axis.append(svg("path", { d: `M${picture.margin} ${top}v${height}`, stroke: "#8b97a3", "stroke-width": 0.7 }));
  picture.root.append(axis);
  return { zero, unit, y };
}

function drawBars(group, picture, track, first, last, zero, y, colour) {
  let bars = "", band = "", back = "";
  const wide = Math.max(picture.scale, 0.8).toFixed(2);
  for (let i = first; i < last; i++) {
    if (Number.isNaN(track.values[i])) continue;
    const x = picture.x(picture.region.start + i).toFixed(1);
    bars += `M${x} ${zero.toFixed(1)}V${y(track.values[i]).toFixed(1)}h${wide}V${zero.toFixed(1)}Z`;
    if (track.errors) {
      band += `${band ? "L" : "M"}${x} ${y(track.values[i] + track.errors[i]).toFixed(1)}h${wide}`;
      back = `L${(Number(x) + Number(wide)).toFixed(1)} ${y(track.values[i] - track.errors[i]).toFixed(1)}h-${wide}` + back;
    }
  }
  if (band) group.append(svg("path", { class: "error", d: `${band}${back}Z`, fill: colour, "fill-opacity": 0.22 }));
  group.append(svg("path", { class: "bars", d: bars, fill: colour }));
}

function drawLetters(group, picture, track, first, last, zero, unit, y) {
  let whiskers = "";
  for (let i = first; i < last; i++) {
    const shape = INDEX.letters[picture.region.sequence[i]];
    const tall = track.values[i] * unit;
    const x = picture.x(picture.region.start + i);
    if (shape && Math.abs(tall) > 0.4) {
      const scale = `${(picture.scale * 0.0094).toFixed(4)},0,0,${(tall / 100).toFixed(4)}`;
      group.append(svg("path", { class: "letter", d: shape[0], fill: shape[1],
        transform: `matrix(${scale},${(x + picture.scale * 0.03).toFixed(2)},${(zero - tall).toFixed(2)})` }));
    }
    if (track.errors && track.errors[i] * unit > 0.5) {
      const middle = (x + picture.scale / 2).toFixed(1);
      whiskers += `M${middle} ${y(track.values[i] - track.errors[i]).toFixed(1)}V${y(track.values[i] + track.errors[i]).toFixed(1)}`;
    }
  }
  if (whiskers) group.append(svg("path", { class: "error", d: whiskers, stroke: "#1c2733", "stroke-width": 0.6, "stroke-opacity": 0.75 }));
}

// The bases themselves, where there is room for them.
function sequenceRow(picture, top) {
  if (!picture.letters) return top;
  const group = svg("g", { "font-size": Math.min(11, picture.scale * 1.2), "text-anchor": "middle", "clip-path": picture.clip });
  const [first, last] = shownBases(picture);
  for (let i = first; i < last; i++) {
    const base = picture.region.sequence[i];
    group.append(svg("text", { x: picture.x(picture.region.start + i + 0.5).toFixed(1), y: top + 10,
      fill: INDEX.letters[base]?.[1] ?? "#64707d" }, base));
  }
  picture.root.append(group);
  return top + 15;
}
