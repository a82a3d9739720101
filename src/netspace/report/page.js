// What wakes the page: the reader's choices, the drawings and the table that follow them, and news of a running study.

const POLL = 2_000;
const state = {
  hidden: new Set(), weighing: "networks", view: null,
  sort: { column: "error", down: false }, text: "", space: "", page: 0,
};
const sources = new Map();
let data;
let curves;

function remember() {
  for (const section of document.querySelectorAll("main > section")) sources.set(section.id, section.outerHTML);
}

// A section that this page has not seen as it is now stands as files made it; make it answer.
function enliven(sections) {
  for (const section of sections) {
    for (const still of section.querySelectorAll(".still")) still.hidden = true;
    for (const live of section.querySelectorAll(".live")) live.hidden = false;
    for (const item of section.querySelectorAll(".key li")) {
      const { name } = data.spaces[item.dataset.key];
      const toggle = () => {
        if (!state.hidden.delete(name)) state.hidden.add(name);
        show();
      };
      item.replaceChildren(element("button", { type: "button", onclick: toggle, "data-name": name }, ...item.childNodes));
    }
    const root = section.querySelector("#curves");
    if (root) curves = new Curves(root, data, state, show);
  }
  show();
}

// Let every drawing show the spaces that are not switched off.
function show() {
  for (const button of document.querySelectorAll(".key button"))
    button.setAttribute("aria-pressed", !state.hidden.has(button.dataset.name));
  for (const mark of document.querySelectorAll("[data-space]"))
    mark.toggleAttribute("hidden", state.hidden.has(data.spaces[mark.dataset.space].name));
  if (curves?.root.isConnected) curves.draw();
}

async function fillTable() {
  const root = document.getElementById("table");
  const table = await unpack(document.getElementById("networks-data").textContent);
  const parquet = document.getElementById("parquet-data");
  const source = { text: parquet.textContent, file: parquet.dataset.file };
  const focused = document.activeElement?.id;
  const left = root.querySelector(".scroll")?.scrollLeft ?? 0;
  new Networks(root, data.spaces, table, source, state);
  root.querySelector(".scroll").scrollLeft = left;
  if (root.contains(document.getElementById(focused))) document.getElementById(focused).focus({ preventScroll: true });
}

const read = (from) => JSON.parse(from.getElementById("page-data").textContent);

// Take over what changed in another state of this page, and leave the reader where they are.
async function update(fresh) {
  const top = [...document.querySelectorAll("main > section")].find((one) => one.getBoundingClientRect().bottom > 60);
  const before = top?.getBoundingClientRect().top;
  data = read(fresh);
  document.title = fresh.title;
  document.querySelector("header .lead").replaceWith(fresh.querySelector("header .lead"));
  document.getElementById("data").replaceWith(fresh.getElementById("data"));
  document.querySelector("nav").replaceWith(fresh.querySelector("nav"));
  const woken = [];
  let last = null;
  const sections = [...fresh.querySelectorAll("main > section")];
  for (const old of document.querySelectorAll("main > section"))
    if (!sections.some(({ id }) => id === old.id)) old.remove();
  for (const section of sections) {
    const old = document.getElementById(section.id);
    const isNew = sources.get(section.id) !== section.outerHTML;
    sources.set(section.id, section.outerHTML);
    if (isNew) {
      if (old) old.replaceWith(keepState(old, section));
      else if (last) last.after(section);
      else document.querySelector("main").prepend(section);
      woken.push(section);
    }
    last = document.getElementById(section.id);
  }
  enliven(woken);
  later.splice(0).forEach((action) => action());
  await fillTable();
  const now = top && document.getElementById(top.id);
  if (now) window.scrollBy({ top: now.getBoundingClientRect().top - before, behavior: "instant" });
}

const later = [];

// Open what the reader opened, scroll what they scrolled, and remember what they were about to press.
function keepState(old, section) {
  const pairs = (selector) => [...section.querySelectorAll(selector)].map((one, k) => [one, old.querySelectorAll(selector)[k]]);
  for (const [one, before] of pairs("details")) one.open = before?.open ?? one.open;
  const scrolled = pairs(".scroll, .panels").map(([one, before]) => [one, before?.scrollLeft ?? 0]);
  const pressable = "a, button, select, input, summary, [tabindex]";
  const place = [...old.querySelectorAll(pressable)].indexOf(document.activeElement);
  later.push(() => {
    for (const [one, left] of scrolled) one.scrollLeft = left;
    if (place >= 0) section.querySelectorAll(pressable)[place]?.focus({ preventScroll: true });
  });
  return section;
}

async function poll() {
  const badge = document.getElementById("news");
  try {
    const said = await fetch("version", { cache: "no-store" });
    if (!said.ok) throw new Error(await said.text());
    const version = await said.text();
    if (version !== document.getElementById("data").dataset.version) {
      const page = await (await fetch("./", { cache: "no-store" })).text();
      await update(new DOMParser().parseFromString(page, "text/html"));
    }
    badge.textContent = "Live: this page follows the study.";
  } catch {
    badge.textContent = "Not live: the server does not answer, and the page shows what it last said.";
  }
  setTimeout(poll, POLL);
}

data = read(document);
remember();
enliven(document.querySelectorAll("main > section"));
let redraw;
new ResizeObserver(() => {
  cancelAnimationFrame(redraw);
  redraw = requestAnimationFrame(() => curves?.root.isConnected && curves.draw());
}).observe(document.body);
fillTable();
if (document.getElementById("news")) setTimeout(poll, POLL);
