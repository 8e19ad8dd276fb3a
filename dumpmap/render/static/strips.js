/* The address spaces of two maps above each other, on one axis. */

/** The axis: an edge wherever a run begins or ends in either map, and where the map draws it. */
class Axis {
  constructor({ unit, first, edges, held }) {
    this.count = edges.length + 1;
    this.address = new BigUint64Array(this.count);
    this.place = new Float64Array(this.count);
    this.cut = new Uint8Array(this.count);
    const inUse = new Set(held);
    this.address[0] = BigInt(first);
    edges.forEach((edge, index) => {
      const size = BigInt(edge) * BigInt(unit);
      const cut = data.cut !== null && !inUse.has(index) && size > BigInt(data.cut);
      this.address[index + 1] = this.address[index] + size;
      this.place[index + 1] = this.place[index] + (cut ? data.cut : Number(size));
      this.cut[index] = cut ? 1 : 0;
    });
    this.length = Math.max(1, this.place[this.count - 1]);
  }

  /** The address at a place. In a shortened piece it is one of many. */
  addressAt(place) {
    if (this.count < 2) return this.address[0];
    if (place >= this.length) return this.address[this.count - 1];
    const edge = Math.min(this.count - 2, lastUpTo(this.place, this.count, place));
    const into = Math.max(0, place - this.place[edge]);
    if (this.cut[edge] === 0) return this.address[edge] + BigInt(Math.floor(into));
    return pageAt(this.address[edge], this.address[edge + 1] - this.address[edge], into / data.cut);
  }

  placeOf(address) {
    if (this.count < 2 || address <= this.address[0]) return 0;
    const edge = Math.min(this.count - 2, lastUpTo(this.address, this.count, address));
    const into = Number(address - this.address[edge]);
    if (this.cut[edge] === 0) return Math.min(this.place[edge] + into, this.place[edge + 1]);
    return this.place[edge] + Math.min(1, into / Number(this.address[edge + 1] - this.address[edge])) * data.cut;
  }
}

/** The runs of one map, at the places of the common axis. */
class StripRuns extends Runs {
  constructor(side, axis) {
    super({ side, axis });
    this.length = axis.length;
  }

  /** What the map does not describe takes a run, too. */
  get most() {
    return 2 * this.rows.side.from.length + 1;
  }

  collect() {
    const { side, axis } = this.rows;
    let edge = 0;
    side.from.forEach((from, index) => {
      if (from > edge) this.addPiece(edge, from, UNLISTED, 1);
      const type = side.type[index];
      const held = type === FREE || type === UNUSABLE || type === data.types.indexOf("Unknown") ? 1 : side.held[index] / 100;
      this.addPiece(from, side.to[index], type, held);
      edge = side.to[index];
    });
    if (edge < axis.count - 1) this.addPiece(edge, axis.count - 1, UNLISTED, 1);
  }

  addPiece(from, to, type, held) {
    const { axis } = this.rows;
    const at = this.count;
    this.start[at] = axis.address[from];
    this.size[at] = Number(axis.address[to] - axis.address[from]);
    this.type[at] = type;
    this.held[at] = held;
    this.row[at] = -1;
    this.place[at] = axis.place[from];
    this.place[at + 1] = axis.place[to];
    for (let edge = from; edge < to; edge += 1) if (axis.cut[edge] === 1) this.isCut[at] = 1;
    this.cuts += this.isCut[at];
    this.count += 1;
  }

  addressAt(place) {
    return this.rows.axis.addressAt(place);
  }

  placeOf(address) {
    return this.rows.axis.placeOf(address);
  }

  get last() {
    return this.rows.axis.address[this.rows.axis.count - 1];
  }

