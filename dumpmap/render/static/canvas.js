/* The canvases of the address space map: runs in lines like text, labels, and marks on top. */

const LINE_HEIGHT = 13;
const LINE_GAP = 3;
const LINES = 16;

/* Bytes that a view has at least. */
const LEAST_VIEW = 65536;

/* Kinds of a color: committed and reserved, and the same again dimmed. */
const KINDS = 2 * (UNLISTED + 1);

/* In use first, from the bottom up, committed below reserved; then what is not in use. */
const PAINT_ORDER = [...Array(UNLISTED + 1).keys()]
  .filter((type) => type !== FREE && type !== UNUSABLE && type !== UNLISTED)
  .flatMap((type) => [2 * type, 2 * type + 1])
  .concat([2 * UNUSABLE, 2 * FREE, 2 * UNLISTED])
  .flatMap((kind) => [kind, kind + KINDS]);

class SpaceCanvas {
  /**
   * @param box the element that the canvases fill
   * @param runs Runs
   * @param options the two canvases; how many lines the whole space takes, how high they are, and whether each begins
   *   with its address
   */
  constructor(box, runs, { canvas, overlay, lines = LINES, lineHeight = LINE_HEIGHT, labels = true }) {
    this.box = box;
    this.runs = runs;
    this.canvas = canvas;
    this.overlay = overlay;
    this.most = lines;
    this.lineHeight = lineHeight;
    this.labels = labels;
  }

  /** Draws the places [from, to) of `view`. */
  draw(view) {
    this.view = view;
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
    const tall = Math.round(this.lineHeight * scale);
    const shares = this.shares(columns);
    const palette = this.palette();
    const image = context.createImageData(columns, tall);
    const pixels = new Uint32Array(image.data.buffer);
    for (let line = 0; line < lines; line += 1) {
      pixels.fill(0);
      for (let x = 0; x < columns; x += 1) this.paintColumn(pixels, columns, tall, x, shares, line * columns + x, palette);
      context.putImageData(image, Math.round(gutter * scale), Math.round((line * (this.lineHeight + LINE_GAP) + 2) * scale));
    }
    context.setTransform(scale, 0, 0, scale, 0, 0);
    if (this.labels) this.drawLabels(context);
    if (this.runs.cuts > 0) this.drawCuts(context);
  }

  measure() {
    const style = getComputedStyle(document.documentElement);
    const color = (name) => style.getPropertyValue(name).trim();
    this.colors = {
      surface: rgb(color("--surface")),
      types: data.types.map((_, index) => rgb(color(this.runs.byOwner && index < UNUSABLE ? `--o${index}` : `--t${index}`))),
      unlisted: rgb(color("--unlisted")),
      hatch: packed(rgb(color("--strong-line"))),
      muted: color("--muted"),
      text: color("--text"),
      accent: color("--accent"),
      mono: color("--mono"),
      reserved: parseFloat(color("--reserved")) / 100,
    };
    const [from, to] = this.view;
    this.gutter = this.labels ? Math.ceil(data.width * 6.9 + 32) : 0;
    this.width = Math.max(100, Math.floor(this.box.clientWidth - this.gutter));
    const whole = from === 0 && to === this.runs.length;
    // Lines of a whole space drawn to scale have a round length, so their addresses are round, too.
    this.perLine = (to - from) / this.most;
    if (this.most > 1) {
      // Other lines are whole pages long.
      this.perLine = whole && data.cut === null ? 2 ** Math.ceil(Math.log2(this.perLine)) : Math.ceil(this.perLine / 4096) * 4096;
    }
    this.perPixel = this.perLine / this.width;
    this.lines = Math.max(1, Math.ceil((to - from) / this.perLine));
    this.height = this.lines * (this.lineHeight + LINE_GAP) - LINE_GAP + 4;
    this.scale = Math.max(1, Math.min(3, window.devicePixelRatio || 1));
  }

  /** For every pixel column the share that each kind of memory has of it. */
  shares(columns) {
    const kinds = 2 * KINDS;
    const total = this.lines * columns;
    const shares = new Float32Array(total * kinds);
    const { runs } = this;
    this.crowded = new Uint8Array(total);
    if (runs.count === 0) return shares;
    const perColumn = this.perLine / columns;
    const [from, to] = this.view;
    for (let run = runs.at(from); run < runs.count && runs.place[run] < to; run += 1) {
      const low = (Math.max(runs.place[run], from) - from) / perColumn;
      const high = (Math.min(runs.place[run + 1], to) - from) / perColumn;
      const kind = 2 * runs.color[run] + KINDS * runs.dimmed[run];
      const held = runs.held[run];
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
      // Where one long run ends and the next begins, a clean edge reads better than a notch.
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
      const used = kind % KINDS < 2 * UNUSABLE;
      // Memory in use never vanishes beside free space, however little it is.
      let edge = Math.round(tall * (1 - sum));
      if (used && edge >= y && y > 1) edge = y - 1;
      edge = Math.max(0, edge);
      for (; y > edge; y -= 1) pixels[(y - 1) * columns + x] = this.ink(palette, kind, x, y - 1);
    }
  }

  /** The color of a dot: hatched where the input lists nothing, else that of its kind. */
  ink(palette, kind, x, y) {
    return kind === 2 * UNLISTED && (x + y) % Math.round(5 * this.scale) === 0 ? this.colors.hatch : palette[kind];
  }

