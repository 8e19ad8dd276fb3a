/* The dumps of a batch: their columns, and which of them pass the filters. */

const BOUNDS = ["", "≥ ", "≤ "];

class Dumps extends PackedRows {
  constructor() {
    super();
    this.rank = Uint8Array.from(data.rank);
    this.time = numberColumn(data.time, this.count);
  }

  path(row) {
    return data.prefix + data.paths[row];
  }

  text(row, name) {
    return this.texts[name].at(row);
  }

  number(row, name) {
    const value = this.numbers[name][row];
    return Number.isNaN(value) ? null : value;
  }

  /** The ids of a dump's findings, the worst first. */
  findings(row) {
    return data.found.codes[row].map((code) => data.found.values[code]);
  }

  /** A cell of the table; null is unknown. */
  value(row, child, name) {
    if (name === "rank") return this.rank[row];
    if (name === "captured_at") return Number.isNaN(this.time[row]) ? null : this.time[row];
    if (name === "path") return data.paths[row];
    if (name === "headline") return this.text(row, "headline") || this.text(row, "error");
    return name in this.texts ? this.text(row, name) : this.number(row, name);
  }

  /** What stands before a figure that is only a bound. */
  bound(row, child, name) {
    return name in data.bounds ? BOUNDS[data.bounds[name][row]] : "";
  }

  /** A size in words, with its bound; blank where it is not known. What is left is rounded down, an upper bound up. */
  sizeWords(row, name) {
    const value = this.number(row, name);
    if (value === null) return "";
    const bound = this.bound(row, -1, name);
    const words = bound === BOUNDS[2] ? sizeMost : name === "largest_free" ? sizeLeft : shortSize;
    return bound + words(value);
  }

  sortKeys(name) {
    if (name === "rank") return Float64Array.from(this.rank);
    if (name === "captured_at") return this.time;
    if (name === "path") return rankTexts(data.paths);
    return name in this.texts ? this.texts[name].sortKeys() : this.numbers[name];
  }

  /** Which rows have all words of a text somewhere in what they say. */
  matching(text) {
    const words = text.toLowerCase().split(/\s+/).filter((word) => word !== "");
    const hits = new Uint8Array(this.count).fill(1);
    if (words.length === 0) return hits;
    if (this.words === null) {
      this.words = Array.from({ length: this.count }, (_, row) => [
        this.path(row), ...Object.values(this.texts).map((column) => column.at(row)), ...this.findings(row),
      ].join("\n").toLowerCase());
    }
    for (let row = 0; row < this.count; row += 1) if (!words.every((word) => this.words[row].includes(word))) hits[row] = 0;
    return hits;
  }
}

/** A way to divide the dumps: by a text of each, or by several texts of each. */
class Facet {
  /**
   * @param name of the facet
   * @param title of its list
   * @param values the distinct texts
   * @param codesOf returns the numbers of a row's texts
   */
  constructor(name, title, values, codesOf) {
    this.name = name;
    this.title = title;
    this.values = values;
    this.codesOf = codesOf;
    this.chosen = new Set();
  }

  static ofColumn(name, title, column) {
    return new Facet(name, title, column.values, (row) => (column.at(row) === "" ? [] : [column.codes[row]]));
  }

  /** Two columns taken together: a version says nothing without its program. */
  static ofPair(name, title, first, second) {
    const numbers = new Map();
    const codes = Int32Array.from(first.codes, (code, row) => {
      if (second.at(row) === "") return -1;
      const text = `${first.at(row)} ${second.at(row)}`;
      if (!numbers.has(text)) numbers.set(text, numbers.size);
      return numbers.get(text);
    });
    return new Facet(name, title, [...numbers.keys()], (row) => (codes[row] < 0 ? [] : [codes[row]]));
  }

  passes(row) {
    return this.chosen.size === 0 || this.codesOf(row).some((code) => this.chosen.has(code));
  }
}

/** All filters together. Every list counts what passes the other lists' filters, so that a choice can be widened. */
class Filters {
  constructor(dumps, facets) {
    this.dumps = dumps;
    this.facets = facets;
    this.text = "";
    this.from = -Infinity;
    this.to = Infinity;
    this.misses = new Uint16Array(dumps.count);
    this.apply();
  }

  get active() {
    return this.text !== "" || this.hasRange || this.facets.some((facet) => facet.chosen.size > 0);
  }

  get hasRange() {
    return this.from !== -Infinity || this.to !== Infinity;
  }

  clear() {
    this.text = "";
    this.from = -Infinity;
    this.to = Infinity;
    for (const facet of this.facets) facet.chosen.clear();
  }

  /** Notes for each dump which filters it fails: a bit for each facet, then one for the text and one for the time. */
  apply() {
    const { dumps, facets } = this;
    const hits = dumps.matching(this.text);
    const chosen = facets.map((facet, index) => [facet, 1 << index]).filter(([facet]) => facet.chosen.size > 0);
    const [textBit, timeBit] = [1 << facets.length, 2 << facets.length];
    for (let row = 0; row < dumps.count; row += 1) {
      let missed = hits[row] === 1 ? 0 : textBit;
      const time = dumps.time[row];
      if (this.hasRange && !(time >= this.from && time < this.to)) missed |= timeBit;
      for (const [facet, bit] of chosen) if (!facet.passes(row)) missed |= bit;
      this.misses[row] = missed;
    }
    this.timeBit = timeBit;
  }

  /** The rows that pass. */
  rows() {
    const found = [];
    for (let row = 0; row < this.dumps.count; row += 1) if (this.misses[row] === 0) found.push(row);
    return Uint32Array.from(found);
  }

  /** How many dumps of each rank have each of a facet's texts, of those that pass the other filters. */
  counts(index) {
    const facet = this.facets[index];
    const other = ~(1 << index);
    const ranks = data.ranks.length;
    const counts = new Uint32Array(facet.values.length * ranks);
    for (let row = 0; row < this.dumps.count; row += 1) {
      if ((this.misses[row] & other) !== 0) continue;
      for (const code of facet.codesOf(row)) counts[code * ranks + this.dumps.rank[row]] += 1;
    }
    return counts;
  }

  /** The rows that pass all filters but that of the time. */
  rowsOfAllTimes() {
    const found = [];
    for (let row = 0; row < this.dumps.count; row += 1) if ((this.misses[row] & ~this.timeBit) === 0) found.push(row);
    return found;
  }
}
