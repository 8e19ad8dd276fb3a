/* Rows that the page holds by column, in the terms of a `Grid`. */

/** A column of texts: distinct texts and a number for each row. */
class TextColumn {
  constructor({ values, codes }) {
    this.values = values;
    this.codes = Uint32Array.from(codes);
  }

  at(row) {
    return this.values[this.codes[row]];
  }

  sortKeys() {
    const rank = rankTexts(this.values);
    return Float64Array.from(this.codes, (code) => rank[code]);
  }
}

/** A column of numbers, NaN where not known. */
const numberColumn = (values, count) => (values === null ? new Float64Array(count).fill(NaN)
  : Float64Array.from(values, (value) => (value === null ? NaN : Number(value))));

/** The rows of the page's data, none of which has rows below it. */
class PackedRows {
  constructor() {
    this.count = data.count;
    this.columns = data.columns;
    this.children = null;
    this.texts = {};
    for (const [name, packed] of Object.entries(data.texts)) this.texts[name] = new TextColumn(packed);
    this.numbers = {};
    for (const [name, values] of Object.entries(data.numbers)) this.numbers[name] = numberColumn(values, this.count);
    this.words = null;
  }

  childCount() {
    return 0;
  }
}

/** A moment, in seconds since 1970, as text in UTC. */
function timeText(seconds) {
  const time = new Date(1000 * seconds);
  return Number.isNaN(time.getTime()) ? "" : time.toISOString().replace("T", " ").slice(0, 19);
}

/** Elements of a text with Markdown code spans. */
const codeSpans = (text) => text.split("`").map((part, index) => (index % 2 === 0 ? part : element("code", {}, part)));