  describe(run) {
    const unlisted = this.type[run] === UNLISTED;
    const facts = [shortSize(this.size[run])];
    if (!unlisted && this.type[run] < UNUSABLE) {
      facts.push(this.held[run] === 0 ? "reserved" : this.held[run] === 1 ? "committed" : `${percentText(this.held[run])} committed`);
    }
    return [
      element("span", { class: "what" }, element("i", { class: `swatch ${unlisted ? "unlisted" : `t${this.type[run]}`}` }),
        unlisted ? "Not in the input" : data.types[this.type[run]]),
      element("span", { class: "mono" }, `${addressText(this.start[run])} – ${addressText(this.end(run))}`),
      element("span", {}, facts.join(", ")),
    ];
  }
}

/** Both strips, what changed between them, and what a reader does with them. */
class Strips {
  /**
   * @param changes the changes to mark: address, end, and class of each
   * @param onShow called with the index of the change that a reader selects
   */
  constructor(changes, onShow) {
    this.axis = new Axis(data.strips);
    this.changes = changes;
    this.box = byId("strips");
    this.tip = byId("strips-tip");
    this.marks = byId("strip-marks");
    this.sides = ["a", "b"].map((name) => {
      const runs = new StripRuns(data.strips.sides[name], this.axis);
      const overlay = byId(`strip-${name}-overlay`);
      const canvas = new SpaceCanvas(this.box, runs, { canvas: byId(`strip-${name}`), overlay, lines: 1, lineHeight: 40, labels: false });
      return { runs, canvas, overlay, pinned: -1, current: -1 };
    });
    this.view = [0, this.axis.length];
    this.drag = null;
    this.chosen = -1;
    for (const side of this.sides) this.listen(side);
    this.marks.addEventListener("click", (event) => {
      const index = event.target.dataset.change;
      if (index !== undefined) onShow(Number(index));
    });
    byId("zoom-in").addEventListener("click", () => this.zoom(0.5));
    byId("zoom-out").addEventListener("click", () => this.zoom(2));
    byId("zoom-all").addEventListener("click", () => this.show(0, this.axis.length));
    onWidth(this.box, () => this.draw());
    onTheme(() => this.draw());
    this.draw();
  }

  draw() {
    for (const side of this.sides) {
      side.canvas.draw(this.view);
      this.drawOverlay(side);
    }
    this.drawMarks();
    const [from, to] = this.view;
    byId("strip-from").textContent = addressText(this.axis.addressAt(from));
    byId("strip-to").textContent = addressText(this.axis.addressAt(to));
    const whole = from === 0 && to === this.axis.length;
    byId("zoom-all").disabled = whole;
    const parts = [whole ? "The whole address space." : "Part of the address space."];
    if (data.cut !== null) parts.push(`Free and reserved runs longer than ${shortSize(data.cut)} are shortened to that and marked.`);
    parts.push("Point to a run to see what it is. Drag, double-click, or turn the wheel to zoom in.");
    byId("strips-note").textContent = parts.join(" ");
  }

  drawOverlay(side) {
    side.canvas.drawOverlay({ drag: this.drag, pinned: side.pinned, current: side.current });
  }

  /** A mark for each change between the strips: what took memory, what gave it back, what else changed. */
  drawMarks() {
    const [from, to] = this.view;
    const { width } = this.sides[0].canvas;
    this.marks.setAttribute("viewBox", `0 0 ${width} 14`);
    this.marks.setAttribute("width", width);
    const drawn = [];
    this.changes.forEach(({ address, end, kind }, index) => {
      const [low, high] = [this.axis.placeOf(address), this.axis.placeOf(end)];
      if (high < from || low > to) return;
      const x = ((Math.max(low, from) - from) / (to - from)) * width;
      const wide = ((Math.min(high, to) - Math.max(low, from)) / (to - from)) * width;
      drawn.push(svg("rect", { class: `mark ${kind}${index === this.chosen ? " chosen" : ""}`, x: Math.min(x, width - 2), width: Math.max(2, wide),
        y: 1, height: 12, "data-change": index }));
    });
    // The most important changes come first, and lie on top.
    this.marks.replaceChildren(...drawn.reverse());
  }

