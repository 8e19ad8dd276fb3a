/* The picture of the address space: runs of memory in lines like text, drawn on a canvas.

   A place in the picture is a number of bytes as drawn. It equals the distance from the lowest address, but for runs
   that are cut: those count with the cut length. */

const LINE_HEIGHT = 18;
const LINE_GAP = 5;
const LINES = 16;
const UNLISTED = data.types.length;
const LEAST_VIEW = 65536;

class SpacePicture {
  constructor(rows, options) {
    this.rows = rows;
    this.options = options;
    this.box = document.querySelector(".space-box");
    this.canvas = byId("space-canvas");
    this.overlay = byId("space-overlay");
    this.tip = byId("space-tip");
    this.readout = byId("space-readout");
    this.types = new Set();
    this.current = -1;
    this.pinned = -1;
    this.drag = null;
    this.collect();
    this.view = [0, this.length];
    this.listen();
    this.draw();
    this.tell(-1);
  }

  /** Lines up the runs: every row or its blocks, and what a partial map leaves out between them. */
  collect() {
    const { rows } = this;
    const most = rows.count + rows.blocks.count + rows.gaps.size;
    this.start = new BigUint64Array(most);
    this.size = new Float64Array(most);
    this.type = new Uint8Array(most);
    this.held = new Float32Array(most);
    this.row = new Int32Array(most);
    this.child = new Int32Array(most);
    this.isCut = new Uint8Array(most);
    this.place = new Float64Array(most + 1);
    let count = 0;
    let cuts = 0;
    const add = (start, size, type, committed, row, child) => {
      const empty = type === FREE || type === UNLISTED || committed === 0;
      this.start[count] = start;
      this.size[count] = size;
      this.type[count] = type;
      this.held[count] = type === FREE || type === UNUSABLE || type === UNLISTED || Number.isNaN(committed)
        ? 1 : Math.min(1, committed / size);
      this.row[count] = row;
      this.child[count] = child;
      const cut = data.cut !== null && empty && size > data.cut;
      this.isCut[count] = cut ? 1 : 0;
      cuts += cut ? 1 : 0;
      this.place[count + 1] = this.place[count] + (cut ? data.cut : size);
      count += 1;
    };
    const { blocks } = rows;
    for (let i = 0; i < rows.count; i += 1) {
      if (i > 0 && rows.gaps.has(i)) add(rows.end(i - 1), Number(BigInt(rows.gaps.get(i))), UNLISTED, 0, -1, -1);
      if (rows.childCount(i) === 0) {
        add(rows.base[i], rows.numbers.size[i], rows.type[i], rows.number("committed", i), i, -1);
      }
      for (let k = rows.firstPart[i]; k < rows.firstPart[i + 1]; k += 1) {
        add(rows.blockBase[k], blocks.numbers.size[k], blocks.type[k], blocks.number("committed", k), i, k - rows.firstPart[i]);
      }
    }
    this.count = count;
    this.cuts = cuts;
    this.length = Math.max(this.place[count], 1);
  }

  // ---------------------------------------------------------------- places and addresses

  /** The run at a place. */
  runAt(place) {
    let low = 0;
    let high = this.count - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.place[middle] <= place) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  runOf(row, child) {
    return child < 0 && this.rows.childCount(row) > 0 ? this.runAtAddress(this.rows.base[row]) : this.runAtAddress(
      child < 0 ? this.rows.base[row] : this.rows.value(row, child, "address"));
  }

  runAtAddress(address) {
    let low = 0;
    let high = this.count - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.start[middle] <= address) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  placeOf(address) {
    if (this.count === 0 || address <= this.start[0]) return 0;
    const run = this.runAtAddress(address);
    const share = Math.min(1, Number(address - this.start[run]) / this.size[run]);
    return this.place[run] + share * (this.place[run + 1] - this.place[run]);
  }

  addressAt(place) {
    if (this.count === 0) return 0n;
    const run = this.runAt(Math.min(place, this.length - 1));
    const drawn = this.place[run + 1] - this.place[run];
    const share = Math.min(1, Math.max(0, (place - this.place[run]) / drawn));
    return this.start[run] + BigInt(Math.floor(share * this.size[run]));
  }

  // ---------------------------------------------------------------- drawing

