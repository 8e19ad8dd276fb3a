/* The runs of memory that the map of the address space draws, and where each is.

   A place in the map is a number of bytes as drawn. It is the distance from the lowest address, except that a
   shortened run counts with the length it is shortened to. */

const UNLISTED = data.types.length;

/** All runs by address: every row or its blocks, and what a partial map does not list between them. */
class Runs {
  constructor(rows) {
    this.rows = rows;
    const { most } = this;
    this.start = new BigUint64Array(most);
    this.size = new Float64Array(most);
    this.type = new Uint8Array(most);
    /* Share of a run that is drawn in full color; the rest is reserved. */
    this.held = new Float32Array(most);
    this.row = new Int32Array(most);
    this.child = new Int32Array(most);
    this.isCut = new Uint8Array(most);
    this.place = new Float64Array(most + 1);
    this.count = 0;
    this.cuts = 0;
    this.collect();
    this.length = Math.max(this.place[this.count], 1);
    this.dimmed = new Uint8Array(most);
    this.colorBy("type");
  }

  /** The largest number of runs that there can be. */
  get most() {
    return this.rows.count + this.rows.blocks.count + this.rows.gaps.size;
  }

  /** Chooses what the colors stand for: `type` or `owner`. */
  colorBy(what) {
    this.byOwner = what === "owner";
    this.color = this.type;
    if (!this.byOwner) return;
    this.color = Uint8Array.from(this.type);
    for (let run = 0; run < this.count; run += 1) {
      if (this.row[run] >= 0) this.color[run] = ownerColor(...this.source(run));
    }
  }

  /** The columns that a run comes from, and its index in them. */
  source(run) {
    const [row, child] = [this.row[run], this.child[run]];
    return child < 0 ? [this.rows, row] : [this.rows.blocks, this.rows.firstPart[row] + child];
  }

  /** Dims what has none of the types, if there are any, and what is not the owner's, if there is one. */
  dim(types, owner) {
    const owned = owner === null ? null : new Map([this.rows, this.rows.blocks].map((columns) => [columns, ownerHits(columns, owner)]));
    for (let run = 0; run < this.count; run += 1) {
      let hit = true;
      if (this.row[run] >= 0) {
        hit = types.size === 0 || types.has(this.type[run]);
        if (hit && owned !== null) {
          const [columns, index] = this.source(run);
          hit = owned.get(columns)[index] === 1;
        }
      }
      this.dimmed[run] = hit ? 0 : 1;
    }
  }

  collect() {
    const { rows } = this;
    const { blocks } = rows;
    for (let i = 0; i < rows.count; i += 1) {
      if (i > 0 && rows.gaps.has(i)) this.add(rows.end(i - 1), Number(BigInt(rows.gaps.get(i))), UNLISTED, 0, -1, -1);
      if (rows.childCount(i) === 0) {
        this.add(rows.base[i], rows.numbers.size[i], rows.type[i], rows.number("committed", i), i, -1);
      }
      for (let k = rows.firstPart[i]; k < rows.firstPart[i + 1]; k += 1) {
        this.add(rows.blockBase[k], blocks.numbers.size[k], blocks.type[k], blocks.number("committed", k), i, k - rows.firstPart[i]);
      }
    }
  }

  add(start, size, type, committed, row, child) {
    const at = this.count;
    const empty = type === FREE || type === UNLISTED || committed === 0;
    const whole = type === FREE || type === UNUSABLE || type === UNLISTED || Number.isNaN(committed);
    const cut = data.cut !== null && empty && size > data.cut;
    this.start[at] = start;
    this.size[at] = size;
    this.type[at] = type;
    this.held[at] = whole ? 1 : Math.min(1, committed / size);
    this.row[at] = row;
    this.child[at] = child;
    this.isCut[at] = cut ? 1 : 0;
    this.cuts += cut ? 1 : 0;
    this.place[at + 1] = this.place[at] + (cut ? data.cut : size);
    this.count += 1;
  }

  /** The run at a place. */
  at(place) {
    return lastUpTo(this.place, this.count, place);
  }

