// Changes of a collection, all of them through the REST API. The page works without this and then
// shows the state alone. The key that is typed here stays in this tab.
"use strict";

const page = document.querySelector("[data-collection]");
const base = `/v1/collections/${encodeURIComponent(page.dataset.collection)}`;
const said = document.getElementById("said");
const KEY = "lsr_key";
const PAUSE_MS = 700;
const MOST_ROWS = 500;
const MOST_PARSED_BYTES = 64_000_000;
const watched = new Map(); // kinds of the tasks begun here, by id
let timer = 0;

const byId = (id) => document.getElementById(id);

function tell(place, text, isBad = false) {
  place.textContent = text;
  place.classList.toggle("bad", isBad);
}

function headers(more = {}) {
  const key = sessionStorage.getItem(KEY);
  return key ? { ...more, Authorization: `Bearer ${key}` } : more;
}

// An answer, or an error that carries the problem's own sentence.
async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, { ...options, headers: headers(options.headers) });
  } catch {
    throw new Error("The service does not answer. Try again in a moment.");
  }
  if (answer.ok) return answer;
  const text = await answer.text();
  let detail = `The service answered with status ${answer.status}.`;
  try {
    detail = JSON.parse(text).detail || detail;
  } catch {
    // not a problem of ours: a proxy's answer, of which the status is told
  }
  throw new Error(detail);
}

async function refresh() {
  clearTimeout(timer);
  const answer = await ask(location.pathname);
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  const state = fresh.getElementById("state"); // made by our own templates, which escape everything
  if (!state) throw new Error("The sign-in has ended. Load this page again.");
  const at = document.activeElement?.dataset?.cancel;
  byId("state").replaceWith(document.adoptNode(state));
  settle();
  if (at) document.querySelector(`[data-cancel="${CSS.escape(at)}"]`)?.focus();
}

function settle() {
  const state = byId("state");
  for (const button of state.querySelectorAll("[data-cancel]")) button.hidden = false;
  for (const [id, kind] of watched) {
    const row = state.querySelector(`[data-task="${CSS.escape(id)}"]`);
    const status = row ? row.dataset.status : "begun";
    if (["waiting", "running"].includes(status)) continue;
    watched.delete(id);
    const why = row?.querySelector(".bad")?.textContent;
    tell(said, `${kind}: ${status}${why ? `. ${why}` : ""}`, status === "failed");
  }
  if (state.dataset.busy === "yes") timer = setTimeout(again, PAUSE_MS);
}

function again() {
  refresh().catch((error) => tell(said, error.message, true));
}

// Run an action of a form: its button rests meanwhile, errors are told, the state is read anew.
function on(id, act, place = said) {
  const form = byId(id);
  if (!form) return;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button[type=submit]");
    if (button.disabled) return;
    button.disabled = true;
    tell(place, "");
    try {
      await act();
      await refresh();
    } catch (error) {
      tell(place, error.message, true);
    } finally {
      button.disabled = false;
    }
  });
}

function send(path, body) {
  const json = { method: "POST", headers: { "Content-Type": "application/json" } };
  return ask(path, { ...json, body: JSON.stringify(body) });
}

async function begin(path, body) {
  const task = await (await send(path, body)).json();
  watched.set(task.id, task.kind);
  tell(said, `${task.kind}: ${task.status}`);
}

// Rows of a CSV file (RFC 4180), each with the line that it begins on.
function csvRows(text) {
  const rows = [];
  let cells = [];
  let cell = "";
  let isQuoted = false;
  let line = 1;
  let first = 1;
  const close = () => {
    cells.push(cell);
    if (cells.length > 1 || cells[0] !== "") rows.push({ line: first, cells });
    cells = [];
    cell = "";
  };
  for (let at = 0; at < text.length; at += 1) {
    const sign = text[at];
    if (sign === "\n") line += 1;
    if (isQuoted) {
      if (sign !== '"') cell += sign;
      else if (text[at + 1] === '"') (cell += '"'), (at += 1);
      else isQuoted = false;
    } else if (sign === '"' && cell === "") isQuoted = true;
    else if (sign === ",") cells.push(cell), (cell = "");
    else if (sign === "\n") close(), (first = line);
    else if (sign !== "\r" || text[at + 1] !== "\n") cell += sign;
  }
  if (isQuoted) throw new Error(`The quotation mark opened in the row of line ${first} is not closed.`);
  close();
  return rows;
}

function fromCsv(text) {
  const [head, ...rows] = csvRows(text);
  if (!head) throw new Error("The file is empty.");
  const names = head.cells.map((name) => name.trim());
  const idName = ["doc_id", "_id", "id"].find((name) => names.includes(name));
  if (!idName || !names.includes("text")) {
    throw new Error("The first row must name the columns doc_id (or id) and text.");
  }
  if (new Set(names).size < names.length) throw new Error("The first row names a column twice.");
  const lines = rows.map(({ line, cells }) => {
    if (cells.length !== names.length) {
      throw new Error(`Line ${line} has ${cells.length} cells, and the first row ${names.length}. Nothing was sent.`);
    }
    const metadata = {};
    const row = { metadata };
    names.forEach((name, place) => {
      if (name === idName) row.doc_id = cells[place];
      else if (name === "text" || name === "title") row[name] = cells[place];
      else if (cells[place] !== "") metadata[name] = cells[place];
    });
    return JSON.stringify(row);
  });
  return { body: lines.join("\n"), lineOf: (number) => rows[number - 1]?.line ?? number };
}