  measure() {
    const style = getComputedStyle(document.documentElement);
    const color = (name) => style.getPropertyValue(name).trim();
    this.colors = {
      surface: rgb(color("--surface")),
      types: data.types.map((_, index) => rgb(color(`--t${index}`))),
      unlisted: rgb(color("--unlisted")),
      hatch: rgb(color("--strong-line")),
      line: color("--line"),
      muted: color("--muted"),
      text: color("--text"),
      accent: color("--accent"),
      css: color("--surface"),
      mono: color("--mono"),
      reserved: parseFloat(color("--reserved")) / 100,
    };
    this.gutter = Math.ceil(data.width * 6.9 + 32);
    this.width = Math.max(100, Math.floor(this.box.clientWidth - this.gutter));
    const range = this.view[1] - this.view[0];
    const whole = this.view[0] === 0 && this.view[1] === this.length;
    // A whole space to scale gets lines of a round length: their addresses are round, too.
    this.perLine = whole && data.cut === null ? 2 ** Math.ceil(Math.log2(range / LINES)) : range / LINES;
    this.lines = Math.max(1, Math.ceil(range / this.perLine));
    this.height = this.lines * (LINE_HEIGHT + LINE_GAP) - LINE_GAP + 4;
    this.scale = Math.max(1, Math.min(3, window.devicePixelRatio || 1));
  }

  draw() {
    this.measure();
    const { width, gutter, height, lines, scale } = this;
    for (const canvas of [this.canvas, this.overlay]) {
      canvas.width = Math.round((gutter + width) * scale);
      canvas.height = Math.round(height * scale);
      canvas.style.height = `${height}px`;
    }
    const context = this.canvas.getContext("2d");
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    const columns = Math.round(width * scale);
    const tall = Math.round(LINE_HEIGHT * scale);
    const shares = this.shares(columns);
    const palette = this.palette();
    this.hatch = packed(this.colors.hatch);
    const image = context.createImageData(columns, tall);
    const pixels = new Uint32Array(image.data.buffer);
    for (let line = 0; line < lines; line += 1) {
      pixels.fill(0);
      for (let x = 0; x < columns; x += 1) this.paintColumn(pixels, columns, tall, x, shares, line * columns + x, palette);
      context.putImageData(image, Math.round(gutter * scale), Math.round((line * (LINE_HEIGHT + LINE_GAP) + 2) * scale));
    }
    context.setTransform(scale, 0, 0, scale, 0, 0);
    this.drawLabels(context);
    this.drawCuts(context);
    this.drawOverlay();
    byId("range-from").value = addressText(this.addressAt(this.view[0]));
    byId("range-to").value = addressText(this.addressAt(this.view[1]));
    byId("zoom-all").disabled = this.view[0] === 0 && this.view[1] === this.length;
    this.explain();
  }

  /** For every pixel column the share that each kind of memory has of it. */
  shares(columns) {
    const kinds = 2 * (UNLISTED + 1);
    const total = this.lines * columns;
    const shares = new Float32Array(total * kinds);
    this.crowded = new Uint8Array(total);
    if (this.count === 0) return shares;
    const perColumn = this.perLine / columns;
    const [from, to] = this.view;
    for (let run = this.runAt(from); run < this.count && this.place[run] < to; run += 1) {
      const low = (Math.max(this.place[run], from) - from) / perColumn;
      const high = (Math.min(this.place[run + 1], to) - from) / perColumn;
      const kind = 2 * this.type[run];
      const held = this.held[run];
      const first = Math.floor(low);
      const last = Math.min(total - 1, Math.ceil(high) - 1);
      if (high - low < 2) this.crowded.fill(1, first, last + 1);
      for (let x = first; x <= last; x += 1) {
        const share = Math.min(high, x + 1) - Math.max(low, x);
        shares[x * kinds + kind] += share * held;
        shares[x * kinds + kind + 1] += share * (1 - held);
      }
    }
    return shares;
  }

  paintColumn(pixels, columns, tall, x, shares, column, palette) {
    const kinds = palette.length;
    const offset = column * kinds;
    if (this.crowded[column] === 0) {
      // Where one long run ends and the next begins, a clean edge says more than a notch.
      let best = 0;
      for (let kind = 1; kind < kinds; kind += 1) if (shares[offset + kind] > shares[offset + best]) best = kind;
      const whole = shares[offset + best];
      for (let at = 0; whole > 0 && at < tall; at += 1) pixels[at * columns + x] = this.ink(palette, best, x, at);
      return;
    }
    let y = tall;
    let sum = 0;
    for (const kind of PAINT_ORDER) {
      const share = shares[offset + kind];
      if (share <= 0) continue;
      sum += share;
      const used = kind < 2 * UNUSABLE;
      // What is in use never vanishes beside free space, however little it is.
      let edge = Math.round(tall * (1 - sum));
      if (used && edge >= y && y > 1) edge = y - 1;
      edge = Math.max(0, edge);
      for (; y > edge; y -= 1) pixels[(y - 1) * columns + x] = this.ink(palette, kind, x, y - 1);
    }
  }

