// Which page is shown: all sections, one motif or one region, as the address says, so that the back button works.
"use strict";

const TITLE = document.title;
const views = [...document.querySelectorAll(".view")];
const sections = [...document.querySelectorAll("main > section:not(.view)")];
let scrolled = 0; // where the reader was among the sections

function open(which, title) {
  if (!sections[0].hidden && which) scrolled = scrollY;
  for (const section of sections) section.hidden = Boolean(which);
  for (const each of views) each.hidden = each !== which;
  document.title = title ? `${title} · ${TITLE}` : TITLE;
}

async function route() {
  const [kind, ...rest] = location.hash.slice(1).split("/");
  const [name, stretch] = rest.map(decoded);
  if (kind === "motif" && document.getElementById(`motif/${rest.map(decoded).join("/")}`)) {
    const section = document.getElementById(`motif/${rest.map(decoded).join("/")}`);
    const heading = section.querySelector("h2");
    open(section, heading.textContent);
    scrollTo(0, 0);
    heading.focus({ preventScroll: true });
    await Promise.all([...section.querySelectorAll(".strip")].map(drawStrip));
  } else if (kind === "region" && INDEX.names.includes(name)) {
    const section = document.getElementById("region");
    open(section, name);
    scrollTo(0, 0);
    const [from, to] = (stretch ?? "").split("-").map(Number);
    await showRegion(INDEX.names.indexOf(name), ...(to > from ? [from, to] : []));
    document.getElementById("region-title").focus({ preventScroll: true });
  } else {
    const before = sections[0].hidden;
    open(null);
    const target = document.getElementById(decoded(location.hash.slice(1)));
    if (target && !target.hidden) target.scrollIntoView();
    else if (before) scrollTo(0, scrolled);
  }
  fit();
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // a stray % sign
  }
}

// A box that does not scroll needs no stop for the Tab key.
function fit() {
  for (const box of document.querySelectorAll(".scroll")) {
    if (box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
}

addEventListener("hashchange", route);
addEventListener("resize", fit);
addEventListener("load", fit);
addEventListener("beforeprint", () => { for (const details of document.querySelectorAll("details")) details.open = true; });
fillList();
route();
