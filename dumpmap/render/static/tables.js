/* Rows of tables, and how their columns sort. */

/** Ranks texts for sorting: case does not matter; blank is NaN. */
function rankTexts(values, compare = new Intl.Collator("en", { sensitivity: "base", numeric: true }).compare) {
  const order = values.map((_, index) => index).sort((a, b) => compare(values[a], values[b]));
  const rank = new Float64Array(values.length);
  order.forEach((index, place) => { rank[index] = values[index] === "" ? NaN : place; });
  return rank;
}

/** The rank of each value among the distinct ones. */
function rankValues(values, compare) {
  const distinct = [...new Set(values)];
  const rank = rankTexts(distinct.map((value) => value ?? ""), compare);
  const places = new Map(distinct.map((value, index) => [value, rank[index]]));
  return Float64Array.from(values, (value) => places.get(value));
}

function compareHex(a, b) {
  const [x, y] = [BigInt(a || 0), BigInt(b || 0)];
  return x < y ? -1 : Number(x > y);
}

/** A table of the stacks, heaps or modules, in the same terms as `MemoryRows`. */
class TableRows {
  constructor(table) {
    this.columns = table.columns.filter((column, index) =>
      table.rows.some((row) => row[index] !== null && row[index] !== false && row[index] !== "")
      || (table.children || []).some((rows) => rows.some((row) => row[index] !== null && row[index] !== false)));
    this.place = new Map(table.columns.map((column, index) => [column.name, index]));
    this.rows = table.rows;
    this.children = table.children;
    this.count = table.rows.length;
  }

  childCount(row) {
    return this.children === null ? 0 : this.children[row].length;
  }

  value(row, child, name) {
    if (!this.place.has(name)) return null;
    return (child < 0 ? this.rows[row] : this.children[row][child])[this.place.get(name)];
  }

  sortKeys(name) {
    const { holds } = this.columns.find((column) => column.name === name);
    const values = this.rows.map((_, row) => this.value(row, -1, name));
    if (holds === "address" || holds === "hex") return rankValues(values, compareHex);
    if (holds === "text") return rankValues(values);
    return Float64Array.from(values, (value) => (value === null ? NaN : Number(value)));
  }

  filter(text) {
    const words = text.trim().toLowerCase();
    const shown = (row, child) => this.columns.some((column) =>
      cellText(column, this.value(row, child, column.name)).toLowerCase().includes(words));
    const found = [];
    for (let i = 0; i < this.count; i += 1) {
      let hit = words === "" || shown(i, -1);
      for (let k = 0; k < this.childCount(i) && !hit; k += 1) hit = shown(i, k);
      if (hit) found.push(i);
    }
    return Uint32Array.from(found);
  }
}