  /** The colour of a dot: hatched where nothing is known, else that of its kind. */
  ink(palette, kind, x, y) {
    return kind === 2 * UNLISTED && (x + y) % Math.round(5 * this.scale) === 0 ? this.hatch : palette[kind];
  }

  /** The colour of each kind: a type committed, a type reserved, and so on. */
  palette() {
    const { surface, types, unlisted } = this.colors;
    const palette = new Uint32Array(2 * (UNLISTED + 1));
    for (let type = 0; type <= UNLISTED; type += 1) {
      const full = type === UNLISTED ? unlisted : types[type];
      const dim = this.types.size > 0 && !this.types.has(type) && type !== UNLISTED ? 0.16 : 1;
      palette[2 * type] = packed(mixed(full, surface, dim));
      palette[2 * type + 1] = packed(mixed(full, surface, this.colors.reserved * dim));
    }
    return palette;
  }

  drawLabels(context) {
    context.fillStyle = this.colors.muted;
    context.font = `11px ${this.colors.mono}`;
    context.textBaseline = "middle";
    context.textAlign = "left";
    for (let line = 0; line < this.lines; line += 1) {
      const text = addressText(this.addressAt(this.view[0] + line * this.perLine));
      context.fillText(text, 0, line * (LINE_HEIGHT + LINE_GAP) + 2 + LINE_HEIGHT / 2 + 0.5, this.gutter - 10);
    }
  }

  /** Marks each run that is drawn shorter than it is, and says how long it is where there is room. */
  drawCuts(context) {
    if (this.cuts === 0) return;
    context.textAlign = "center";
    context.font = `10.5px ${getComputedStyle(document.body).fontFamily}`;
    const perPixel = this.perLine / this.width;
    for (let run = this.runAt(this.view[0]); run < this.count && this.place[run] < this.view[1]; run += 1) {
      if (this.isCut[run] === 0) continue;
      const middle = (this.place[run] + this.place[run + 1]) / 2;
      if (middle < this.view[0] || middle > this.view[1]) continue;
      const { x, y } = this.pointOf(middle);
      context.strokeStyle = this.inkOn(run);
      context.lineWidth = 1.2;
      context.beginPath();
      for (const shift of [-1.6, 1.6]) {
        context.moveTo(x + shift - 2, y + LINE_HEIGHT - 1);
        context.lineTo(x + shift + 2, y + 1);
      }
      context.stroke();
      const long = (this.place[run + 1] - this.place[run]) / perPixel;
      const text = shortSize(this.size[run]);
      const wide = context.measureText(text).width;
      // Beside the mark, inside the run and inside the line.
      if (long / 2 > wide + 14 && x + wide + 14 < this.gutter + this.width) {
        context.fillStyle = this.inkOn(run);
        context.textAlign = "left";
        context.fillText(text, x + 8, y + LINE_HEIGHT / 2 + 0.5);
      }
    }
  }

  /** Black or white, whichever can be read on an empty run. */
  inkOn(run) {
    const { types, unlisted, surface, reserved } = this.colors;
    const ground = this.type[run] === UNLISTED ? unlisted
      : this.type[run] === FREE ? types[FREE] : mixed(types[this.type[run]], surface, reserved);
    const light = (0.299 * ground[0] + 0.587 * ground[1] + 0.114 * ground[2]) / 255;
    return light > 0.5 ? "#1a1f29" : "#f1f4f9";
  }

  pointOf(place) {
    const line = Math.min(this.lines - 1, Math.floor((place - this.view[0]) / this.perLine));
    const x = this.gutter + ((place - this.view[0] - line * this.perLine) / this.perLine) * this.width;
    return { x, y: line * (LINE_HEIGHT + LINE_GAP) + 2, line };
  }

