/* The page of a batch: how its parts work together. */

const LISTED = 8;
const COMMAND = /^[\w./:\\+@%=,-]+$/;

const dumps = new Dumps();
const facets = [
  new Facet("rank", "Severity", data.ranks, (row) => [dumps.rank[row]]),
  Facet.ofColumn("verdict", "Verdict", dumps.texts.verdict),
  Facet.ofColumn("process", "Process", dumps.texts.process),
  Facet.ofPair("version", "Process and version", dumps.texts.process, dumps.texts.version),
  new Facet("finding", "Finding", data.found.values, (row) => data.found.codes[row]),
  Facet.ofColumn("owner", "Top owner", dumps.texts.top_owner),
];
const filters = new Filters(dumps, facets);
const opened = new Set();
let shown = filters.rows();

const grid = new Grid(byId("grid-dumps"), dumps, {
  label: "Dumps",
  onSelect: openDump,
  leaving: ["committed", "version", "captured_at", "top_owner", "exception", "largest_free"],
  onLeave: nameLeftOut,
});
exportButtons(grid, "dumps");
const scatter = new Scatter(dumps, (row) => {
  grid.select(row, -1, { reveal: "middle" });
  byId("memory").scrollIntoView({ block: "start" });
});
const overTime = new OverTime(filters, (from, to) => {
  setRange(filters.from === from && filters.to === to ? [-Infinity, Infinity] : [from, to]);
  applyFilters();
});

// ---------------------------------------------------------------- filters

function setRange([from, to]) {
  [filters.from, filters.to] = [from, to];
  byId("filter-from").value = from === -Infinity ? "" : timeText(from).slice(0, 16).replace(" ", "T");
  byId("filter-to").value = to === Infinity ? "" : timeText(to).slice(0, 16).replace(" ", "T");
}

/** Reads a moment as fields write it, in UTC; NaN for none. */
const readTime = (text) => Date.parse(`${text}Z`) / 1000;

function applyFilters() {
  const began = performance.now();
  filters.apply();
  shown = filters.rows();
  grid.setRows(shown);
  grid.box.scrollTop = 0;
  byId("count-dumps").textContent = shown.length === dumps.count ? `${countText(dumps.count)} dumps`
    : `${countText(shown.length)} of ${countText(dumps.count)} dumps`;
  facets.forEach((facet, index) => drawFacet(facet, index));
  drawChosen();
  overTime.draw();
  scatter.setRows(shown);
  document.documentElement.dataset.filtered = String(Math.round(performance.now() - began));
}

/** Draws a facet's texts, those of the most dumps first; chosen ones always show. */
function drawFacet(facet, index) {
  const list = byId(`facet-${facet.name}`);
  const ranks = data.ranks.length;
  const counts = filters.counts(index);
  const totals = facet.values.map((_, code) => counts.subarray(code * ranks, (code + 1) * ranks).reduce((a, b) => a + b, 0));
  const order = facet.values.map((_, code) => code).filter((code) => totals[code] > 0 || facet.chosen.has(code));
  // Severities have an order of their own.
  if (facet.name !== "rank") order.sort((a, b) => totals[b] - totals[a] || a - b);
  const most = Math.max(1, ...totals.filter((_, code) => order.includes(code)));
  const all = opened.has(facet.name);
  const visible = order.filter((code, place) => all || place < LISTED || facet.chosen.has(code));
  list.replaceChildren(...visible.map((code) => facetLine(facet, code, counts.subarray(code * ranks, (code + 1) * ranks), totals[code], most)));
  const more = byId(`more-${facet.name}`);
  more.hidden = order.length <= LISTED;
  more.textContent = all ? "Show fewer" : `${countText(order.length - visible.length)} more`;
}

function facetLine(facet, code, counts, total, most) {
  const bar = svg("svg", { class: "bar", viewBox: "0 0 1000 10", preserveAspectRatio: "none", "aria-hidden": "true" });
  let at = 0;
  counts.forEach((count, rank) => {
    const width = (1000 * count) / most;
    if (count > 0) bar.append(svg("rect", { class: `s${rank}`, x: at, width, height: 10 }));
    at += width;
  });
  const name = facet.values[code];
  const button = element("button", { type: "button", "aria-pressed": String(facet.chosen.has(code)), title: facetTitle(facet, name) },
    element("span", { class: "facet-name" }, name), element("span", { class: "num" }, countText(total)), bar);
  button.addEventListener("click", () => {
    if (facet.chosen.has(code)) facet.chosen.delete(code);
    else facet.chosen.add(code);
    applyFilters();
    const again = [...byId(`facet-${facet.name}`).querySelectorAll("button")].find((one) => one.firstChild.textContent === name);
    if (again) again.focus();
  });
  return element("li", {}, button);
}

