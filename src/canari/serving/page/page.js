"use strict";

const { signature, example } = JSON.parse(document.getElementById("model").textContent);
const byId = (id) => document.getElementById(id);

// Behind a proxy the page may be at a path of its own, with or without a slash at its end.
const here = location.origin + location.pathname.replace(/\/*$/, "/");
const address = `${here}predict`;

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

const paragraph = (className, textContent) => element("p", { className, textContent });

// The form

const fields = signature.inputs.map((column, index) => {
  const id = `c${index}`;
  const control = makeControl(column);
  control.id = id;
  control.setAttribute("aria-describedby", `${id}-hint ${id}-note`);
  const unit = column.unit ? [" ", element("span", { className: "unit", textContent: `(${column.unit})` })] : [];
  const label = element("label", { htmlFor: id }, column.name, ...unit);
  const hint = element("p", { id: `${id}-hint`, textContent: hintOf(column) });
  const note = element("p", { id: `${id}-note` });
  const box = element("div", { className: "field" }, label, control, hint, note);
  return { column, control, note, box };
});

function makeControl(column) {
  if (column.kind === "boolean" || column.levels) {
    const levels = column.kind === "boolean" ? ["true", "false"] : column.levels;
    const options = levels.map((level, i) => element("option", { value: String(i), textContent: shownLevel(level) }));
    if (column.missing) options.push(element("option", { value: "", textContent: "– missing –" }));
    return element("select", {}, ...options);
  }
  const placeholder = column.missing ? "missing" : "";
  if (column.kind === "category") return element("input", { type: "text", placeholder });
  return element("input", { type: "number", step: stepOf(column), placeholder });
}

// A level as it is, or in quotes where one would not see all of it.
function shownLevel(level) {
  return /^\s|\s$|^$|[\x00-\x1f]/.test(level) ? JSON.stringify(level) : level;
}

// How far an arrow key goes: a power of ten, a hundredth to a tenth of the range.
function stepOf({ kind, range }) {
  const width = range ? range[1] - range[0] : 0;
  return kind === "integer" || !(width > 0) ? "1" : String(Number(`1e${Math.floor(Math.log10(width)) - 1}`));
}

function hintOf(column) {
  const parts = [];
  if (column.range) parts.push(`${column.range[0]} to ${column.range[1]} in training`);
  else if (column.kind === "integer") parts.push("whole number");
  if (column.missing) parts.push(column.levels || column.kind === "boolean" ? "may be missing" : "empty is missing");
  return parts.join(", ");
}

function fill(row) {
  for (const { column, control } of fields) {
    const value = row[column.name];
    if (column.kind === "boolean") control.value = value ? "0" : "1";
    else if (column.levels) control.value = String(column.levels.indexOf(value));
    else control.value = String(value);
  }
  fields.forEach(warn);
  changed();
}

// The value of a field as JSON has it; undefined where it is no number.
function valueOf({ column, control }) {
  if (control.validity.badInput) return undefined;
  if (control.value === "") return column.kind === "category" && !column.levels && !column.missing ? "" : null;
  if (column.kind === "boolean") return control.value === "0";
  if (column.levels) return column.levels[Number(control.value)];
  return column.kind === "category" ? control.value : Number(control.value);
}

function rowOf() {
  return Object.fromEntries(fields.map((field) => [field.column.name, valueOf(field) ?? null]));
}

function note(field, text, kind) {
  field.note.textContent = text;
  field.note.className = kind;
  field.control.setAttribute("aria-invalid", String(kind === "error"));
}

function warn(field) {
  const { range } = field.column;
  const value = valueOf(field);
  const outside = range && typeof value === "number" && (value < range[0] || value > range[1]);
  note(field, outside ? "outside of what the model has seen" : "", outside ? "warning" : "");
}

function changed() {
  outdate();
  showCode();
}

// Say what is wrong before anybody is asked; the server has the last word.
function mistakes() {
  return fields.filter((field) => {
    const { kind, missing } = field.column;
    const value = valueOf(field);
    let text = "";
    if (value === undefined) text = "expected a number";
    else if (value === null && !missing) text = "expected a value";
    else if (value !== null && kind === "integer" && !Number.isSafeInteger(value)) text = "expected a whole number below 2^53";
    if (text) note(field, text, "error");
    return text;
  });
}

function reveal(field) {
  byId("filter").value = "";
  find();
  field.control.focus();
}

// The prediction

let latest = null; // what stops the request under way

async function predict() {
  latest?.abort();
  fields.forEach(warn);
  const wrong = mistakes();
  if (wrong.length) {
    reveal(wrong[0]);
    return fail(`${wrong.length === 1 ? "One value is" : `${wrong.length} values are`} not right: see the form.`);
  }
  const stopping = (latest = new AbortController());
  const begun = performance.now();
  byId("prediction").setAttribute("aria-busy", "true");
  let response, text;
  try {
    const body = JSON.stringify([rowOf()]);
    response = await fetch(address, { method: "POST", headers: { "content-type": "application/json" }, body, signal: stopping.signal });
    text = await response.text();
  } catch {
    if (stopping === latest) fail("The server did not answer. Is it still there, and the network?");
    return;
  }
  const took = performance.now() - begun;
  const answer = parsed(text);
  const prediction = response.ok && answer?.predictions?.[0];
  if (prediction) show(...outputs(prediction));
  else refused(answer?.error ?? `The server answered ${response.status} ${response.statusText}, without a prediction.`);
  describe(response, answer, took);
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function refused(message) {
  for (const field of fields) {
    const where = `row 0, column ${quoted(field.column.name)}: `;
    if (!message.startsWith(where)) continue;
    note(field, message.slice(where.length), "error");
    reveal(field);
  }
  fail(message);
}

// A name as the server quotes it, which is Python's way.
function quoted(name) {
  const mark = name.includes("'") && !name.includes('"') ? '"' : "'";
  const escapes = { "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", [mark]: `\\${mark}` };
  return mark + name.replace(/[\\\n\r\t'"]/g, (c) => escapes[c] ?? c) + mark;
}

const fail = (message) => show(paragraph("failure", message));

function show(...children) {
  byId("prediction").setAttribute("aria-busy", "false");
  byId("prediction").replaceChildren(...children);
  byId("details").replaceChildren();
  byId("stale").hidden = true;
  byId("result").classList.remove("stale");
  byId("result").scrollIntoView({ block: "nearest" });
}

function outdate() {
  const old = byId("details").hasChildNodes();
  byId("stale").hidden = !old;
  byId("result").classList.toggle("stale", old);
}

function outputs(prediction) {
  return signature.outputs.flatMap((output) => {
    const value = prediction[output.name];
    const title = paragraph("output", output.name);
    if (value === null) return [title, paragraph("value", "missing"), paragraph("exact", "The model has no prediction for this row.")];
    if (output.kind === "class") return [title, paragraph("value", shownLevel(value))];
    if (output.kind === "number") return [title, ...rounded(value, (number) => String(Number(number.toPrecision(6))))];
    if (typeof value === "object") return [title, shares(value)];
    if (output.labels) title.append(`: ${shownLevel(output.labels[0])}`);
    return [title, ...rounded(value, percent), track(value)];
  });
}

function rounded(value, inWords) {
  if (typeof value === "string") return [paragraph("value", value.replace("Inf", "∞")), paragraph("exact", "infinite")];
  const words = inWords(value);
  return words === String(value) ? [paragraph("value", words)] : [paragraph("value", words), paragraph("exact", String(value))];
}

// Four digits, of which none says that something is certain that is not.
function percent(share) {
  const shown = Number((100 * share).toPrecision(4));
  return shown === 100 && share < 1 ? "> 99.99 %" : `${shown} %`;
}

function shares(byLabel) {
  const rows = Object.entries(byLabel).map(([label, share]) => {
    const words = share === null ? "missing" : percent(share);
    return element("div", {}, element("span", { textContent: shownLevel(label) }), track(share), element("span", { textContent: words }));
  });
  return element("div", { className: "shares" }, ...rows);
}

function track(share) {
  const filled = element("i");
  filled.style.width = `${100 * (share ?? 0)}%`;
  return element("div", { className: "track" }, filled);
}

function describe(response, answer, took) {
  const told = [
    ["model", answer?.model && `${answer.model} ${answer.version}`],
    ["bento", answer?.bento],
    ["status", String(response.status)],
    ["time", `${took.toFixed(1)} ms, there and back`],
    ["request id", response.headers.get("x-request-id")],
  ];
  const entries = told.filter(([, text]) => text).flatMap(([term, text]) => [element("dt", { textContent: term }), element("dd", { textContent: text })]);
  const body = element("pre", { tabIndex: 0, textContent: JSON.stringify(answer, null, 2) });
  byId("details").append(element("dl", {}, ...entries), element("details", {}, element("summary", { textContent: "The answer's JSON" }), body));
}

// The same request in other languages

let language = "curl";

function showCode() {
  byId("code").textContent = languages[language](address, rowOf());
}

function choose(name) {
  language = name;
  for (const tab of byId("tabs").children) {
    const selected = tab.textContent === name;
    tab.setAttribute("aria-selected", String(selected));
    tab.tabIndex = selected ? 0 : -1;
    if (selected) byId("code").setAttribute("aria-labelledby", tab.id);
  }
  showCode();
}

byId("tabs").append(...Object.keys(languages).map((name) => {
  const tab = element("button", { type: "button", id: `tab-${name}`, textContent: name, onclick: () => choose(name) });
  tab.setAttribute("role", "tab");
  tab.setAttribute("aria-controls", "code");
  return tab;
}));

byId("tabs").onkeydown = ({ key }) => {
  const names = Object.keys(languages);
  const step = { ArrowRight: 1, ArrowLeft: names.length - 1 }[key];
  if (!step) return;
  choose(names[(names.indexOf(language) + step) % names.length]);
  byId(`tab-${language}`).focus();
};

byId("copy").onclick = async () => {
  const code = byId("code");
  let copied = true;
  try {
    await navigator.clipboard.writeText(code.textContent);
  } catch { // a page over plain HTTP may not write there
    getSelection().selectAllChildren(code);
    copied = document.execCommand("copy");
  }
  byId("copied").textContent = copied ? "Copied" : "Press Ctrl+C";
  setTimeout(() => (byId("copied").textContent = ""), 2000);
};

// A long form

function find() {
  const wanted = byId("filter").value.trim().toLowerCase();
  for (const { column, box } of fields) box.hidden = !column.name.toLowerCase().includes(wanted);
  byId("found").textContent = wanted ? `${fields.filter(({ box }) => !box.hidden).length} of ${fields.length}` : "";
}

byId("search").hidden = fields.length <= 24;
byId("filter").oninput = find;
byId("filter").onkeydown = (event) => {
  if (event.key === "Enter") event.preventDefault();
};

function origin({ source, proof }) {
  const from = `${source.model_class} from ${source.language} ${source.version}`;
  if (!proof) return [from, ", ", element("span", { className: "badge", textContent: "unproved" }), " its predictions were never compared with its source's own"];
  const how = proof.worst ? `within ${proof.worst.toExponential(0)} of` : "equal to";
  return [`${from}, proved: ${how} its source's own predictions on ${proof.rows} rows`];
}

for (const link of document.querySelectorAll("nav a")) link.href = here + link.getAttribute("href");
byId("name").textContent = signature.name;
byId("version").textContent = signature.version;
byId("source").append(...origin(signature));
byId("fields").append(...fields.map(({ box }) => box));
byId("fields").oninput = ({ target }) => {
  warn(fields.find(({ control }) => control === target));
  changed();
};
byId("form").onsubmit = (event) => {
  event.preventDefault();
  predict();
};
byId("form").onreset = (event) => {
  event.preventDefault();
  fill(example);
};
choose("curl");
fill(example);