  drawOverlay() {
    const context = this.overlay.getContext("2d");
    context.setTransform(this.scale, 0, 0, this.scale, 0, 0);
    context.clearRect(0, 0, this.gutter + this.width, this.height);
    if (this.drag !== null && this.drag.moved) {
      const [from, to] = [Math.min(this.drag.from, this.drag.to), Math.max(this.drag.from, this.drag.to)];
      this.eachPiece(from, to, (x, y, wide) => {
        context.globalAlpha = 0.28;
        context.fillStyle = this.colors.accent;
        context.fillRect(x, y, wide, LINE_HEIGHT);
        context.globalAlpha = 1;
      });
      return;
    }
    for (const [run, color, line] of [[this.pinned, this.colors.accent, 2], [this.current, this.colors.text, 1.25]]) {
      if (run < 0) continue;
      this.eachPiece(this.place[run], this.place[run + 1], (x, y, wide) => {
        context.strokeStyle = color;
        context.lineWidth = line;
        context.strokeRect(x - 0.5, y - 1, Math.max(3, wide + 1), LINE_HEIGHT + 2);
      });
    }
  }

  /** Calls back for the part of [from, to) on each line. */
  eachPiece(from, to, draw) {
    const low = Math.max(from, this.view[0]);
    const high = Math.min(to, this.view[1]);
    if (high <= low) return;
    const first = Math.floor((low - this.view[0]) / this.perLine);
    const last = Math.min(this.lines - 1, Math.ceil((high - this.view[0]) / this.perLine) - 1);
    for (let line = first; line <= last; line += 1) {
      const start = this.view[0] + line * this.perLine;
      const left = (Math.max(low, start) - start) / this.perLine;
      const right = (Math.min(high, start + this.perLine) - start) / this.perLine;
      draw(this.gutter + left * this.width, line * (LINE_HEIGHT + LINE_GAP) + 2, (right - left) * this.width);
    }
  }

  /** Says in words what the picture's scale is. */
  explain() {
    const range = this.view[1] - this.view[0];
    const perPixel = this.perLine / this.width;
    const parts = [`${shortSize(Math.round(this.perLine / 1024) * 1024 || Math.round(this.perLine))} a line,`
      + ` ${shortSize(Math.max(1, perPixel >= 1024 ? Math.round(perPixel / 1024) * 1024 : Math.round(perPixel)))} a pixel.`];
    if (data.cut !== null && this.cuts > 0) {
      parts.push(`Committed memory is to scale; the ${countText(this.cuts)}`
        + ` ${data.partial ? "reserved or unknown" : "free or reserved"} runs longer than`
        + ` ${shortSize(data.cut)} are drawn as ${shortSize(data.cut)} and marked.`);
      byId("legend-cut").hidden = false;
    } else {
      parts.push("Everything is to scale.");
    }
    if (data.partial) parts.push("The input does not list the regions: between what is shown there may be anything.");
    if (range < this.length) parts.unshift("A part of the space is shown.");
    byId("space-scale").textContent = this.count === 0 ? "Nothing to draw: the map has no rows." : parts.join(" ");
  }

  // ---------------------------------------------------------------- pointing, zooming, keys

  listen() {
    const { overlay } = this;
    overlay.addEventListener("pointermove", (event) => this.onMove(event));
    overlay.addEventListener("pointerleave", () => {
      this.tip.hidden = true;
      if (this.drag === null) this.point(-1);
    });
    overlay.addEventListener("pointerdown", (event) => {
      const place = this.placeAt(event);
      if (place === null || event.button !== 0) return;
      this.drag = { from: place, to: place, x: event.offsetX, y: event.offsetY, moved: false };
      overlay.setPointerCapture(event.pointerId);
    });
    overlay.addEventListener("pointerup", (event) => this.onUp(event));
    overlay.addEventListener("pointercancel", () => { this.drag = null; this.drawOverlay(); });
    overlay.addEventListener("keydown", (event) => this.onKey(event));
    byId("zoom-in").addEventListener("click", () => this.zoom(0.5));
    byId("zoom-out").addEventListener("click", () => this.zoom(2));
    byId("zoom-all").addEventListener("click", () => this.show(0, this.length));
    byId("range-form").addEventListener("submit", (event) => {
      event.preventDefault();
      const [from, to] = ["range-from", "range-to"].map((id) => {
        const address = parseAddress(byId(id).value);
        byId(id).setAttribute("aria-invalid", String(address === null));
        return address;
      });
      if (from !== null && to !== null && from < to) this.show(this.placeOf(from), this.placeOf(to));
    });
    let width = this.box.clientWidth;
    new ResizeObserver(() => {
      if (this.box.clientWidth === width) return;
      width = this.box.clientWidth;
      requestAnimationFrame(() => this.draw());
    }).observe(this.box);
  }