  /** The color of each kind: a type or owner committed, reserved, and so on; then all of them dimmed. */
  palette() {
    const { surface, types, unlisted, reserved } = this.colors;
    const palette = new Uint32Array(2 * KINDS);
    for (let type = 0; type <= UNLISTED; type += 1) {
      const full = type === UNLISTED ? unlisted : types[type];
      for (const [first, dim] of [[0, 1], [KINDS, 0.16]]) {
        palette[first + 2 * type] = packed(mixed(full, surface, dim));
        palette[first + 2 * type + 1] = packed(mixed(full, surface, reserved * dim));
      }
    }
    return palette;
  }

  drawLabels(context) {
    context.fillStyle = this.colors.muted;
    context.font = `11px ${this.colors.mono}`;
    context.textBaseline = "middle";
    context.textAlign = "left";
    for (let line = 0; line < this.lines; line += 1) {
      const address = this.runs.addressAt(this.view[0] + line * this.perLine);
      // After a shortened run a line can begin inside a page.
      const text = addressText(line === 0 ? address : (address / PAGE) * PAGE);
      context.fillText(text, 0, line * (this.lineHeight + LINE_GAP) + 2 + this.lineHeight / 2 + 0.5, this.gutter - 10);
    }
  }

  /** Marks each shortened run and writes its true size beside the mark where there is room. */
  drawCuts(context) {
    const { runs } = this;
    const [from, to] = this.view;
    context.textAlign = "left";
    context.font = `10.5px ${getComputedStyle(document.body).fontFamily}`;
    for (let run = runs.at(from); run < runs.count && runs.place[run] < to; run += 1) {
      const middle = runs.middle(run);
      if (runs.isCut[run] === 0 || middle < from || middle > to) continue;
      const { x, y } = this.pointOf(middle);
      context.strokeStyle = this.inkOn(run);
      context.lineWidth = 1.2;
      context.beginPath();
      for (const shift of [-1.6, 1.6]) {
        context.moveTo(x + shift - 2, y + this.lineHeight - 1);
        context.lineTo(x + shift + 2, y + 1);
      }
      context.stroke();
      const long = (runs.place[run + 1] - runs.place[run]) / this.perPixel;
      const text = shortSize(runs.size[run]);
      const wide = context.measureText(text).width;
      // The text must fit into the run and into the line.
      if (long / 2 > wide + 14 && x + wide + 14 < this.gutter + this.width) {
        context.fillStyle = this.inkOn(run);
        context.fillText(text, x + 8, y + this.lineHeight / 2 + 0.5);
      }
    }
  }

  /** Black or white, whichever is readable on an empty run. */
  inkOn(run) {
    const { types, unlisted, surface, reserved } = this.colors;
    const type = this.runs.color[run];
    const empty = type === FREE ? types[FREE] : mixed(types[type] || unlisted, surface, reserved);
    const ground = type === UNLISTED ? unlisted : empty;
    const light = (0.299 * ground[0] + 0.587 * ground[1] + 0.114 * ground[2]) / 255;
    return light > 0.5 ? "#1a1f29" : "#f1f4f9";
  }

  pointOf(place) {
    const line = Math.min(this.lines - 1, Math.floor((place - this.view[0]) / this.perLine));
    const x = this.gutter + ((place - this.view[0] - line * this.perLine) / this.perLine) * this.width;
    return { x, y: line * (this.lineHeight + LINE_GAP) + 2 };
  }

  /** The place under a pointer, null beside the lines; `nearest` takes the nearest place instead. */
  placeAt(event, nearest) {
    if (this.runs.count === 0) return null;
    const x = event.offsetX - this.gutter;
    const line = Math.floor((event.offsetY - 2) / (this.lineHeight + LINE_GAP));
    if (!nearest && (x < 0 || x >= this.width || line < 0 || line >= this.lines)) return null;
    const place = this.view[0] + Math.min(this.lines - 1, Math.max(0, line)) * this.perLine
      + (Math.min(this.width, Math.max(0, x)) / this.width) * this.perLine;
    return place >= this.view[1] && !nearest ? null : Math.min(place, this.view[1]);
  }

  /** The run that matters most in the pixel column at a place, and how many others are in it. */
  runsUnder(place) {
    const [from] = this.view;
    const low = from + Math.floor((place - from) / this.perPixel) * this.perPixel;
    return this.runs.mostIn(low, low + this.perPixel, place);
  }

  /** Draws the range that the reader drags over, or else the outlines of the selected and the current run. */
  drawOverlay({ drag, pinned, current }) {
    const context = this.overlay.getContext("2d");
    context.setTransform(this.scale, 0, 0, this.scale, 0, 0);
    context.clearRect(0, 0, this.gutter + this.width, this.height);
    if (drag !== null && drag.moved) {
      context.globalAlpha = 0.28;
      context.fillStyle = this.colors.accent;
      this.eachPiece(Math.min(drag.from, drag.to), Math.max(drag.from, drag.to), (x, y, wide) => {
        context.fillRect(x, y, wide, this.lineHeight);
      });
      context.globalAlpha = 1;
      return;
    }
    for (const [run, color, line] of [[pinned, this.colors.accent, 2], [current, this.colors.text, 1.25]]) {
      if (run < 0) continue;
      context.strokeStyle = color;
      context.lineWidth = line;
      this.eachPiece(this.runs.place[run], this.runs.place[run + 1], (x, y, wide) => {
        context.strokeRect(x - 0.5, y - 1, Math.max(3, wide + 1), this.lineHeight + 2);
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
      draw(this.gutter + left * this.width, line * (this.lineHeight + LINE_GAP) + 2, (right - left) * this.width);
    }
  }
}

/** A color `#rrggbb` as numbers. */
function rgb(text) {
  return [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16));
}

function mixed(color, ground, share) {
  return color.map((value, index) => Math.round(value * share + ground[index] * (1 - share)));
}

/** A color as canvas memory has it: little-endian on every machine that browsers run on. */
function packed([red, green, blue]) {
  return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}