  atAddress(address) {
    return lastUpTo(this.start, this.count, address);
  }

  /** The first run of a row, or the run of one of its blocks. */
  ofRow(row, child) {
    return this.atAddress(child < 0 ? this.rows.base[row] : this.rows.value(row, child, "address"));
  }

  placeOf(address) {
    if (this.count === 0 || address <= this.start[0]) return 0;
    const run = this.atAddress(address);
    const into = Number(address - this.start[run]);
    if (this.isCut[run] === 0) return Math.min(this.place[run] + into, this.place[run + 1]);
    return this.place[run] + Math.min(1, into / this.size[run]) * (this.place[run + 1] - this.place[run]);
  }

  addressAt(place) {
    if (this.count === 0) return 0n;
    if (place >= this.length) return this.end(this.count - 1);
    const run = this.at(place);
    const into = Math.max(0, place - this.place[run]);
    if (this.isCut[run] === 0) return this.start[run] + BigInt(Math.floor(into));
    return pageAt(this.start[run], this.end(run) - this.start[run], into / (this.place[run + 1] - this.place[run]));
  }

  /** First address after a run: runs follow each other without holes. */
  end(run) {
    return run + 1 < this.count ? this.start[run + 1] : this.last;
  }

  /** First address after all runs. */
  get last() {
    return this.rows.end(this.row[this.count - 1]);
  }

  middle(run) {
    return (this.place[run] + this.place[run + 1]) / 2;
  }

  /** The run that matters most in [low, high): what is in use before what is not, then the largest; and the others. */
  mostIn(low, high, place) {
    const here = this.at(place);
    let best = here;
    let others = 0;
    for (let run = this.at(Math.max(low, 0)); run < this.count && this.place[run] < high; run += 1) {
      if (run !== here) others += 1;
      const [a, b] = [this.weight(run), this.weight(best)];
      if (a > b || (a === b && this.size[run] > this.size[best])) best = run;
    }
    return { run: others > 0 ? best : here, others };
  }

  weight(run) {
    if (this.type[run] === UNUSABLE) return 1;
    return this.type[run] < UNUSABLE ? 2 : 0;
  }

  /** What a run is, as elements. */
  describe(run) {
    const range = element("div", { class: "mono" }, `${addressText(this.start[run])} – ${addressText(this.end(run))}`);
    if (this.type[run] === UNLISTED) {
      return [element("div", { class: "what" }, element("i", { class: "swatch unlisted" }), "Not in the input"), range,
        element("div", {}, `${shortSize(this.size[run])}, may be free or in use`)];
    }
    const text = (name) => this.rows.value(this.row[run], this.child[run], name) || "";
    const type = data.types[this.type[run]];
    const title = text("kind") === "" ? type : `${type}: ${text("kind")}`;
    const parts = [
      element("div", { class: "what" }, element("i", { class: `swatch t${this.type[run]}` }), title),
      range,
      element("div", {}, this.facts(run, text("protection")).join(", ")),
    ];
    if (text("details") !== "") parts.push(element("div", {}, text("details")));
    if (text("owner") !== "" && text("owner") !== text("owner_module")) parts.push(element("div", {}, `Owner: ${text("owner")}`));
    return parts;
  }

  /** Size, commit, and protection of a run. */
  facts(run, protection) {
    const facts = [shortSize(this.size[run])];
    if (this.type[run] !== FREE && this.type[run] !== UNUSABLE) {
      const committed = this.rows.value(this.row[run], this.child[run], "committed");
      if (committed === 0) facts.push("reserved");
      else if (committed >= this.size[run]) facts.push("committed");
      else if (committed !== null) facts.push(`${shortSize(committed)} committed`);
      if (protection !== "" && protection !== "Reserved") facts.push(protection);
    }
    if (this.isCut[run] === 1) facts.push(`drawn as ${shortSize(data.cut)}`);
    return facts;
  }
}

/** Index of the last of `count` sorted values that is not above `value`; 0 where all are. */
function lastUpTo(values, count, value) {
  let low = 0;
  let high = count - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (values[middle] <= value) low = middle;
    else high = middle - 1;
  }
  return low;
}