  /** The place under the pointer, null beside the lines; inside a drag the nearest one. */
  placeAt(event) {
    if (this.count === 0) return null;
    const x = event.offsetX - this.gutter;
    const line = Math.floor((event.offsetY - 2) / (LINE_HEIGHT + LINE_GAP));
    const dragging = this.drag !== null;
    if (!dragging && (x < 0 || x >= this.width || line < 0 || line >= this.lines)) return null;
    const place = this.view[0] + Math.min(this.lines - 1, Math.max(0, line)) * this.perLine
      + (Math.min(this.width, Math.max(0, x)) / this.width) * this.perLine;
    return place >= this.view[1] && !dragging ? null : Math.min(place, this.view[1]);
  }

  onMove(event) {
    const place = this.placeAt(event);
    if (this.drag !== null && place !== null) {
      this.drag.to = place;
      this.drag.moved = this.drag.moved || Math.hypot(event.offsetX - this.drag.x, event.offsetY - this.drag.y) > 4;
      if (this.drag.moved) {
        this.tip.hidden = true;
        this.drawOverlay();
        return;
      }
    }
    if (place === null) {
      this.tip.hidden = true;
      this.point(-1);
      return;
    }
    const { run, others } = this.runsUnder(place);
    this.point(run);
    this.tip.replaceChildren(...this.describe(run, others));
    this.tip.hidden = false;
    const left = event.offsetX + 16;
    const wide = this.tip.offsetWidth;
    this.tip.style.left = `${left + wide > this.box.clientWidth ? Math.max(0, event.offsetX - wide - 12) : left}px`;
    this.tip.style.top = `${event.offsetY + 18}px`;
  }

  onUp() {
    const { drag } = this;
    this.drag = null;
    if (drag === null) return;
    if (drag.moved) {
      this.show(Math.min(drag.from, drag.to), Math.max(drag.from, drag.to));
      return;
    }
    this.pin(this.runsUnder(drag.from).run);
  }

  /** The run of a pixel column that says most (what is in use before what is not, then the largest), and the others. */
  runsUnder(place) {
    const perPixel = this.perLine / this.width;
    const low = this.view[0] + Math.floor((place - this.view[0]) / perPixel) * perPixel;
    const first = this.runAt(Math.max(low, 0));
    const here = this.runAt(place);
    let best = here;
    let others = 0;
    const weight = (run) => (this.type[run] < UNUSABLE ? 2 : this.type[run] === UNUSABLE ? 1 : 0);
    for (let run = first; run < this.count && this.place[run] < low + perPixel; run += 1) {
      if (run !== here) others += 1;
      const [a, b] = [weight(run), weight(best)];
      if (a > b || (a === b && this.size[run] > this.size[best])) best = run;
    }
    return { run: others > 0 ? best : here, others };
  }

  point(run) {
    if (this.current === run) return;
    this.current = run;
    this.drawOverlay();
  }

  /** Keeps a run selected and says below the picture what it is. */
  pin(run) {
    this.pinned = run;
    this.drawOverlay();
    this.tell(run);
  }

  tell(run) {
    if (run < 0) {
      this.readout.replaceChildren(element("span", { class: "muted" }, this.count === 0 ? "" : "Point at the picture, or drag to zoom. Click keeps a run selected."));
      return;
    }
    const parts = this.describe(run, 0);
    if (this.row[run] >= 0) {
      const button = element("button", { type: "button", class: "link" }, "Show in the table");
      button.addEventListener("click", () => this.options.onShow(this.row[run], this.child[run]));
      parts.push(button);
    }
    this.readout.replaceChildren(...parts);
  }

  describe(run, others) {
    const end = this.start[run] + BigInt(Math.round(this.size[run]));
    const range = element("div", { class: "mono" }, `${addressText(this.start[run])} – ${addressText(end)}`);
    if (this.type[run] === UNLISTED) {
      return [element("div", { class: "what" }, element("i", { class: "swatch unlisted" }), "Not in the input"), range,
        element("div", {}, `${shortSize(this.size[run])}, may be free or not`)];
    }
    const [row, child] = [this.row[run], this.child[run]];
    const text = (name) => this.rows.value(row, child, name) || "";
    const kind = text("kind");
    const type = data.types[this.type[run]];
    const facts = [shortSize(this.size[run])];
    if (this.type[run] !== FREE && this.type[run] !== UNUSABLE) {
      const committed = this.rows.value(row, child, "committed");
      if (committed !== null) facts.push(committed === 0 ? "reserved" : committed >= this.size[run] ? "committed" : `${shortSize(committed)} committed`);
      const protection = text("protection");
      if (protection !== "" && protection !== "Reserved") facts.push(protection);
    }
    if (this.isCut[run] === 1) facts.push(`drawn as ${shortSize(data.cut)}`);
    const parts = [
      element("div", { class: "what" }, element("i", { class: `swatch t${this.type[run]}` }), kind === "" ? type : `${type}: ${kind}`),
      range,
      element("div", {}, facts.join(", ")),
    ];
    const details = text("details");
    if (details !== "") parts.push(element("div", {}, details));
    if (others > 0) parts.push(element("div", { class: "muted" }, `and ${countText(others)} more in this pixel: zoom in`));
    return parts;
  }

