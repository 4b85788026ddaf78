"use strict";

// One record's request as code to copy. JSON, Python and R write a text alike, if what cannot be seen is written out.
function literal(text) {
  const hidden = /[\x7f-\xa0\u00ad\u061c\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff]/g;
  return JSON.stringify(text).replace(hidden, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

const shell = (text) => `'${text.replaceAll("'", String.raw`'\''`)}'`;

function written(value, [missing, yes, no]) {
  if (value === null) return missing;
  if (typeof value === "boolean") return value ? yes : no;
  return typeof value === "string" ? literal(value) : String(value);
}

function rName(name) {
  const reserved = /^(if|else|repeat|while|function|for|next|break|TRUE|FALSE|NULL|Inf|NaN|NA|NA_(integer|real|complex|character)_|in)$/;
  return /^([A-Za-z]|\.(?![0-9]))[A-Za-z0-9._]*$/.test(name) && !reserved.test(name) ? name : literal(name);
}

const languages = {
  curl: (address, row) => {
    const members = Object.entries(row).map(([name, value]) => `${literal(name)}: ${written(value, ["null", "true", "false"])}`);
    return `curl ${shell(address)} \\
  --header 'Content-Type: application/json' \\
  --data-raw ${shell(`[{${members.join(", ")}}]`)}`;
  },
  Python: (address, row) => {
    const items = Object.entries(row).map(([name, value]) => `    ${literal(name)}: ${written(value, ["None", "True", "False"])},\n`);
    return `import httpx

row = {
${items.join("")}}
answer = httpx.post(${literal(address)}, json=[row])
answer.raise_for_status()
print(answer.json()["predictions"][0])
`;
  },
  R: (address, row) => {
    const items = Object.entries(row).map(([name, value]) => `  ${rName(name)} = ${written(value, ["NA", "TRUE", "FALSE"])}`);
    return `library(httr2)

row <- list(
${items.join(",\n")}
)
answer <- request(${literal(address)}) |>
  req_body_json(list(row)) |>
  req_perform() |>
  resp_body_json()
answer$predictions[[1]]
`;
  },
};