function fromList(text) {
  let list;
  try {
    list = JSON.parse(text);
  } catch (error) {
    throw new Error(`The file is not valid JSON: ${error.message}`);
  }
  return { body: list.map((each) => JSON.stringify(each)).join("\n"), lineOf: (number) => number };
}

// What is sent for a file, and the line of the file that a line of it stands for.
async function linesOf(file) {
  const start = await file.slice(0, 4096).text(); // without a byte order mark
  const isCsv = /\.csv$/i.test(file.name);
  if (!isCsv && !start.trimStart().startsWith("[")) {
    const mark = new Uint8Array(await file.slice(0, 3).arrayBuffer());
    const isMarked = mark[0] === 0xef && mark[1] === 0xbb && mark[2] === 0xbf;
    return { body: isMarked ? file.slice(3) : file, lineOf: (number) => number };
  }
  if (file.size > MOST_PARSED_BYTES) {
    throw new Error("The file has more than 64 MB. Send it as JSON lines, which are read bit by bit.");
  }
  return isCsv ? fromCsv(await file.text()) : fromList(await file.text());
}

async function* answersOf(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    rest += value ?? "";
    const lines = rest.split("\n");
    rest = done ? "" : lines.pop();
    for (const line of lines) if (line) yield JSON.parse(line);
    if (done) return;
  }
}

async function upload() {
  const sum = byId("upload-sum");
  const table = byId("lines");
  const rows = table.tBodies[0];
  rows.replaceChildren();
  table.hidden = true;
  tell(sum, "Reading the file");
  const { body, lineOf } = await linesOf(byId("file").files[0]);
  const type = { "Content-Type": "application/x-ndjson" };
  tell(sum, "Sending");
  const answer = await ask(`${base}/documents`, { method: "POST", headers: type, body });
  let last = null;
  let nTold = 0;
  for await (const each of answersOf(answer.body)) {
    if (each.n_written !== undefined) {
      last = each;
      continue;
    }
    nTold += 1;
    if (nTold % 100 === 0) tell(sum, `${nTold.toLocaleString()} lines answered`);
    // Failures are listed first; what is left out is counted below.
    const isBad = each.error !== undefined;
    if (rows.rows.length >= MOST_ROWS && !isBad) continue;
    const row = document.createElement("tr");
    const status = isBad ? `${each.status}: ${each.error}` : each.status;
    for (const text of [lineOf(each.line), each.doc_id ?? "", status]) {
      row.insertCell().textContent = text;
    }
    row.classList.toggle("bad", isBad);
    const firstGood = rows.querySelector("tr:not(.bad)");
    if (isBad && firstGood) firstGood.before(row);
    else rows.append(row);
    if (rows.rows.length > MOST_ROWS) rows.lastElementChild.remove();
    table.hidden = false;
  }
  if (!last) throw new Error("The answer broke off; see which documents are there before you repeat it.");
  const nHidden = nTold - rows.rows.length;
  const told = [
    `${last.n_written.toLocaleString()} written, ${last.n_failed.toLocaleString()} failed.`,
    nHidden > 0 ? `${nHidden.toLocaleString()} lines are not listed.` : "",
    last.error ? `It ended early: ${last.error}` : "",
  ];
  tell(sum, told.filter(Boolean).join(" "), Boolean(last.n_failed || last.error));
}

on("upload-form", upload, byId("upload-sum"));
on("delete-form", async () => {
  const box = byId("doc-id");
  const id = box.value;
  // Not by its address: browsers shorten ids like "..".
  const answer = await send(`${base}/documents/delete`, { doc_ids: [id] });
  if ((await answer.json()).n_deleted === 0) throw new Error(`There is no document "${id}".`);
  box.value = "";
  tell(said, `Deleted: ${id}`);
});
on("snapshot-form", async () => {
  const name = byId("snapshot-name").value.trim();
  await begin(`${base}/snapshots`, name ? { name } : {});
  byId("snapshot-name").value = "";
});
on("merge-form", () => begin(`${base}/merge`, {}));
on("key-form", async () => {
  const before = sessionStorage.getItem(KEY);
  const key = byId("key").value.trim();
  if (!/^[!-~]+$/.test(key)) throw new Error("This is no key: a key has letters, digits and signs of ASCII.");
  sessionStorage.setItem(KEY, key);
  try {
    await ask(base);
  } catch (error) {
    if (before) sessionStorage.setItem(KEY, before);
    else sessionStorage.removeItem(KEY);
    throw error;
  }
  byId("key").value = "";
  byId("forget").hidden = false;
  tell(said, "The key is used until this tab is closed.");
});
byId("forget")?.addEventListener("click", () => {
  sessionStorage.removeItem(KEY);
  byId("forget").hidden = true;
  tell(said, "The key is forgotten.");
  again();
});
document.querySelector(".sign-out")?.addEventListener("submit", () => sessionStorage.removeItem(KEY));
page.addEventListener("click", async (event) => {
  const id = event.target.dataset?.cancel;
  if (!id) return;
  try {
    await ask(`/v1/tasks/${encodeURIComponent(id)}`, { method: "DELETE" });
    await refresh();
  } catch (error) {
    tell(said, error.message, true);
  }
});

byId("without").hidden = true;
byId("changes").hidden = false;
if (byId("forget") && sessionStorage.getItem(KEY)) {
  byId("forget").hidden = false;
  again();
} else settle();