  /** Shows the places [from, to). */
  show(from, to) {
    let [low, high] = [Math.max(0, from), Math.min(this.length, to)];
    const least = Math.min(LEAST_VIEW, this.length);
    if (high - low < least) {
      low = Math.max(0, Math.min((low + high - least) / 2, this.length - least));
      high = low + least;
    }
    this.view = [low, high];
    this.current = -1;
    this.tip.hidden = true;
    this.draw();
  }

  zoom(factor) {
    const focus = this.pinned >= 0 ? (this.place[this.pinned] + this.place[this.pinned + 1]) / 2 : NaN;
    const [from, to] = this.view;
    const center = focus >= from && focus <= to ? focus : (from + to) / 2;
    const half = ((to - from) * factor) / 2;
    let low = center - half;
    if (low + 2 * half > this.length) low = this.length - 2 * half;
    low = Math.max(0, low);
    this.show(low, low + 2 * half);
  }

  /** Zooms so that an allocation fills a third of the picture, and keeps it selected. */
  showRow(row, child) {
    const first = this.runOf(row, child);
    const last = child < 0 && this.rows.childCount(row) > 0 ? this.runAtAddress(this.rows.end(row) - 1n) : first;
    const [from, to] = [this.place[first], this.place[last + 1]];
    const room = Math.max(to - from, LEAST_VIEW);
    this.show(from - room, to + room);
    this.pin(first);
  }

  onKey(event) {
    if (this.count === 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    const run = this.pinned < 0 ? this.runAt(this.view[0]) : this.pinned;
    const middle = (this.place[run] + this.place[run + 1]) / 2;
    const steps = {
      ArrowRight: () => (this.pinned < 0 ? run : Math.min(this.count - 1, run + 1)),
      ArrowLeft: () => Math.max(0, run - 1),
      ArrowDown: () => this.runAt(Math.min(this.length - 1, middle + this.perLine)),
      ArrowUp: () => this.runAt(Math.max(0, middle - this.perLine)),
      Home: () => 0,
      End: () => this.count - 1,
    };
    if (event.key in steps) {
      const next = steps[event.key]();
      const [from, to] = this.view;
      // Follow the selection out of the view.
      if (this.place[next + 1] <= from || this.place[next] >= to) {
        const half = (to - from) / 2;
        this.show(Math.max(0, this.place[next] - half), Math.max(0, this.place[next] - half) + 2 * half);
      }
      this.pin(next);
    } else if (event.key === "+" || event.key === "=") this.zoom(0.5);
    else if (event.key === "-" || event.key === "_") this.zoom(2);
    else if (event.key === "0") this.show(0, this.length);
    else if (event.key === "Escape") this.pin(-1);
    else if (event.key === "Enter" && this.pinned >= 0 && this.row[run] >= 0) this.options.onShow(this.row[run], this.child[run]);
    else return;
    event.preventDefault();
  }

  setTypes(types) {
    this.types = types;
    this.draw();
  }
}

/* In use first, from the bottom up, committed below reserved; then what is not in use. */
const PAINT_ORDER = [...Array(UNLISTED + 1).keys()]
  .filter((type) => type !== FREE && type !== UNUSABLE && type !== UNLISTED)
  .flatMap((type) => [2 * type, 2 * type + 1])
  .concat([2 * UNUSABLE, 2 * FREE, 2 * UNLISTED]);

/** A colour `#rrggbb` as numbers. */
function rgb(text) {
  return [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16));
}

function mixed(color, ground, share) {
  return color.map((value, index) => Math.round(value * share + ground[index] * (1 - share)));
}

/** A colour as canvas memory has it: little-endian on every machine that browsers run on. */
function packed([red, green, blue]) {
  return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}
