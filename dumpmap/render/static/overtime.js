/* The dumps over time: bars, divided by severity or by verdict. */

const OUTLIERS = 0.02;

class OverTime {
  /**
   * @param filters Filters
   * @param onRange called with the first and the last second of the bar that a reader selects
   */
  constructor(filters, onRange) {
    this.filters = filters;
    this.box = byId("over-time");
    this.tip = byId("over-time-tip");
    this.by = "severity";
    this.plot = new Plot(this.box, { height: 280, left: 46, label: "Dumps over time" });
    this.bars = [];
    const { svg: drawing } = this.plot;
    drawing.addEventListener("pointermove", (event) => this.point(event));
    drawing.addEventListener("pointerleave", () => { this.tip.hidden = true; });
    drawing.addEventListener("click", (event) => {
      const bar = this.barAt(event);
      if (bar !== undefined) onRange(bar.from, bar.to);
    });
    onWidth(this.box, () => this.draw());
  }

  /** The span of time that the chart shows: of a few dumps far from all others, the chart only says how many. */
  static span(times) {
    const sorted = Float64Array.from(times).sort();
    const last = sorted.length - 1;
    const [low, high] = [sorted[Math.floor(last * OUTLIERS)], sorted[Math.ceil(last * (1 - OUTLIERS))]];
    const room = Math.max(DAY, 4 * (high - low));
    return [Math.max(sorted[0], low - room), Math.min(sorted[last], high + room)];
  }

  draw() {
    const { dumps } = this.filters;
    const rows = this.filters.rowsOfAllTimes();
    const timed = rows.filter((row) => !Number.isNaN(dumps.time[row]));
    this.bars = [];
    this.say(rows.length - timed.length, 0);
    if (timed.length === 0) {
      this.plot.begin([0, 1], [0, 1]);
      return;
    }
    const [from, to] = OverTime.span(timed.map((row) => dumps.time[row]));
    const step = timeStep(to - from + 1, Math.max(10, Math.min(60, this.plot.width / 14)));
    const start = Math.floor(from / step) * step;
    const count = Math.floor((to - start) / step) + 1;
    const kinds = this.by === "severity" ? data.ranks.length : this.verdicts.length;
    const sums = new Uint32Array(count * kinds);
    let outside = 0;
    for (const row of timed) {
      const bar = Math.floor((dumps.time[row] - start) / step);
      if (bar < 0 || bar >= count) outside += 1;
      else sums[bar * kinds + this.kindOf(row)] += 1;
    }
    this.say(rows.length - timed.length, outside);
    this.paint({ start, step, count, kinds, sums });
  }

  get verdicts() {
    return [...Object.keys(data.verdicts), ""];
  }

  kindOf(row) {
    if (this.by === "severity") return this.filters.dumps.rank[row];
    return this.verdicts.indexOf(this.filters.dumps.text(row, "verdict"));
  }

  kindName(kind) {
    return this.by === "severity" ? data.ranks[kind] : this.verdicts[kind] || "no map";
  }

  paint({ start, step, count, kinds, sums }) {
    let most = 0;
    for (let bar = 0; bar < count; bar += 1) most = Math.max(most, this.total(sums, bar, kinds));
    const { plot } = this;
    plot.begin([start, start + count * step], [0, most]);
    plot.gridY(roundSteps(most, 4), countText);
    const { from, to, hasRange } = this.filters;
    for (let bar = 0; bar < count; bar += 1) {
      const [left, right] = [plot.x(start + bar * step), plot.x(start + (bar + 1) * step)];
      const one = { from: start + bar * step, to: start + (bar + 1) * step, parts: [], total: this.total(sums, bar, kinds) };
      const group = svg("g", { class: hasRange && !(one.from < to && one.to > from) ? "bar-of dim" : "bar-of" });
      let sum = 0;
      for (let kind = 0; kind < kinds; kind += 1) {
        const value = sums[bar * kinds + kind];
        if (value === 0) continue;
        one.parts.push([kind, value]);
        group.append(svg("rect", {
          class: `${this.by === "severity" ? "s" : "v"}${kind}`,
          x: left + 0.5,
          width: Math.max(1, right - left - 1),
          y: plot.y(sum + value),
          height: Math.max(0.5, plot.y(sum) - plot.y(sum + value)),
        }));
        sum += value;
      }
      this.bars.push(one);
      plot.svg.append(group);
    }
    const ticks = Array.from({ length: count }, (_, bar) => start + bar * step);
    plot.labelsX(ticks, (value) => timeLabel(value, step), step >= DAY ? 84 : 92);
    this.step = step;
    plot.svg.setAttribute("aria-label", `Dumps over time, ${this.by === "severity" ? "by severity" : "by verdict"}: `
      + `${countText(count)} bars from ${timeText(start)} UTC, at most ${countText(most)} dumps each.`);
  }

  total(sums, bar, kinds) {
    let sum = 0;
    for (let kind = 0; kind < kinds; kind += 1) sum += sums[bar * kinds + kind];
    return sum;
  }

  say(untimed, outside) {
    const parts = ["Times are UTC. Select a bar to see its dumps."];
    if (untimed > 0) parts.push(`${countText(untimed)} without a time.`);
    if (outside > 0) parts.push(`${countText(outside)} far earlier or later, not drawn.`);
    byId("over-time-note").textContent = parts.join(" ");
  }

  barAt(event) {
    const { left } = this.plot.svg.getBoundingClientRect();
    const time = this.plot.valueAt === undefined ? NaN : this.plot.valueAt(event.clientX - left);
    return this.bars.find((bar) => time >= bar.from && time < bar.to);
  }

  point(event) {
    const bar = this.barAt(event);
    if (bar === undefined) {
      this.tip.hidden = true;
      return;
    }
    const end = this.step >= DAY ? timeText(bar.to - 1).slice(0, 10) : timeText(bar.to).slice(0, 16);
    const begin = timeText(bar.from).slice(0, this.step >= DAY ? 10 : 16);
    showTip(this.tip, this.box, event,
      element("div", { class: "what" }, begin === end ? begin : `${begin} – ${end}`),
      element("div", {}, bar.total === 1 ? "1 dump" : `${countText(bar.total)} dumps`),
      ...bar.parts.map(([kind, value]) => element("div", {},
        element("i", { class: `swatch ${this.by === "severity" ? "s" : "v"}${kind}` }), `${this.kindName(kind)}: ${countText(value)}`)));
  }

  /** Chooses what the colors stand for. */
  colorBy(what) {
    this.by = what;
    this.draw();
  }
}
