/* The page of a difference: how its parts work together. */

const GROWS = ["added", "grown"];
const SHRINKS = ["removed", "shrunk"];

/** The changed allocations, in the terms of a `Grid`. */
class ChangeRows extends PackedRows {
  constructor() {
    super();
    this.type = data.type;
  }

  value(row, child, name) {
    if (name === "type") return this.type[row];
    if (name in data.addresses) return data.addresses[name][row];
    if (name in this.texts) return this.texts[name].at(row);
    const value = this.numbers[name][row];
    return Number.isNaN(value) ? null : value;
  }

  sortKeys(name) {
    if (name === "type") return Float64Array.from(this.type);
    if (name in data.addresses) return rankValues(data.addresses[name], compareHex);
    return name in this.texts ? this.texts[name].sortKeys() : this.numbers[name];
  }

  /** The rows with one of the statuses and one of the types, where there are any, and with all words of a text. */
  filter({ statuses, types, text }) {
    const words = text.toLowerCase().split(/\s+/).filter((word) => word !== "");
    if (words.length > 0 && this.words === null) {
      this.words = Array.from({ length: this.count }, (_, row) => this.columns
        .map((column) => cellText(column, this.value(row, -1, column.name))).join("\n").toLowerCase());
    }
    const found = [];
    for (let row = 0; row < this.count; row += 1) {
      if (statuses.size > 0 && !statuses.has(this.texts.status.at(row))) continue;
      if (types.size > 0 && !types.has(this.type[row])) continue;
      if (words.every((word) => this.words[row].includes(word))) found.push(row);
    }
    return Uint32Array.from(found);
  }
}

const changes = new ChangeRows();
const statuses = new Set();
const types = new Set();

/** Where a change is drawn: where the allocation is in the second map, or where it was. */
const places = Array.from({ length: changes.count }, (_, row) => {
  const status = changes.value(row, -1, "status");
  const after = data.addresses.address_b[row];
  const address = BigInt(after ?? data.addresses.address_a[row]);
  const size = changes.numbers[after === null ? "size_a" : "size_b"][row];
  const kind = GROWS.includes(status) ? "grows" : SHRINKS.includes(status) ? "shrinks" : "other";
  return { address, end: address + BigInt(size || 0), kind };
});

const grid = new Grid(byId("grid-changes"), changes, { label: "Changes", onSelect: inspect });
exportButtons(grid, "changes");
const strips = new Strips(places, (row) => {
  if (grid.lineOf(row, -1) < 0) clearFilters();
  grid.select(row, -1, { reveal: "middle" });
});

// ---------------------------------------------------------------- filters

const statusChips = new Map();
for (const status of data.statuses) {
  const count = changes.texts.status.values.indexOf(status) < 0 ? 0
    : changes.texts.status.codes.filter((code) => changes.texts.status.values[code] === status).length;
  if (count === 0) continue;
  const chip = element("button", { type: "button", "aria-pressed": "false" }, status, element("span", { class: "number" }, countText(count)));
  chip.addEventListener("click", () => {
    if (!statuses.delete(status)) statuses.add(status);
    applyFilters();
  });
  statusChips.set(status, chip);
  byId("status-chips").append(chip);
}

function applyFilters() {
  for (const [status, chip] of statusChips) chip.setAttribute("aria-pressed", String(statuses.has(status)));
  for (const line of document.querySelectorAll("#summary tbody tr")) {
    const on = types.has(Number(line.dataset.type));
    line.classList.toggle("chosen", on);
    line.querySelector("button").setAttribute("aria-pressed", String(on));
  }
  const rows = changes.filter({ statuses, types, text: byId("filter-text").value });
  grid.setRows(rows);
  grid.box.scrollTop = 0;
  let sum = 0;
  for (const row of rows) sum += changes.numbers.committed_delta[row];
  byId("count-changes").textContent = `${rowsText(rows.length, changes.count)}: committed ${deltaText(sum) || "±0"} KB`;
}

function clearFilters() {
  statuses.clear();
  types.clear();
  byId("filter-text").value = "";
  applyFilters();
}

for (const line of document.querySelectorAll("#summary tbody tr")) {
  line.addEventListener("click", () => {
    const type = Number(line.dataset.type);
    const alone = types.size === 1 && types.has(type);
    types.clear();
    if (type >= 0 && !alone) types.add(type);
    applyFilters();
    if (types.size > 0) byId("memory").scrollIntoView({ block: "start" });
  });
}
byId("filter-text").addEventListener("input", applyFilters);
byId("filters").addEventListener("submit", (event) => event.preventDefault());
byId("filter-clear").addEventListener("click", clearFilters);

// ---------------------------------------------------------------- one change

/** Describes a change in full, and shows it in the strips. */
function inspect(row) {
  strips.showChange(row);
  const value = (name) => changes.value(row, -1, name);
  const panel = byId("inspector");
  const list = element("dl");
  const add = (label, text, wide) => addFact(list, label, text, wide);
  const range = (side) => {
    const [address, size] = [value(`address_${side}`), value(`size_${side}`)];
    return address === null ? "" : `${addressText(address)} – ${addressText(BigInt(address) + BigInt(size))}`;
  };
  add("Before (end exclusive)", range("a"), true);
  add("After (end exclusive)", range("b"), true);
  for (const [name, label] of [["committed", "Committed"], ["size", "Size"], ["private", "Private"]]) {
    const [before, after] = [value(`${name}_a`), value(`${name}_b`)];
    const text = [before, after].map((size) => (size === null ? "none" : shortSize(size))).join(" → ");
    if (before !== null || after !== null) add(label, text);
  }
  add("Kind", value("kind"));
  add("Details", value("details"), true);
  panel.replaceChildren(element("div", { class: "inspector-head" }, element("h3", {}, element("i", { class: `swatch t${changes.type[row]}` }),
    `${data.types[changes.type[row]]}: ${value("status")}`), closeButton(panel, grid.box)), list);
  showDetails(panel, grid);
}

// ---------------------------------------------------------------- the whole page

focusOnSlash("filter-text");
onPrint((on) => grid.print(on));
applyFilters();
markReady();
