// Live search on top of a page that works without it. No state of its own: the form is the truth.
"use strict";

const form = document.querySelector("form.ask");
const box = form.elements.q;
const results = document.getElementById("results");
const status = document.getElementById("status");
const PAUSE_MS = 160;
const collection = document.title.split(" · ").pop();
let timer = 0;
let running = null;

function address(path) {
  const query = new URLSearchParams();
  for (const [name, value] of new FormData(form)) {
    if (value.trim() && !(name === "mode" && value === "sparse")) query.append(name, value);
  }
  const text = query.toString();
  return text ? `${path}?${text}` : path;
}

async function search() {
  if (running) running.abort();
  const mine = (running = new AbortController());
  results.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(address(form.dataset.results), { signal: mine.signal });
    const html = await answer.text();
    if (!(answer.headers.get("content-type") || "").startsWith("text/html")) throw new Error();
    results.innerHTML = html; // made by our own templates, which escape everything
    history.replaceState(null, "", address(form.getAttribute("action")));
    document.title = box.value.trim() ? `${box.value} · ${collection}` : collection;
    const summary = results.querySelector("[data-summary], .message h2, .count");
    status.textContent = summary ? summary.textContent : "";
  } catch (error) {
    if (error.name === "AbortError") return;
    const section = document.createElement("section");
    section.className = "message error";
    section.textContent = "The service does not answer. Try again in a moment.";
    results.replaceChildren(section);
    status.textContent = section.textContent;
  }
  if (running === mine) {
    running = null;
    results.setAttribute("aria-busy", "false");
  }
}

function soon() {
  clearTimeout(timer);
  timer = setTimeout(search, PAUSE_MS);
}

function step(by) {
  const links = [...results.querySelectorAll(".hit h2 a, .examples a")];
  const next = links.indexOf(document.activeElement) + by;
  if (next < 0) box.focus();
  else if (next < links.length) links[next].focus();
}

form.addEventListener("input", soon);
form.addEventListener("submit", (event) => {
  event.preventDefault();
  clearTimeout(timer);
  search();
});

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  const at = document.activeElement;
  const inList = results.contains(at);
  if (event.key === "/" && at !== box) {
    box.focus();
    box.select();
  } else if (event.key === "ArrowDown" && (at === box || inList)) {
    step(1);
  } else if (event.key === "ArrowUp" && inList) {
    step(-1);
  } else if (event.key === "Escape" && inList) {
    box.focus();
  } else {
    return;
  }
  event.preventDefault();
});

// Where scripts start the cursor belongs at the end of the query, ready to go on.
box.setSelectionRange(box.value.length, box.value.length);