  listen(side) {
    const { overlay, canvas } = side;
    const point = (run) => {
      side.current = run;
      this.drawOverlay(side);
    };
    overlay.addEventListener("pointerdown", (event) => {
      const place = canvas.placeAt(event, true);
      if (place === null || event.button !== 0) return;
      this.drag = { from: place, to: place, x: event.offsetX, moved: false };
      overlay.setPointerCapture(event.pointerId);
    });
    overlay.addEventListener("pointermove", (event) => {
      const place = canvas.placeAt(event, true);
      if (place === null) return;
      if (this.drag !== null) {
        this.drag.to = place;
        this.drag.moved = this.drag.moved || Math.abs(event.offsetX - this.drag.x) > 4;
        this.tip.hidden = true;
        for (const one of this.sides) this.drawOverlay(one);
        return;
      }
      const { run, others } = canvas.runsUnder(place);
      point(run);
      showTip(this.tip, this.box, event, ...side.runs.describe(run).map((part) => element("div", {}, part)),
        ...(others > 0 ? [element("div", { class: "muted" }, `and ${countText(others)} more in this pixel; zoom in to see them`)] : []));
    });
    overlay.addEventListener("pointerleave", () => {
      this.tip.hidden = true;
      point(-1);
    });
    overlay.addEventListener("pointerup", () => {
      const { drag } = this;
      this.drag = null;
      if (drag !== null && drag.moved) this.show(Math.min(drag.from, drag.to), Math.max(drag.from, drag.to));
      else if (drag !== null) this.pin(side, canvas.runsUnder(drag.from).run);
    });
    overlay.addEventListener("pointercancel", () => { this.drag = null; });
    overlay.addEventListener("keydown", (event) => this.onKey(side, event));
    zoomable(overlay, {
      space: this.axis,
      placeAt: (event) => canvas.placeAt(event, true),
      view: () => this.view,
      show: (low, high) => this.show(low, high),
      onPinch: () => { this.drag = null; },
    });
  }

  pin(side, run) {
    for (const one of this.sides) {
      one.pinned = one === side ? run : -1;
      this.drawOverlay(one);
    }
    byId("strips-readout").replaceChildren(...(run < 0 ? [] : side.runs.describe(run)));
  }

  /** Shows the places [low, high), and the rest of the pages at both ends. */
  show(low, high) {
    this.view = pageView(this.axis, low, high);
    this.tip.hidden = true;
    this.draw();
  }

  zoom(factor) {
    const [from, to] = this.view;
    const pinned = this.sides.find((side) => side.pinned >= 0);
    const focus = pinned === undefined ? NaN : pinned.runs.middle(pinned.pinned);
    const center = focus >= from && focus <= to ? focus : (from + to) / 2;
    const half = ((to - from) * factor) / 2;
    this.show(center - half, center + half);
  }

  /** Shows a change in the strips: it fills a third of them. */
  showChange(index) {
    this.chosen = index;
    const { address, end } = this.changes[index];
    const [low, high] = [this.axis.placeOf(address), this.axis.placeOf(end)];
    const room = Math.max(high - low, LEAST_VIEW);
    this.show(low - room, high + room);
  }

  onKey(side, event) {
    const { runs } = side;
    if (runs.count === 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    const run = side.pinned < 0 ? runs.at(this.view[0]) : side.pinned;
    const steps = { ArrowRight: side.pinned < 0 ? run : Math.min(runs.count - 1, run + 1), ArrowLeft: Math.max(0, run - 1), Home: 0, End: runs.count - 1 };
    if (event.key in steps) {
      const next = steps[event.key];
      const [from, to] = this.view;
      if (runs.place[next + 1] <= from || runs.place[next] >= to) {
        const low = Math.max(0, runs.place[next] - (to - from) / 2);
        this.show(low, low + to - from);
      }
      this.pin(side, next);
    } else if (event.key === "+" || event.key === "=") {
      this.zoom(0.5);
    } else if (event.key === "-" || event.key === "_") {
      this.zoom(2);
    } else if (event.key === "0") {
      this.show(0, this.axis.length);
    } else {
      return;
    }
    event.preventDefault();
  }
}
