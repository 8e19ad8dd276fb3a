/* What charts have in common: SVG elements, scales, and axes. */

const SVG = "http://www.w3.org/2000/svg";

/** Creates an SVG element; texts become text nodes. */
function svg(tag, properties = {}, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(properties)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** Round numbers from 0 to `most`, about `count` of them; of sizes, multiples of a power of two. */
function roundSteps(most, count, sizes = false) {
  const raw = Math.max(most, 1) / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  const decimal = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= raw);
  const step = Math.max(1, sizes ? 2 ** Math.ceil(Math.log2(raw)) : decimal);
  const steps = [];
  for (let value = 0; value <= most; value += step) steps.push(value);
  return steps;
}

const HOUR = 3600;
const DAY = 24 * HOUR;
const TIME_STEPS = [1, 5, 15, 30, 60, 300, 900, 1800, HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 4 * DAY, 7 * DAY, 14 * DAY, 28 * DAY,
  91 * DAY, 364 * DAY, 3640 * DAY];

/** The shortest of the usual periods of which at most `most` cover a span of seconds. */
const timeStep = (span, most) => TIME_STEPS.find((step) => span / step <= most) || Math.ceil(span / most);

/** A moment as the label of an axis: a day, or the hour where the axis is short. */
function timeLabel(seconds, step) {
  const text = timeText(seconds);
  if (step >= DAY) return text.slice(0, 10);
  return step < 60 ? text.slice(11) : text.slice(5, 16);
}

/** A frame for a chart: its place in pixels, grid lines, and labels at the left and below. */
class Plot {
  /**
   * @param host the element that the chart fills
   * @param options height, left and bottom margins, and the label of the chart
   */
  constructor(host, { height = 220, left = 56, bottom = 24, label }) {
    this.host = host;
    this.height = height;
    this.left = left;
    this.top = 8;
    this.right = 12;
    this.bottom = bottom;
    this.svg = svg("svg", { class: "chart", role: "img", "aria-label": label, height });
    host.append(this.svg);
  }

  get width() {
    return Math.max(200, this.host.clientWidth);
  }

  /** Begins anew: `x` and `y` map values to pixels. */
  begin([fromX, toX], [fromY, toY]) {
    const wide = this.width - this.left - this.right;
    const high = this.height - this.top - this.bottom;
    this.svg.setAttribute("width", this.width);
    this.svg.setAttribute("viewBox", `0 0 ${this.width} ${this.height}`);
    this.x = (value) => this.left + ((value - fromX) / (toX - fromX || 1)) * wide;
    this.y = (value) => this.top + high - ((value - fromY) / (toY - fromY || 1)) * high;
    this.valueAt = (pixel) => fromX + ((pixel - this.left) / wide) * (toX - fromX);
    this.wide = wide;
    this.high = high;
    this.svg.replaceChildren();
  }

  /** Draws lines across, each with its text. */
  gridY(values, text) {
    for (const value of values) {
      const y = Math.round(this.y(value)) + 0.5;
      this.svg.append(svg("line", { class: "grid-line", x1: this.left, x2: this.left + this.wide, y1: y, y2: y }),
        svg("text", { class: "axis-text end", x: this.left - 6, y: y + 4 }, text(value)));
    }
  }

  /** Writes labels below, as many as have room. */
  labelsX(values, text, room = 76) {
    let last = -Infinity;
    for (const value of values) {
      const x = this.x(value);
      const place = x > this.left + this.wide - room / 2 ? "end" : x < this.left + room / 4 ? "start" : "middle";
      const middle = x + { start: room / 2, middle: 0, end: -room / 2 }[place];
      if (middle - last < room || x > this.left + this.wide) continue;
      last = middle;
      this.svg.append(svg("line", { class: "grid-tick", x1: x, x2: x, y1: this.top + this.high, y2: this.top + this.high + 4 }),
        svg("text", { class: `axis-text ${place}`, x, y: this.height - 6 }, text(value)));
    }
  }
}

/** Draws anew when the width of an element changes. */
function onWidth(host, draw) {
  let width = host.clientWidth;
  new ResizeObserver(() => {
    if (host.clientWidth === width) return;
    width = host.clientWidth;
    requestAnimationFrame(draw);
  }).observe(host);
}

/** Shows a tip in a box beside the pointer. */
function showTip(tip, box, event, ...children) {
  tip.replaceChildren(...children);
  tip.hidden = false;
  const frame = box.getBoundingClientRect();
  const [x, y] = [event.clientX - frame.left, event.clientY - frame.top];
  tip.style.left = `${x + 14 + tip.offsetWidth > frame.width ? Math.max(0, x - tip.offsetWidth - 10) : x + 14}px`;
  tip.style.top = `${y + 16}px`;
}
