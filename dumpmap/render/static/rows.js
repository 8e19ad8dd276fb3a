/* The map's rows, decoded. Columns stay typed arrays: a map can have a million rows. */

const NUMBERS = ["size", "committed", "private", "total_ws", "private_ws", "shareable_ws", "shared_ws", "locked_ws"];
const TEXTS = ["protection", "details", "kind", "evidence", "owner", "owner_module"];

/** Columns of allocations or of blocks. Numbers are bytes, NaN is unknown; a column without known values is null. */
class RegionColumns {
  constructor(packed) {
    this.count = packed.type.length;
    this.type = Uint8Array.from(packed.type);
    this.numbers = {};
    for (const name of [...NUMBERS, "blocks"]) {
      const values = packed[name];
      if (values === undefined || values === null) {
        this.numbers[name] = null;
        continue;
      }
      const unit = name === "blocks" ? 1 : data.unit;
      const numbers = new Float64Array(values.length);
      for (let i = 0; i < values.length; i += 1) numbers[i] = values[i] === null ? NaN : Number(values[i]) * unit;
      this.numbers[name] = numbers;
    }
    this.texts = {};
    for (const name of TEXTS) {
      const { values, codes, codes_of: other } = packed[name];
      this.texts[name] = { codes: other ? this.texts[other].codes : Int32Array.from(codes), values };
    }
    this.inferred = new Uint8Array(this.count);
    for (const index of packed.inferred) this.inferred[index] = 1;
  }

  text(name, index) {
    const column = this.texts[name];
    return column.values[column.codes[index]];
  }

  number(name, index) {
    const column = this.numbers[name];
    return column === null || column === undefined ? NaN : column[index];
  }
}

/** The allocations with free space, by address, and the blocks of those that have more than one. */
class MemoryRows extends RegionColumns {
  constructor() {
    super(data.rows);
    this.columns = data.columns.filter((column) => column.holds !== "size" || this.numbers[column.name] !== null);
    this.blocks = new RegionColumns(data.parts);
    this.firstPart = new Uint32Array(this.count + 1);
    for (let i = 0; i < this.count; i += 1) this.firstPart[i + 1] = this.firstPart[i] + data.rows.parts[i];
    this.base = new BigUint64Array(this.count);
    this.blockBase = new BigUint64Array(this.blocks.count);
    this.gaps = new Map(data.rows.gaps);
    const unit = BigInt(data.unit);
    const sizes = data.rows.size;
    const blockSizes = data.parts.size;
    let next = 0n;
    for (let i = 0; i < this.count; i += 1) {
      const gap = this.gaps.get(i);
      if (gap !== undefined) next += BigInt(gap);
      this.base[i] = next;
      let start = next;
      for (let k = this.firstPart[i]; k < this.firstPart[i + 1]; k += 1) {
        this.blockBase[k] = start;
        start += BigInt(blockSizes[k]) * unit;
      }
      next += BigInt(sizes[i]) * unit;
    }
    this.sizes = sizes;
    this.unit = unit;
  }

  /** First address after a row. */
  end(row) {
    return this.base[row] + BigInt(this.sizes[row]) * this.unit;
  }

  blockEnd(block) {
    return this.blockBase[block] + BigInt(data.parts.size[block]) * this.unit;
  }

  childCount(row) {
    return this.firstPart[row + 1] - this.firstPart[row];
  }

  /** A cell; `child` is a block of the row, or -1 for the row itself. Null is unknown. */
  value(row, child, name) {
    const columns = child < 0 ? this : this.blocks;
    const index = child < 0 ? row : this.firstPart[row] + child;
    if (name === "address") return child < 0 ? this.base[row] : this.blockBase[index];
    if (name === "type") return columns.type[index];
    if (name === "inferred") return columns.inferred[index] === 1;
    if (name in columns.texts) return columns.text(name, index);
    const number = columns.number(name, index);
    return Number.isNaN(number) ? null : number;
  }

  /** Keys to sort rows by, NaN for what is unknown or blank; null for addresses, which the rows follow already. */
  sortKeys(name) {
    if (name === "address") return null;
    if (name === "type") return Float64Array.from(this.type);
    if (name in this.texts) {
      const { codes, values } = this.texts[name];
      const rank = rankTexts(values);
      return Float64Array.from(codes, (code) => rank[code]);
    }
    return this.numbers[name];
  }

  /** The row that holds an address, or -1. */
  rowAt(address) {
    let low = 0;
    let high = this.count - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      if (this.base[middle] > address) high = middle - 1;
      else if (this.end(middle) <= address) low = middle + 1;
      else return middle;
    }
    return -1;
  }

  /** The block of a row that holds an address, or -1. */
  blockAt(row, address) {
    for (let k = this.firstPart[row]; k < this.firstPart[row + 1]; k += 1) {
      if (this.blockBase[k] <= address && address < this.blockEnd(k)) return k - this.firstPart[row];
    }
    return -1;
  }

  /** The rows that pass the filters, by address, and those of them that pass only by the text of a block. */
  filter({ types, owner, text, size }) {
    const words = text.trim().toLowerCase();
    const own = words === "" ? null : this.matches(this, this.base, words);
    const inBlocks = words === "" ? null : this.matches(this.blocks, this.blockBase, words);
    const sizes = this.numbers.size;
    const owned = owner === null ? null : ownerHits(this, owner);
    const ownedBlocks = owner === null ? null : ownerHits(this.blocks, owner);
    const found = new Uint32Array(this.count);
    const byBlock = [];
    let count = 0;
    for (let i = 0; i < this.count; i += 1) {
      if (types.size > 0 && !this.hasType(i, types)) continue;
      if (owned !== null && owned[i] === 0 && !this.anyBlock(i, ownedBlocks)) continue;
      if (sizes[i] < size) continue;
      if (own !== null && own[i] === 0) {
        if (!this.anyBlock(i, inBlocks)) continue;
        byBlock.push(i);
      }
      found[count] = i;
      count += 1;
    }
    return { rows: found.subarray(0, count), byBlock };
  }

  /** Whether a row or one of its blocks has one of the types: TEBs and stacks can share an allocation with private data. */
  hasType(row, types) {
    if (types.has(this.type[row])) return true;
    for (let k = this.firstPart[row]; k < this.firstPart[row + 1]; k += 1) {
      if (types.has(this.blocks.type[k])) return true;
    }
    return false;
  }

  /** Whether any block of a row is marked. */
  anyBlock(row, marks) {
    for (let k = this.firstPart[row]; k < this.firstPart[row + 1]; k += 1) if (marks[k] === 1) return true;
    return false;
  }

  /** Which allocations or blocks have a text in a name, a type, or an address. */
  matches(columns, bases, words) {
    const hits = new Uint8Array(columns.count);
    for (const name of TEXTS) {
      const { codes, values } = columns.texts[name];
      const match = values.map((value) => value.toLowerCase().includes(words));
      if (match.includes(true)) for (let i = 0; i < hits.length; i += 1) if (match[codes[i]]) hits[i] = 1;
    }
    const types = data.types.map((name) => name.toLowerCase().includes(words));
    for (let i = 0; i < hits.length; i += 1) if (types[columns.type[i]]) hits[i] = 1;
    const digits = words.replace(/[`'_]/g, "");
    if (/^(0x)?[0-9a-f]{3,16}$/.test(digits)) {
      for (let i = 0; i < hits.length; i += 1) if (addressText(bases[i]).includes(digits)) hits[i] = 1;
    }
    return hits;
  }
}
