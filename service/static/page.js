// Live search on top of a page that works without it. No state of its own: the form is the truth,
// and the service says which address stands for it.
"use strict";

const form = document.querySelector("form.ask");
const box = form.elements.q;
const results = document.getElementById("results");
const status = document.getElementById("status");
const PAUSE_MS = 160;
const COPIED_MS = 2000;
const collection = document.title.split(" · ").pop();
let timer = 0;
let running = null;

function address(path) {
  const query = new URLSearchParams();
  for (const [name, value] of new FormData(form)) if (value.trim()) query.append(name, value);
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
    const said = results.querySelector("[data-address]");
    if (said) history.replaceState(null, "", said.dataset.address);
    const back = form.querySelector("a[data-by-default]");
    if (said && back) back.href = said.dataset.byDefault;
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

// What one control means for the others, and the balance in words.
const weight = form.elements.weight;

function settle(changed) {
  if (!weight) return;
  const { mode, prf, fusion } = form.elements;
  if (mode.value === "dense" && prf.value !== "dense_only") prf.value = "none";
  const other = fusion.value === "rrf" ? "convex" : "rrf";
  if (changed && changed.name === "fusion" && Number(weight.value) === Number(weight.dataset[other])) {
    weight.value = weight.dataset[fusion.value];
  }
  const words = Math.round(weight.value * 100);
  form.querySelector("output").textContent = `${words} : ${100 - words}`;
  weight.setAttribute("aria-valuetext", `${words} % words, ${100 - words} % meaning`);
}

async function copy(button) {
  const command = button.parentElement.querySelector("pre");
  try {
    await navigator.clipboard.writeText(command.textContent);
    status.textContent = button.textContent = "Copied";
    setTimeout(() => (button.textContent = "Copy as curl"), COPIED_MS);
  } catch {
    // Browsers lend the clipboard to safe addresses only: show the command, ready to be copied.
    command.parentElement.open = true;
    getSelection().selectAllChildren(command);
    command.focus();
  }
}

form.addEventListener("input", (event) => {
  settle(event.target);
  soon();
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  clearTimeout(timer);
  search();
});
results.addEventListener("click", (event) => {
  const button = event.target.closest("button.copy");
  if (button) copy(button);
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

settle();
// Where scripts start the cursor belongs at the end of the query, ready to go on.
box.setSelectionRange(box.value.length, box.value.length);
if (box.value !== box.defaultValue) soon(); // typed before scripts ran
