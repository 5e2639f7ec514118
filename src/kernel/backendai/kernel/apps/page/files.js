// Lists a folder of the home, and carries out what is asked of its entries.
"use strict";

const STEPS = ["bytes", "KiB", "MiB", "GiB", "TiB"];
const find = (id) => document.getElementById(id);
let folder = "";

function address(what, values) {
  const url = new URL(`api/${what}`, location.href.split(/[?#]/)[0]);
  url.search = new URLSearchParams(values).toString();
  return url;
}

function join(name) {
  return folder === "" ? name : `${folder}/${name}`;
}

function say(text) {
  find("notice").textContent = text;
  find("notice").hidden = text === "";
}

async function ask(method, what, values, body) {
  const answer = await fetch(address(what, values), { method, body });
  const value = await answer.json();
  if (!answer.ok) throw new Error(value.title || `error ${answer.status}`);
  return value;
}

async function carryOut(act) {
  try {
    say("");
    await act();
  } catch (error) {
    say(`That did not work: ${error.message}`);
  }
  await show();
}

function showSize(bytes) {
  let step = 0;
  for (; bytes >= 1024 && step < STEPS.length - 1; step += 1) bytes /= 1024;
  return `${step === 0 ? bytes : bytes.toFixed(1)} ${STEPS[step]}`;
}

function make(tag, properties, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

function showTrail() {
  const words = folder.split("/").filter(Boolean);
  const parts = [make("a", { href: "#", textContent: "home" })];
  words.forEach((word, index) => {
    const path = words.slice(0, index + 1).map(encodeURIComponent).join("/");
    parts.push(" / ", make("a", { href: `#${path}`, textContent: word }));
  });
  find("trail").replaceChildren(...parts);
}

function showEntry(entry) {
  const path = join(entry.name);
  const link = make("a", { textContent: entry.kind === "folder" ? `${entry.name}/` : entry.name });
  if (entry.kind === "folder") link.href = `#${path.split("/").map(encodeURIComponent).join("/")}`;
  if (entry.kind === "file") link.href = address("file", { path });
  const changed = entry.modified_at ? new Date(entry.modified_at * 1000).toLocaleString() : "";
  const rename = make("button", { type: "button", textContent: "Rename" });
  rename.setAttribute("aria-label", `Rename ${entry.name}`);
  rename.onclick = () => renameEntry(entry, path);
  const remove = make("button", { type: "button", textContent: "Delete" });
  remove.setAttribute("aria-label", `Delete ${entry.name}`);
  remove.onclick = () => deleteEntry(entry, path);
  return make("tr", {},
    make("td", {}, link),
    make("td", { textContent: entry.kind === "file" ? showSize(entry.size) : "" }),
    make("td", { textContent: changed }),
    make("td", {}, rename, remove));
}

function renameEntry(entry, path) {
  const name = prompt("New name", entry.name);
  if (name && name !== entry.name) {
    carryOut(() => ask("POST", "move", { path, to: join(name) }));
  }
}

function deleteEntry(entry, path) {
  const more = entry.kind === "folder" && !entry.is_link ? " and all that is in it" : "";
  if (confirm(`Delete ${entry.name}${more} for ever?`)) {
    carryOut(() => ask("DELETE", "file", { path }));
  }
}

function upload(files) {
  return carryOut(async () => {
    for (const file of files) {
      say(`Uploading ${file.name} …`);
      await ask("PUT", "file", { path: join(file.name) }, file);
    }
    say("");
  });
}

async function show() {
  showTrail();
  try {
    const { entries, is_whole: isWhole } = await ask("GET", "list", { path: folder });
    find("entries").replaceChildren(...entries.map(showEntry));
    find("empty").hidden = entries.length > 0;
    if (!isWhole) say(`Only the first ${entries.length} entries are shown.`);
  } catch (error) {
    find("entries").replaceChildren();
    say(`This folder cannot be shown: ${error.message}`);
  }
}

function follow() {
  folder = location.hash.slice(1).split("/").map(decodeURIComponent).filter(Boolean).join("/");
  say("");
  show();
}

find("make").onclick = () => {
  const name = prompt("Name of the folder");
  if (name) carryOut(() => ask("POST", "folder", { path: join(name) }));
};
find("pick").onchange = async (event) => {
  await upload(event.target.files);
  event.target.value = "";
};
const drop = find("drop");
drop.ondragover = (event) => { event.preventDefault(); drop.classList.add("dropping"); };
drop.ondragleave = () => drop.classList.remove("dropping");
drop.ondrop = (event) => {
  event.preventDefault();
  drop.classList.remove("dropping");
  upload(event.dataTransfer.files);
};
window.onhashchange = follow;
follow();
