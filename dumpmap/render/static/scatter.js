/* Largest free block against commit: a dot for each dump, both on a scale of powers of two. */

const DOT = 3.2;
const NEAR = 10;

class Scatter {
  /**
   * @param dumps Dumps
   * @param onSelect called with the row that a reader selects
   */
  constructor(dumps, onSelect) {
    this.dumps = dumps;
    this.onSelect = onSelect;
    this.box = byId("scatter");
    this.tip = byId("scatter-tip");
    this.plot = new Plot(this.box, { height: 300, left: 64, bottom: 40, label: "Axes of the largest free block against commit" });
    this.canvas = element("canvas", {
      tabindex: 0,
      role: "application",
      "aria-label": "Largest free block against commit, one dot for each dump. Arrow keys move between dots by commit, Enter opens the dump.",
      "aria-describedby": "scatter-readout",
    });
    this.box.append(this.canvas);
    this.rows = [];
    this.current = -1;
    this.chosen = -1;
    this.canvas.addEventListener("pointermove", (event) => this.point(event));
    this.canvas.addEventListener("pointerleave", () => { this.tip.hidden = true; });
    this.canvas.addEventListener("click", (event) => {
      const row = this.rowAt(event);
      if (row >= 0) this.onSelect(row);
    });
    this.canvas.addEventListener("keydown", (event) => this.onKey(event));
    onWidth(this.box, () => this.draw());
    onTheme(() => this.draw());
  }

  /** A place on an axis. Nothing free stands at the left end of the sizes. */
  static scale(value) {
    return Math.log2(Math.max(value, 4096));
  }

  setRows(rows) {
    const commit = this.dumps.numbers.process_commit;
    const free = this.dumps.numbers.largest_free;
    this.rows = Array.from(rows).filter((row) => !Number.isNaN(commit[row]) && !Number.isNaN(free[row]));
    // The worst are drawn last, and so lie on top.
    this.rows.sort((a, b) => this.dumps.rank[b] - this.dumps.rank[a] || a - b);
    this.byCommit = [...this.rows].sort((a, b) => commit[a] - commit[b] || a - b);
    const rest = rows.length - this.rows.length;
    byId("scatter-note").textContent = "Process commit to the right, largest free block upwards; hollow dots show an upper bound."
      + (rest > 0 ? ` ${countText(rest)} without one of the two.` : "");
    this.draw();
  }

  draw() {
    const { plot, dumps } = this;
    const { process_commit: commit, largest_free: free } = dumps.numbers;
    const range = (values) => {
      let [low, high] = [Infinity, -Infinity];
      for (const row of this.rows) {
        const at = Scatter.scale(values[row]);
        low = Math.min(low, at);
        high = Math.max(high, at);
      }
      return low > high ? [12, 32] : [Math.floor(low - 0.3), Math.ceil(high + 0.3)];
    };
    const [across, up] = [range(commit), range(free)];
    plot.begin(across, up);
    const steps = ([low, high], most) => {
      const step = Math.max(1, Math.ceil((high - low) / most));
      return Array.from({ length: Math.floor((high - low) / step) + 1 }, (_, index) => low + index * step);
    };
    plot.gridY(steps(up, 7), (power) => shortSize(2 ** power));
    plot.labelsX(steps(across, Math.max(3, plot.wide / 90)), (power) => shortSize(2 ** power), 60);
    plot.svg.lastChild.after(svg("text", { class: "axis-text end", x: plot.left + plot.wide, y: plot.height - 22 }, "process commit →"));
    this.paint(commit, free);
  }

  paint(commit, free) {
    const { plot, canvas, dumps } = this;
    const scale = devicePixelRatio || 1;
    [canvas.width, canvas.height] = [plot.width * scale, plot.height * scale];
    canvas.style.width = `${plot.width}px`;
    canvas.style.height = `${plot.height}px`;
    const context = canvas.getContext("2d");
    context.setTransform(scale, 0, 0, scale, 0, 0);
    const style = getComputedStyle(document.documentElement);
    const colors = data.ranks.map((_, rank) => style.getPropertyValue(`--s${rank}`).trim());
    this.places = this.rows.map((row) => [plot.x(Scatter.scale(commit[row])), plot.y(Scatter.scale(free[row]))]);
    context.lineWidth = 1.2;
    this.rows.forEach((row, index) => {
      const [x, y] = this.places[index];
      context.beginPath();
      context.arc(x, y, DOT, 0, 2 * Math.PI);
      context.globalAlpha = 0.75;
      if (dumps.bound(row, -1, "largest_free") === BOUNDS[2]) {
        context.strokeStyle = colors[dumps.rank[row]];
        context.stroke();
      } else {
        context.fillStyle = colors[dumps.rank[row]];
        context.fill();
      }
    });
    context.globalAlpha = 1;
    const chosen = this.rows.indexOf(this.chosen);
    if (chosen < 0) return;
    context.strokeStyle = style.getPropertyValue("--text").trim();
    context.lineWidth = 2;
    context.beginPath();
    context.arc(...this.places[chosen], DOT + 3, 0, 2 * Math.PI);
    context.stroke();
  }

  /** The row of the dot nearest to a pointer, -1 where none is near. */
  rowAt(event) {
    let [best, least] = [-1, NEAR * NEAR];
    this.places.forEach(([x, y], index) => {
      const distance = (x - event.offsetX) ** 2 + (y - event.offsetY) ** 2;
      if (distance <= least) [best, least] = [index, distance];
    });
    return best < 0 ? -1 : this.rows[best];
  }

  describe(row) {
    const { dumps } = this;
    return [
      element("div", { class: "what" }, element("i", { class: `swatch s${dumps.rank[row]}` }),
        [dumps.text(row, "process"), dumps.text(row, "version")].join(" ").trim() || data.paths[row]),
      element("div", {}, dumps.text(row, "verdict")),
      element("div", {}, `commit ${dumps.sizeWords(row, "process_commit")}, largest free block ${dumps.sizeWords(row, "largest_free")}`),
      element("div", { class: "muted" }, data.paths[row]),
    ];
  }

  point(event) {
    const row = this.rowAt(event);
    this.canvas.style.cursor = row < 0 ? "default" : "pointer";
    if (row < 0) this.tip.hidden = true;
    else showTip(this.tip, this.box, event, ...this.describe(row));
  }

  /** Marks the dot of a row, -1 for none. */
  mark(row) {
    this.chosen = row;
    this.paint(this.dumps.numbers.process_commit, this.dumps.numbers.largest_free);
  }

  onKey(event) {
    if (this.rows.length === 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    const at = this.byCommit.indexOf(this.chosen);
    const last = this.byCommit.length - 1;
    const steps = { ArrowRight: Math.min(last, at + 1), ArrowLeft: Math.max(0, at - 1), Home: 0, End: last };
    if (event.key in steps) {
      this.mark(this.byCommit[steps[event.key]]);
      byId("scatter-readout").replaceChildren(...this.describe(this.chosen));
    } else if (event.key === "Enter" && at >= 0) {
      this.onSelect(this.chosen);
    } else {
      return;
    }
    event.preventDefault();
  }
}
