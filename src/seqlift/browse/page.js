// Starts igv.js over the run, and finds places by their names. Names are only ever set as text.
"use strict";

(async () => {
  const message = document.getElementById("message");
  const say = (text) => { message.textContent = text; };
  let browser;
  try {
    const settings = await (await fetch("config.json")).json();
    browser = await igv.createBrowser(document.getElementById("browser"), settings);
  } catch (error) {
    say("The browser could not start: " + error);
    throw error;
  }
  document.getElementById("browser").dataset.state = "ready";
  window.seqliftBrowser = browser; // for the browser's console

  const find = async (text) => {
    const answer = await fetch("search?q=" + encodeURIComponent(text));
    return answer.ok ? answer.json() : [];
  };

  const query = document.getElementById("query");
  document.getElementById("search").addEventListener("submit", async (event) => {
    event.preventDefault();
    const text = query.value.trim();
    if (!text) return;
    const [first] = await find(text);
    const called = first && first.name.toLowerCase() === text.toLowerCase();
    if (!called && await browser.search(text).catch(() => false)) {
      say(text); // a place, or a chromosome
    } else if (first) { // called so, or its name begins so
      await browser.search(first.chromosome + ":" + first.start + "-" + first.end);
      say(first.name + " (" + first.kind + ")");
    } else {
      say("Nothing here is called " + text);
    }
  });

  const names = document.getElementById("names");
  let requests = 0;
  query.addEventListener("input", async () => {
    const number = ++requests;
    const found = query.value.trim().length > 1 ? await find(query.value) : [];
    if (number !== requests) return; // a later letter was faster
    names.replaceChildren(...found.map((place) => {
      const option = document.createElement("option");
      option.value = place.name;
      option.label = place.kind + ", " + place.chromosome + ":" + place.start + "-" + place.end;
      return option;
    }));
  });
})();
