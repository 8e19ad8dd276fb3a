/* The map of the address space: what it shows and what the reader does with it. */

class SpaceMap {
  /**
   * @param rows MemoryRows
   * @param onShow called with the row and the block that the reader wants to see in the table
   */
  constructor(rows, onShow) {
    this.rows = rows;
    this.onShow = onShow;
    this.box = document.querySelector(".space-box");
    this.tip = byId("space-tip");
    this.readout = byId("space-readout");
    this.runs = new Runs(rows);
    this.canvas = new SpaceCanvas(this.box, this.runs, { canvas: byId("space-canvas"), overlay: byId("space-overlay") });
    this.current = -1;
    this.pinned = -1;
    this.drag = null;
    this.view = [0, this.runs.length];
    this.listen();
    this.draw();
    this.describePinned();
  }

  draw() {
    this.canvas.draw(this.view);
    this.drawOverlay();
    const [from, to] = this.view;
    byId("range-from").value = addressText(this.runs.addressAt(from));
    byId("range-to").value = addressText(this.runs.addressAt(to));
    byId("zoom-all").disabled = from === 0 && to === this.runs.length;
    this.sayProblem("", [false, false]);
    this.explain();
  }

  drawOverlay() {
    this.canvas.drawOverlay(this);
  }

  /** Writes the scale in words. */
  explain() {
    const { perLine, perPixel } = this.canvas;
    const { cuts } = this.runs;
    const rounded = (bytes) => shortSize(bytes >= 1024 ? Math.round(bytes / 1024) * 1024 : Math.max(1, Math.round(bytes)));
    const parts = [];
    if (this.view[1] - this.view[0] < this.runs.length) parts.push("Part of the address space.");
    parts.push(`${rounded(perLine)} per line, ${rounded(perPixel)} per pixel.`);
    if (data.cut !== null && cuts > 0) {
      const what = `${data.partial ? "reserved or unlisted" : "free or reserved"} run${cuts === 1 ? "" : "s"}`;
      parts.push(`Committed memory is drawn to scale. ${countText(cuts)} ${what} longer than ${shortSize(data.cut)}`
        + ` ${cuts === 1 ? "is" : "are"} shortened to ${shortSize(data.cut)} and marked.`);
      byId("legend-cut").hidden = false;
    } else {
      parts.push("Everything is drawn to scale.");
    }
    if (data.partial) parts.push("The input does not list the regions: the space between the runs shown may be free or in use.");
    byId("space-scale").textContent = this.runs.count === 0 ? "The map has no regions." : parts.join(" ");
  }

  // ---------------------------------------------------------------- pointing, zooming, keys

  listen() {
    const { overlay } = this.canvas;
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
    overlay.addEventListener("pointerup", () => this.onUp());
    overlay.addEventListener("pointercancel", () => { this.drag = null; this.drawOverlay(); });
    overlay.addEventListener("keydown", (event) => this.onKey(event));
    zoomable(overlay, {
      space: this.runs,
      placeAt: (event) => this.placeAt(event),
      view: () => this.view,
      show: (low, high) => this.show(low, high),
      onPinch: () => { this.drag = null; },
    });
    byId("zoom-in").addEventListener("click", () => this.zoom(0.5));
    byId("zoom-out").addEventListener("click", () => this.zoom(2));
    byId("zoom-all").addEventListener("click", () => this.show(0, this.runs.length));
    byId("range-form").addEventListener("submit", (event) => this.onRange(event));
    let width = this.box.clientWidth;
    new ResizeObserver(() => {
      if (this.box.clientWidth === width) return;
      width = this.box.clientWidth;
      requestAnimationFrame(() => this.draw());
    }).observe(this.box);
  }

  onRange(event) {
    event.preventDefault();
    const texts = ["range-from", "range-to"].map((id) => byId(id).value.trim());
    const [from, to] = texts.map(parseAddress);
    const first = this.runs.addressAt(0);
    const end = this.runs.addressAt(this.runs.length);
    const wrong = [from === null || from >= end, to === null || to <= first || (from !== null && to <= from)];
    const unread = texts.filter((text) => parseAddress(text) === null).map((text) => (text === "" ? "A blank field" : `“${text}”`));
    let problem = "";
    if (unread.length > 0) {
      problem = `${unread.join(" and ")} ${unread.length === 1 ? "is not an address" : "are not addresses"}. Enter hex digits, such as ${addressText(first)} and ${addressText(end)}.`;
    } else if (from >= to) {
      problem = `The range is empty: it begins at ${addressText(from)} and ends at ${addressText(to)}. Enter a lower address under From than under to.`;
    } else if (wrong[0] || wrong[1]) {
      problem = `The map has nothing there: it reaches from ${addressText(first)} to ${addressText(end)}.`;
    }
    this.sayProblem(problem, wrong);
    if (problem === "") this.show(this.runs.placeOf(from), this.runs.placeOf(to));
  }