function facetTitle(facet, name) {
  if (facet.name === "verdict") return data.verdicts[name] ? data.verdicts[name].meaning : name;
  return facet.name === "finding" && data.findings[name] ? data.findings[name].title : name;
}

/** Lists what is filtered by, each with a way to drop it. */
function drawChosen() {
  const chips = [];
  const chip = (text, drop) => {
    const button = element("button", { type: "button", class: "chip", title: "Remove this filter" }, `${text} ✕`);
    button.addEventListener("click", () => {
      drop();
      applyFilters();
    });
    chips.push(button);
  };
  for (const facet of facets) {
    for (const code of facet.chosen) chip(`${facet.title}: ${facet.values[code]}`, () => facet.chosen.delete(code));
  }
  if (filters.hasRange) {
    const text = (value) => (Math.abs(value) === Infinity ? "…" : timeText(value).slice(0, 16));
    chip(`Captured: ${text(filters.from)} – ${text(filters.to)}`, () => setRange([-Infinity, Infinity]));
  }
  byId("chosen").replaceChildren(...chips);
  byId("filter-clear").disabled = !filters.active;
}

for (const facet of facets) {
  byId(`more-${facet.name}`).addEventListener("click", () => {
    if (!opened.delete(facet.name)) opened.add(facet.name);
    drawFacet(facet, facets.indexOf(facet));
  });
}

let waiting = 0;
byId("filter-text").addEventListener("input", (event) => {
  clearTimeout(waiting);
  waiting = setTimeout(() => {
    filters.text = event.target.value.trim();
    applyFilters();
  }, 120);
});
for (const [id, side, none] of [["filter-from", "from", -Infinity], ["filter-to", "to", Infinity]]) {
  byId(id).addEventListener("change", (event) => {
    const time = readTime(event.target.value);
    filters[side] = Number.isNaN(time) ? none : time;
    applyFilters();
  });
}
byId("filters").addEventListener("submit", (event) => event.preventDefault());
byId("filter-clear").addEventListener("click", () => {
  filters.clear();
  setRange([-Infinity, Infinity]);
  byId("filter-text").value = "";
  applyFilters();
});
for (const button of document.querySelectorAll("[data-colors]")) {
  button.addEventListener("click", () => {
    for (const other of document.querySelectorAll("[data-colors]")) other.setAttribute("aria-pressed", String(other === button));
    for (const item of document.querySelectorAll("[data-legend]")) item.hidden = item.dataset.legend !== button.dataset.colors;
    overTime.colorBy(button.dataset.colors);
  });
}

// ---------------------------------------------------------------- one dump

/** Shows what is known of a dump: its verdict, findings, figures, and the commands that show more. */
function openDump(row) {
  scatter.mark(row);
  const verdict = dumps.text(row, "verdict");
  const panel = byId("inspector");
  const level = verdict === "" ? "warning" : data.verdicts[verdict].level;
  panel.replaceChildren(
    element("div", { class: "inspector-head" }, element("h3", {}, dumps.text(row, "process") || "Unknown process",
      element("span", { class: "muted" }, ` ${dumps.text(row, "version")}`)), closeButton(panel, grid.box)),
    element("p", { class: "mono file" }, dumps.path(row)),
    element("div", { class: `verdict ${level}` },
      element("p", {}, element("b", {}, verdict || dumps.text(row, "status")), ": ", dumps.text(row, "sentence") || dumps.text(row, "error"))),
    ...typesBar(row),
    findingList(row),
    factList(row),
    commandList(row),
  );
  showDetails(panel, grid);
}

