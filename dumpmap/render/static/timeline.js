/* The page of a timeline: charts over one axis, with one cursor. */

const SINCE = data.unit === "seconds";
const ATS = data.points.map((point) => point.at);
const LAST = data.points.length - 1;

/** When a point is, as text. */
function pointTime(index) {
  const { time } = data.points[index];
  return time === null ? `map ${index + 1}` : `${timeText(time)} UTC`;
}

const axisSpan = [ATS[0], ATS[LAST] === ATS[0] ? ATS[0] + 1 : ATS[LAST]];

/** Moments for labels below a chart: round times, or the numbers of the maps. */
function drawTimes(plot) {
  if (!SINCE) {
    plot.labelsX(ATS, (at) => String(Math.round(at) + 1), 40);
    return;
  }
  const first = data.points[0].time;
  const step = timeStep(axisSpan[1] - axisSpan[0], Math.max(2, plot.wide / 110));
  const marks = [];
  for (let time = Math.ceil(first / step) * step; time <= first + axisSpan[1] - axisSpan[0]; time += step) marks.push(time - first);
  plot.labelsX(marks, (at) => timeLabel(first + at, step), 96);
}

/** A chart over the points: areas on top of each other, or lines. */
class OverPoints {
  /**
   * @param id of the element that the chart fills
   * @param options label; `series` returns name, class, and values of each; `stacked`; `words` writes a value
   */
  constructor(id, options) {
    this.box = byId(id);
    this.options = options;
    this.hiddenNames = new Set();
    this.plot = new Plot(this.box, { height: options.height || 250, left: 64, label: options.label });
    this.tip = element("div", { class: "tip", hidden: true });
    this.legend = element("ul", { class: "legend", "aria-label": `Shown in: ${options.label}` });
    this.box.append(this.tip);
    this.box.after(this.legend);
    this.plot.svg.addEventListener("pointermove", (event) => this.point(event));
    this.plot.svg.addEventListener("pointerleave", () => { this.tip.hidden = true; });
    this.plot.svg.addEventListener("click", (event) => setCursor(this.nearest(event)));
    onWidth(this.box, () => this.draw());
    this.drawLegend();
    this.draw();
  }

  get shown() {
    return this.options.series().filter((one) => !this.hiddenNames.has(one.name));
  }

  drawLegend() {
    this.legend.replaceChildren(...this.options.series().map((one) => {
      const button = element("button", { type: "button", class: "plain", "aria-pressed": String(!this.hiddenNames.has(one.name)), title: "Show or hide" },
        element("i", { class: `swatch ${one.color}` }), one.name);
      button.addEventListener("click", () => {
        if (!this.hiddenNames.delete(one.name)) this.hiddenNames.add(one.name);
        button.setAttribute("aria-pressed", String(!this.hiddenNames.has(one.name)));
        this.draw();
      });
      return element("li", {}, button);
    }));
  }

  draw() {
    const { plot, options } = this;
    const series = this.shown;
    // For each point, where each series begins and ends; null where one of them is unknown.
    const bands = series.map(() => []);
    let most = 1;
    for (let index = 0; index <= LAST; index += 1) {
      let sum = 0;
      const known = !options.stacked || series.every((one) => one.values[index] !== null);
      series.forEach((one, place) => {
        const value = one.values[index];
        if (!known || value === null) {
          bands[place].push(null);
          return;
        }
        bands[place].push(options.stacked ? [sum, sum + value] : [0, value]);
        sum = options.stacked ? sum + value : value;
        most = Math.max(most, sum);
      });
    }
    plot.begin(axisSpan, [0, most * 1.04]);
    plot.gridY(roundSteps(most * 1.04, 5, true), (value) => (value === 0 ? "0" : shortSize(value)));
    drawTimes(plot);
    series.forEach((one, place) => this.drawBand(one, bands[place]));
    this.drawEvents();
    this.cursor = svg("line", { class: "cursor", y1: plot.top, y2: plot.top + plot.high });
    plot.svg.append(this.cursor);
    this.moveCursor();
    const last = series.map((one) => `${one.name} ${one.values[LAST] === null ? "unknown" : options.words(one.values[LAST])}`).join(", ");
    plot.svg.setAttribute("aria-label", `${options.label}. At the end: ${last}.`);
  }

  /** Draws one series, in pieces where it is unknown in between. */
  drawBand(one, band) {
    const { plot } = this;
    let piece = [];
    const flush = () => {
      if (piece.length === 0) return;
      const upper = piece.map((index) => `${plot.x(ATS[index])},${plot.y(band[index][1])}`);
      if (piece.length === 1) {
        plot.svg.append(svg("circle", { class: this.options.stacked ? one.color : `line-dot ${one.color}`, cx: plot.x(ATS[piece[0]]), cy: plot.y(band[piece[0]][1]), r: 3 }));
      } else if (this.options.stacked) {
        const lower = piece.map((index) => `${plot.x(ATS[index])},${plot.y(band[index][0])}`).reverse();
        plot.svg.append(svg("polygon", { class: one.color, points: [...upper, ...lower].join(" ") }));
      } else {
        plot.svg.append(svg("polyline", { class: `line ${one.color}`, points: upper.join(" ") }));
        for (const index of piece) plot.svg.append(svg("circle", { class: `line-dot ${one.color}`, cx: plot.x(ATS[index]), cy: plot.y(band[index][1]), r: LAST > 80 ? 0 : 2.5 }));
      }
      piece = [];
    };
    band.forEach((value, index) => {
      if (value === null) flush();
      else piece.push(index);
    });
    flush();
  }