  /** Says what is wrong with the range that was entered; nothing clears it. */
  sayProblem(text, wrong) {
    ["range-from", "range-to"].forEach((id, index) => byId(id).setAttribute("aria-invalid", String(wrong[index])));
    byId("range-problem").textContent = text;
    byId("range-problem").hidden = text === "";
  }

  /** The place under the pointer, null beside the lines; during a drag the nearest place. */
  placeAt(event) {
    return this.canvas.placeAt(event, this.drag !== null);
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
    this.showTip(event, this.canvas.runsUnder(place));
  }

  showTip(event, { run, others }) {
    this.point(run);
    this.tip.replaceChildren(...this.runs.describe(run));
    if (others > 0) {
      this.tip.append(element("div", { class: "muted" }, `and ${countText(others)} more in this pixel; zoom in to see them`));
    }
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
    if (drag.moved) this.show(Math.min(drag.from, drag.to), Math.max(drag.from, drag.to));
    else this.pin(this.canvas.runsUnder(drag.from).run);
  }

  point(run) {
    if (this.current === run) return;
    this.current = run;
    this.drawOverlay();
  }

  /** Selects a run and describes it below the map; -1 selects none. */
  pin(run) {
    this.pinned = run;
    this.drawOverlay();
    this.describePinned();
  }

  describePinned() {
    const run = this.pinned;
    if (run < 0) {
      const hint = this.runs.count === 0 ? "" : "Point to a run to see what it is, click to select it. Drag, double-click, or turn the wheel to zoom in.";
      this.readout.replaceChildren(element("span", { class: "muted" }, hint));
      return;
    }
    this.readout.replaceChildren(...this.runs.describe(run));
    if (this.runs.row[run] >= 0) {
      const button = element("button", { type: "button", class: "link" }, "Show in the table");
      button.addEventListener("click", () => this.onShow(this.runs.row[run], this.runs.child[run]));
      this.readout.append(button);
    }
  }

  /** Shows the places [low, high), and the rest of the pages at both ends. */
  show(low, high) {
    this.view = pageView(this.runs, low, high);
    this.current = -1;
    this.tip.hidden = true;
    this.draw();
  }

  /** Zooms around the selected run where it is in view, else around the middle. */
  zoom(factor) {
    const focus = this.pinned >= 0 ? this.runs.middle(this.pinned) : NaN;
    const [from, to] = this.view;
    const center = focus >= from && focus <= to ? focus : (from + to) / 2;
    const half = ((to - from) * factor) / 2;
    this.show(center - half, center + half);
  }

  /** Zooms so that a row or block fills a third of the map, and selects it. */
  showRow(row, child) {
    const first = this.runs.ofRow(row, child);
    const last = child < 0 ? this.runs.atAddress(this.rows.end(row) - 1n) : first;
    const [from, to] = [this.runs.place[first], this.runs.place[last + 1]];
    const room = Math.max(to - from, LEAST_VIEW);
    this.show(from - room, to + room);
    this.pin(first);
  }

  onKey(event) {
    const { runs } = this;
    if (runs.count === 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    const run = this.pinned < 0 ? runs.at(this.view[0]) : this.pinned;
    const steps = {
      ArrowRight: () => (this.pinned < 0 ? run : Math.min(runs.count - 1, run + 1)),
      ArrowLeft: () => Math.max(0, run - 1),
      ArrowDown: () => runs.at(Math.min(runs.length - 1, runs.middle(run) + this.canvas.perLine)),
      ArrowUp: () => runs.at(Math.max(0, runs.middle(run) - this.canvas.perLine)),
      Home: () => 0,
      End: () => runs.count - 1,
    };
    if (event.key in steps) this.step(steps[event.key]());
    else if (event.key === "+" || event.key === "=") this.zoom(0.5);
    else if (event.key === "-" || event.key === "_") this.zoom(2);
    else if (event.key === "0") this.show(0, runs.length);
    else if (event.key === "Escape") this.pin(-1);
    else if (event.key === "Enter" && this.pinned >= 0 && runs.row[run] >= 0) this.onShow(runs.row[run], runs.child[run]);
    else return;
    event.preventDefault();
  }

  /** Selects a run and moves the view where the run is outside it. */
  step(run) {
    const [from, to] = this.view;
    if (this.runs.place[run + 1] <= from || this.runs.place[run] >= to) {
      const low = Math.max(0, this.runs.place[run] - (to - from) / 2);
      this.show(low, low + to - from);
    }
    this.pin(run);
  }

  /** Dims all but these types, if there are any, and all but this owner, if there is one. */
  setFilter(types, owner) {
    this.runs.dim(types, owner);
    this.draw();
  }

  /** Chooses what the colors stand for: `type` or `owner`. */
  colorBy(what) {
    this.runs.colorBy(what);
    this.draw();
  }
}
