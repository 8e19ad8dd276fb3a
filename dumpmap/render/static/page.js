/* The page: how its parts work together. */

const memory = new MemoryRows();
const tabs = [...document.querySelectorAll('[role="tab"]')];
const chosen = new Set();
let chosenOwner = null;
const grids = {};

// ---------------------------------------------------------------- tabs

function openTab(id, { focus = false } = {}) {
  for (const tab of tabs) {
    const open = tab.id === id;
    tab.setAttribute("aria-selected", String(open));
    tab.tabIndex = open ? 0 : -1;
    byId(tab.getAttribute("aria-controls")).hidden = !open;
    if (open && focus) tab.focus();
  }
  const name = id.replace("tab-", "");
  if (name !== "allocations" && name !== "input" && !(name in grids)) makeTable(name);
  if (name in grids) grids[name].render();
}

for (const tab of tabs) {
  tab.addEventListener("click", () => openTab(tab.id));
  tab.addEventListener("keydown", (event) => {
    const place = tabs.indexOf(tab);
    const steps = { ArrowRight: place + 1, ArrowLeft: place - 1, Home: 0, End: tabs.length - 1 };
    if (!(event.key in steps)) return;
    event.preventDefault();
    openTab(tabs[(steps[event.key] + tabs.length) % tabs.length].id, { focus: true });
  });
  byId(tab.getAttribute("aria-controls")).dataset.title = tab.firstChild.textContent.trim();
}

// ---------------------------------------------------------------- stacks, heaps, modules

function makeTable(name) {
  const rows = new TableRows(data.tables[name]);
  const host = byId(`grid-${name}`);
  if (rows.count === 0) {
    host.hidden = true;
    grids[name] = { render() {}, print() {} };
    return;
  }
  const largest = rows.columns.find((column) => column.holds === "size");
  const grid = new Grid(host, rows, { label: name, onAddress: lookUp, sort: largest === undefined ? undefined : largest.name });
  grids[name] = grid;
  exportButtons(grid, name);
  const count = byId(`count-${name}`);
  const showCount = (shown) => { count.textContent = `${rowsText(shown, rows.count)}. Sizes in KB.`; };
  showCount(rows.count);
  document.querySelector(`.table-filter[data-table="${name}"]`).addEventListener("input", (event) => {
    const found = rows.filter(event.target.value);
    grid.setRows(found);
    showCount(found.length);
  });
}

// ---------------------------------------------------------------- allocations

/* What the inspector says of a row can leave a narrow table; protection and details stay. */
const LEAVING = ["owner_module", "locked_ws", "shared_ws", "shareable_ws", "evidence", "blocks", "kind", "private_ws", "owner"];

grids.allocations = new Grid(byId("grid-allocations"), memory, {
  label: "Allocations",
  onSelect: inspect,
  sort: "size",
  leaving: LEAVING,
  onLeave: nameLeftOut,
});
exportButtons(grids.allocations, "allocations");

/** Puts the tables at the top of the window; on a narrow screen, where details cover its lower half, the rows. */
function showTables() {
  const narrow = matchMedia("(max-width: 980px)").matches;
  (narrow ? document.querySelector("#panel-allocations .count-line") : byId("memory")).scrollIntoView({ block: "start" });
}

const space = new SpaceMap(memory, goTo);

const chips = new Map();
{
  const counts = new Float64Array(data.types.length);
  for (let i = 0; i < memory.count; i += 1) counts[memory.type[i]] += 1;
  data.types.forEach((name, type) => {
    const parts = memory.blocks.type.includes(type);
    if (counts[type] === 0 && !parts) return;
    const chip = element("button", { type: "button", "aria-pressed": "false", "data-type": type },
      element("i", { class: `swatch t${type}` }), name, element("span", { class: "number" }, countText(counts[type])));
    chip.addEventListener("click", () => {
      if (chosen.has(type)) chosen.delete(type);
      else chosen.add(type);
      applyTypes();
    });
    chips.set(type, chip);
    byId("type-chips").append(chip);
  });
}

/** Shows one type alone, or all types again where it is alone already. */
function chooseType(type) {
  const alone = chosen.size === 1 && chosen.has(type);
  chosen.clear();
  if (type >= 0 && !alone) chosen.add(type);
  openTab("tab-allocations");
  applyTypes();
  if (chosen.size > 0) showTables();
}

function applyTypes() {
  for (const [type, chip] of chips) chip.setAttribute("aria-pressed", String(chosen.has(type)));
  for (const line of document.querySelectorAll("#summary tbody tr")) {
    const on = chosen.has(Number(line.dataset.type));
    line.classList.toggle("chosen", on);
    line.querySelector("button").setAttribute("aria-pressed", String(on));
  }
  space.setFilter(chosen, chosenOwner);
  applyFilters();
}

// ---------------------------------------------------------------- owners

const sameOwner = (one, other) => one !== null && one.choice === other.choice && one.value === other.value;