  drawEvents() {
    const { plot } = this;
    for (const { point, kind } of data.events) {
      const x = plot.x(ATS[point]);
      plot.svg.append(svg("line", { class: `event ${kind}`, x1: x, x2: x, y1: plot.top, y2: plot.top + plot.high }),
        svg("path", { class: `event-mark ${kind}`, d: kind === "exception" ? `M${x - 5},${plot.top - 6} h10 l-5,8 z` : `M${x - 4},${plot.top - 7} h8 v8 h-8 z` }));
    }
  }

  /** The point nearest to a pointer. */
  nearest(event) {
    const at = this.plot.valueAt(event.clientX - this.plot.svg.getBoundingClientRect().left);
    let best = 0;
    ATS.forEach((value, index) => { if (Math.abs(value - at) < Math.abs(ATS[best] - at)) best = index; });
    return best;
  }

  point(event) {
    const index = this.nearest(event);
    showTip(this.tip, this.box, event, ...this.describe(index));
  }

  /** What the chart shows at a point. */
  describe(index) {
    const values = this.shown.map((one) => [one, one.values[index]]);
    const sum = values.every(([, value]) => value !== null) ? values.reduce((total, [, value]) => total + value, 0) : null;
    const lines = [...values].reverse().map(([one, value]) => element("div", {}, element("i", { class: `swatch ${one.color}` }),
      `${one.name}: ${value === null ? "unknown" : this.options.words(value)}`));
    if (this.options.stacked && sum !== null) lines.unshift(element("div", {}, `together: ${this.options.words(sum)}`));
    return [element("div", { class: "what" }, pointTime(index)), element("div", { class: "muted" }, data.points[index].name), ...lines];
  }

  moveCursor() {
    const x = this.plot.x(ATS[cursor]);
    this.cursor.setAttribute("x1", x);
    this.cursor.setAttribute("x2", x);
  }
}

// ---------------------------------------------------------------- the cursor

let cursor = LAST;
let metric = "committed";
const charts = [];

function setCursor(index) {
  cursor = index;
  byId("cursor").value = String(index);
  byId("cursor").setAttribute("aria-valuetext", pointTime(index));
  for (const chart of charts) chart.moveCursor();
  const events = data.events.filter((event) => event.point === index)
    .map((event) => element("span", { class: `pill ${event.kind === "exception" ? "critical" : "info"}` }, `${event.kind}: ${event.name}`));
  byId("cursor-point").replaceChildren(element("b", {}, pointTime(index)), element("span", { class: "muted" }, data.points[index].name), ...events);
  byId("cursor-values").replaceChildren(...charts.map((chart) => element("div", {}, element("h3", {}, chart.options.label), ...chart.describe(index).slice(2))));
}

byId("cursor").addEventListener("input", (event) => setCursor(Number(event.target.value)));
for (const button of document.querySelectorAll("[data-point]")) {
  button.addEventListener("click", () => {
    setCursor(Number(button.dataset.point));
    byId("cursor").focus();
  });
}

const types = () => data.by_type.filter((one) => metric in one).map((one) => ({ name: one.name, color: one.color, values: one[metric] }));
if (data.by_type.length > 0) charts.push(new OverPoints("by-type", { label: "Memory by type", stacked: true, series: types, height: 280, words: shortSize }));
if (data.by_owner.length > 0) {
  charts.push(new OverPoints("by-owner", { label: "Committed memory by owner", stacked: true, height: 280, words: shortSize,
    series: () => data.by_owner.map((one) => ({ name: one.name, color: one.color, values: one.committed })) }));
}
["largest_free_block", "free", "commit_left"].filter((name) => name in data.figures).forEach((name) => {
  charts.push(new OverPoints(`line-${name}`, { label: data.titles[name], stacked: false, height: 180, words: sizeLeft,
    series: () => [{ name: data.titles[name], color: "line-color", values: data.figures[name] }] }));
});

for (const button of document.querySelectorAll("[data-metric]")) {
  button.addEventListener("click", () => {
    metric = button.dataset.metric;
    for (const other of document.querySelectorAll("[data-metric]")) other.setAttribute("aria-pressed", String(other === button));
    charts[0].drawLegend();
    charts[0].draw();
    setCursor(cursor);
  });
}
setCursor(LAST);

// ---------------------------------------------------------------- the table

const rows = new TableRows(data.table);
if (rows.count > 0) {
  const grid = new Grid(byId("grid-series"), rows, { label: "Series" });
  exportButtons(grid, "series");
  const filter = byId("filter-text");
  const show = () => {
    const found = rows.filter(filter.value);
    grid.setRows(found);
    byId("count-series").textContent = rowsText(found.length, rows.count);
  };
  filter.addEventListener("input", show);
  show();
  onPrint((on) => grid.print(on));
}
byId("filters").addEventListener("submit", (event) => event.preventDefault());
focusOnSlash("filter-text");
markReady();