/** Committed memory by type, in VMMap's colors. */
function typesBar(row) {
  const parts = Object.entries(data.type_columns).map(([name, type]) => [type, dumps.number(row, name) || 0]).filter(([, size]) => size > 0);
  const sum = parts.reduce((total, [, size]) => total + size, 0);
  if (sum === 0) return [];
  const text = parts.map(([type, size]) => `${data.types[type]} ${shortSize(size)}`).join(", ");
  const bar = svg("svg", { class: "bar", viewBox: "0 0 1000 20", preserveAspectRatio: "none", role: "img", "aria-label": `Committed by type: ${text}` });
  let at = 0;
  for (const [type, size] of parts) {
    bar.append(svg("rect", { class: `t${type}`, x: at, width: (1000 * size) / sum, height: 20 }));
    at += (1000 * size) / sum;
  }
  parts.sort((a, b) => b[1] - a[1]);
  return [element("div", { class: "by-type" },
    element("h4", {}, `Committed by type: ${dumps.bound(row, -1, "committed")}${shortSize(sum)}`), bar,
    element("p", { class: "legend" }, ...parts.map(([type, size]) => element("span", {}, element("i", { class: `swatch t${type}` }),
      `${data.types[type]} ${shortSize(size)}`))))];
}

function findingList(row) {
  const ids = dumps.findings(row);
  if (ids.length === 0) return element("p", { class: "muted" }, "No findings.");
  return element("ul", { class: "found", "aria-label": "Findings" }, ...ids.map((id) => {
    const { title, severity, meaning, why, confirm, advice } = data.findings[id];
    const more = element("details", {}, element("summary", {}, element("span", { class: `pill ${severity}` }, severity), element("b", {}, title),
      element("code", {}, id)));
    for (const [label, text] of [["Meaning", meaning], ["Why it matters", why], ["How to confirm it", confirm], ["What to do", advice]]) {
      if (text !== "") more.append(element("p", {}, element("b", {}, `${label}: `), ...codeSpans(text)));
    }
    return element("li", {}, more);
  }));
}

function factList(row) {
  const list = element("dl");
  const add = (label, text, wide) => addFact(list, label, text, wide);
  const size = (name) => dumps.sizeWords(row, name);
  const count = (name) => countText(dumps.number(row, name));
  add("Captured", Number.isNaN(dumps.time[row]) ? "" : `${timeText(dumps.time[row])} UTC`);
  add("Process ID", dumps.number(row, "pid") === null ? "" : String(dumps.number(row, "pid")));
  add("System", [dumps.text(row, "os"), dumps.text(row, "architecture")].filter((text) => text !== "").join(", "));
  add("Exception", dumps.text(row, "exception_line") || dumps.text(row, "exception"), true);
  add("Failed allocation", size("oom_size"));
  add("Process commit", size("process_commit"));
  add("Committed", size("committed"));
  add("Private", size("private"));
  add("Largest free block", size("largest_free"));
  add("Fragmentation", dumps.number(row, "fragmentation") === null ? "" : percentText(dumps.number(row, "fragmentation")));
  add("Top owner", [dumps.text(row, "top_owner"), size("top_owner_size"), size("top_owner_committed") && `${size("top_owner_committed")} committed`].filter(Boolean).join(", "), true);
  add("System commit", dumps.number(row, "commit_limit") === null ? "" : `${size("commit_total")} of ${size("commit_limit")}`);
  add("Threads", count("threads"));
  add("Heaps", count("heaps"));
  add("Modules", count("modules"));
  add("Input", [dumps.text(row, "format"), { full: "full map", map: "map", partial: "partial map" }[dumps.text(row, "completeness")], size("size")]
    .filter(Boolean).join(", "));
  add(dumps.number(row, "warnings") > 1 ? `First of ${count("warnings")} warnings` : "Warning", dumps.text(row, "warning"), true);
  return list;
}

/** A path as a shell takes it: in double quotes where it looks like one of Windows, else in single quotes. */
function quoted(path) {
  if (COMMAND.test(path) && !path.startsWith("-")) return path;
  if (/^([A-Za-z]:[\\/]|\\\\)[^"$`%]*$/.test(path)) return `"${path}"`;
  return `'${path.replaceAll("'", "'\\''")}'`;
}

function commandList(row) {
  const path = quoted(dumps.path(row));
  const commands = [["Every finding with its figures", `dumpmap diagnose ${path}`], ["The whole map as a page", `dumpmap report ${path} -o report.html`]];
  return element("div", { class: "commands" }, element("h4", {}, "See more"),
    ...commands.map(([label, text]) => element("p", {}, element("span", { class: "muted" }, label), element("code", {}, text))));
}

// ---------------------------------------------------------------- the whole page

focusOnSlash("filter-text");
onPrint((on) => grid.print(on));
applyFilters();
markReady();