/** Shows one owner alone, or all again where it is alone already; goes to a group's first allocation. */
function chooseOwner({ choice, value }) {
  if (choice === "address") {
    lookUp(value);
    return;
  }
  setOwner(sameOwner(chosenOwner, { choice, value }) ? null : { choice, value });
  openTab("tab-allocations");
  applyTypes();
  if (chosenOwner !== null) showTables();
}

/** Notes the owner that the filters show, and marks it everywhere. */
function setOwner(owner) {
  chosenOwner = owner;
  for (const line of document.querySelectorAll("#owner-table tbody tr")) {
    const on = sameOwner(owner, line.dataset);
    line.classList.toggle("chosen", on);
    line.querySelector("button").setAttribute("aria-pressed", String(on));
  }
  const chip = byId("owner-chip");
  chip.hidden = owner === null;
  chip.textContent = owner === null ? "" : `Owner: ${choiceText(owner)} ✕`;
}

for (const line of document.querySelectorAll("#owner-table tbody tr")) {
  line.addEventListener("click", () => chooseOwner(line.dataset));
}
for (const button of document.querySelectorAll(".takers button")) {
  button.addEventListener("click", () => chooseOwner(button.dataset));
}
byId("owner-chip").addEventListener("click", () => {
  setOwner(null);
  applyTypes();
});

for (const button of document.querySelectorAll("[data-colors]")) {
  button.addEventListener("click", () => {
    const what = button.dataset.colors;
    for (const other of document.querySelectorAll("[data-colors]")) other.setAttribute("aria-pressed", String(other === button));
    for (const item of document.querySelectorAll(".of-owner")) item.hidden = what !== "owner";
    for (const item of document.querySelectorAll(".of-type")) item.hidden = what === "owner";
    space.colorBy(what);
  });
}

for (const line of document.querySelectorAll("#summary tbody tr")) {
  line.addEventListener("click", () => chooseType(Number(line.dataset.type)));
}

let openedByText = [];

function applyFilters() {
  const input = byId("filter-size");
  const size = parseSize(input.value);
  input.setAttribute("aria-invalid", String(size === null));
  const text = byId("filter-text").value;
  const { rows, byBlock } = memory.filter({ types: chosen, owner: chosenOwner, text, size: size ?? 0 });
  const grid = grids.allocations;
  // Rows that match only by a block expand, to show why they are there.
  for (const row of openedByText) grid.expanded.delete(row);
  openedByText = byBlock.length <= 200 ? byBlock.filter((row) => !grid.expanded.has(row)) : [];
  for (const row of openedByText) grid.expanded.add(row);
  grid.setRows(rows);
  grid.box.scrollTop = 0;
  grid.render();
  showSums(rows);
}

/** Writes how many rows are shown and what they add up to. */
function showSums(rows) {
  const sums = ["size", "committed", "private"].map((name) => {
    const values = memory.numbers[name];
    let sum = 0;
    let known = false;
    let least = "";
    for (const row of rows) {
      const value = values === null ? NaN : values[row];
      if (!Number.isNaN(value)) {
        sum += value;
        known = true;
      } else if (memory.type[row] !== FREE && memory.type[row] !== UNUSABLE) {
        least = "at least ";
      }
    }
    return known ? `${name} ${least}${sizeText(sum)}` : null;
  }).filter((part) => part !== null);
  byId("count-allocations").textContent = rowsText(rows.length, memory.count)
    + (sums.length > 0 ? `: ${sums.join(", ")} KB` : "");
}

let waiting = 0;
for (const id of ["filter-text", "filter-size"]) {
  byId(id).addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(applyFilters, memory.count > 20000 ? 180 : 0);
  });
}
byId("filters").addEventListener("submit", (event) => {
  event.preventDefault();
  applyFilters();
});
byId("filter-clear").addEventListener("click", clearFilters);
byId("expand-all").addEventListener("click", () => grids.allocations.toggleAll(true));
byId("collapse-all").addEventListener("click", () => grids.allocations.toggleAll(false));

function clearFilters() {
  byId("filter-text").value = "";
  byId("filter-size").value = "";
  chosen.clear();
  setOwner(null);
  applyTypes();
}

// ---------------------------------------------------------------- one row, one address

