// The regions of the page: an index to search by, and one packed block for each, unpacked when it is opened.
// regions/data.py writes the blocks and says how.
"use strict";

const INDEX = JSON.parse(document.getElementById("region-index").textContent);
const METHOD = Object.fromEntries(INDEX.methods.map((method) => [method.key, method]));
const UNPACKED = new Map();
let blocks = null; // the text of all blocks, divided when the first one is needed

async function inflate(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).arrayBuffer();
}

// Region `i` with its tracks: values (contributions) and errors in units of the output, or errors null; and the predicted
// signal of its targets by strand, NaN where there is none.
async function openRegion(i) {
  if (UNPACKED.has(i)) return UNPACKED.get(i);
  blocks ??= document.getElementById("region-blocks").textContent.trim().split("\n");
  const buffer = await inflate(blocks[i]);
  const size = new DataView(buffer).getUint32(0, true);
  const region = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, size)));
  let at = 4 + size;
  for (const track of region.tracks) {
    track.values = Float32Array.from(new Int8Array(buffer, at, INDEX.length), (code) => code * track.step);
    at += INDEX.length;
    track.errors = null;
    if (track.error !== undefined) {
      track.errors = Float32Array.from(new Uint8Array(buffer, at, INDEX.length), (code) => code * track.error);
      at += INDEX.length;
    }
  }
  for (const signal of region.predicted) { // a byte: 0 for no value, else one more than its steps
    signal.strands = signal.strands.map((strand) => {
      const codes = new Uint8Array(buffer, at, INDEX.length);
      at += INDEX.length;
      return { strand, values: Float32Array.from(codes, (code) => (code ? (code - 1) * signal.step : NaN)) };
    });
  }
  Object.assign(region, { number: i, name: INDEX.names[i], chrom: INDEX.chroms[i], start: INDEX.starts[i],
    end: INDEX.starts[i] + INDEX.length });
  UNPACKED.set(i, region);
  return region;
}

const place = (i) => `${INDEX.chroms[i]}:${thousands(INDEX.starts[i])}–${thousands(INDEX.starts[i] + INDEX.length)}`;
const thousands = (x) => Math.round(x).toLocaleString("en-US");
const fixed = (x, digits = 2) => (x === null || x === undefined ? "–" : x.toFixed(digits).replace("-", "−"));
const regionAddress = (i, view) => `#region/${encodeURIComponent(INDEX.names[i])}${view ? `/${view}` : ""}`;
const motifLabel = (entry) => INDEX.entries[entry][1] || INDEX.entries[entry][2];

// A position or a stretch, as chrI:1,200 or chrI:1,200-1,300; null where the text is none.
function parsePlace(text) {
  const found = /^(\S+?):([\d,]+)(?:\s*[-–]\s*([\d,]+))?$/.exec(text.trim());
  if (!found) return null;
  const [start, end] = [found[2], found[3] ?? found[2]].map((part) => Number(part.replaceAll(",", "")));
  return { chrom: found[1], start, end: Math.max(end, start + 1) };
}

const overlapsPlace = (i, at) => INDEX.chroms[i] === at.chrom && INDEX.starts[i] < at.end
  && INDEX.starts[i] + INDEX.length > at.start;