/** Describes a row in full: what the columns have no room for, and what its evidence means. */
function inspect(row, child, address = null) {
  const panel = byId("inspector");
  const value = (name) => memory.value(row, child, name);
  const start = value("address");
  const end = child < 0 ? memory.end(row) : memory.blockEnd(memory.firstPart[row] + child);
  const type = value("type");
  const title = address === null ? data.types[type] : `${addressText(address)} is in ${data.types[type]}`;
  const list = element("dl");
  const add = (label, text, wide) => addFact(list, label, text, wide);
  const sized = (bytes) => (bytes === null ? null
    : `${sizeText(bytes)} KB${bytes >= 2 ** 20 ? ` (${shortSize(bytes)})` : ""}`);
  add(child < 0 ? "Address range (end exclusive)" : "Block range (end exclusive)", `${addressText(start)} – ${addressText(end)}`, true);
  // Without a list of regions, a row is what the input shows of an allocation. Only modules say where theirs ends.
  const whole = !data.partial || data.types[memory.value(row, -1, "type")] === "Image";
  if (child >= 0 && whole) add("Allocation", `${addressText(memory.base[row])} – ${addressText(memory.end(row))}`, true);
  if (address !== null) {
    const into = address - memory.base[row];
    const what = type === FREE || type === UNUSABLE ? "gap" : whole ? "allocation" : "known range";
    add("Offset", `0x${into.toString(16)} in the ${what}${child >= 0 ? `, 0x${(address - start).toString(16)} in the block` : ""}`);
  }
  for (const column of memory.columns) {
    if (column.holds === "size") add(column.title, sized(value(column.name)));
  }
  if (child < 0) add("Blocks", countText(value("blocks")));
  add("Protection", value("protection"));
  add("Kind", value("kind"));
  const details = value("details") || (child >= 0 ? memory.value(row, -1, "details") : "");
  add("Details", details, details.length > 60);
  add("Owner", value("owner") === value("owner_module") || value("owner_module") === "" ? value("owner")
    : `${value("owner")} (${value("owner_module")})`);
  add(value("inferred") ? "Evidence (inferred, not recorded)" : "Evidence", evidenceLines(value("evidence")), true);
  const show = element("button", { type: "button" }, "Show in the map");
  show.addEventListener("click", () => {
    space.showRow(row, child);
    byId("space").scrollIntoView({ block: "start" });
  });
  panel.replaceChildren(
    element("div", { class: "inspector-head" }, element("h3", {}, element("i", { class: `swatch t${type}` }), title), show, closeButton(panel, grids.allocations.box)),
    list,
  );
  showDetails(panel, grids.allocations);
}

/** Shows a row in the table, even if the filters hide it. */
function goTo(row, child, address = null) {
  openTab("tab-allocations");
  const grid = grids.allocations;
  if (grid.lineOf(row, -1) < 0) clearFilters();
  grid.select(row, child, { reveal: "middle", address });
  showTables();
}

/** Shows what is at an address, given as text. */
function lookUp(text) {
  const answer = byId("lookup-answer");
  const say = (message, bad) => {
    answer.textContent = message;
    answer.className = `lookup-answer${bad ? " bad" : ""}`;
    answer.hidden = false;
  };
  byId("lookup").value = text.trim();
  const address = readPlace(text);
  byId("lookup").setAttribute("aria-invalid", String(address === null));
  if (address === null) {
    say("Not an address. Enter an address such as 0x7ff612340000, or a listed module and an offset: kernel32.dll+0x1234.", true);
    return;
  }
  const row = memory.rowAt(address);
  if (row < 0) {
    const outside = data.end !== null && address >= BigInt(data.end);
    say(outside ? `${addressText(address)} is outside the address space.`
      : `${addressText(address)} is unknown: the input does not describe this address.`, true);
    return;
  }
  const child = memory.blockAt(row, address);
  const what = new Set([data.types[memory.value(row, child, "type")], memory.value(row, child, "kind"),
    memory.value(row, child, "details") || memory.value(row, -1, "details"), memory.value(row, child, "protection")]);
  what.delete("");
  say(`${addressText(address)}: ${[...what].join(", ")}`, false);
  goTo(row, child, address);
  space.pin(space.runs.atAddress(address));
}

/** Reads an address from digits or `module+offset`; null for other text. */
function readPlace(text) {
  const plain = parseAddress(text);
  if (plain !== null) return plain;
  const cut = text.lastIndexOf("+");
  const name = (cut < 0 ? text : text.slice(0, cut)).trim().toLowerCase();
  const offset = cut < 0 ? 0n : parseAddress(text.slice(cut + 1));
  if (offset === null || name === "") return null;
  const modules = new TableRows(data.tables.modules);
  for (let i = 0; i < modules.count; i += 1) {
    const known = (modules.value(i, -1, "name") || "").toLowerCase();
    if ((known === name || known.replace(/\.[^.]*$/, "") === name) && modules.value(i, -1, "state") !== "unloaded") {
      return BigInt(modules.value(i, -1, "base")) + offset;
    }
  }
  return null;
}

byId("lookup-form").addEventListener("submit", (event) => {
  event.preventDefault();
  lookUp(byId("lookup").value);
});

// ---------------------------------------------------------------- the whole page

focusOnSlash("lookup");
onTheme(() => space.draw());
onPrint((on) => {
  if (on) for (const name of ["stacks", "heaps", "modules"]) if (!(name in grids)) makeTable(name);
  for (const grid of Object.values(grids)) grid.print(on);
});

showSums(grids.allocations.order);

/** Opens the page at the address in its URL: report.html#at=0x7ff612340000 */
function followHash() {
  const match = /^#at=(.+)$/.exec(location.hash);
  if (match === null) return;
  let text = match[1];
  try {
    text = decodeURIComponent(text);
  } catch {
    // The text has a stray percent sign: use it as it is.
  }
  lookUp(text);
}
addEventListener("hashchange", followHash);
