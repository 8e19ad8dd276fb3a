/* Numbers as text, by the rules of dumpmap/wording/text.py. Addresses are BigInt or hex strings, never Number. */

const thousands = new Intl.NumberFormat("en-US");

/** A size in KB, rounded up, or down where it is how much is left. Null, and NaN in number columns, is unknown. */
function sizeText(value, left = false) {
  if (value === null || Number.isNaN(value)) return "";
  return thousands.format(left ? Math.floor(value / 1024) : Math.ceil(value / 1024));
}

/** A share in percent; those below 10 and above 99 have a decimal, and halves round to even, as in Python. */
function percentText(value) {
  const percent = 100 * value;
  if (percent > 99 && percent < 100) return `${(Math.min(999, Math.round(1000 * value)) / 10).toFixed(1)} %`;
  if (Math.abs(percent) < 10 && Math.round(10 * percent) / 10 !== Math.round(percent)) return `${percent.toFixed(1)} %`;
  const odd = Math.abs(percent % 1) === 0.5 && Math.round(percent) % 2 !== 0;
  return `${odd ? Math.round(percent) - 1 : Math.round(percent)} %`;
}

function countText(value) {
  return value === null || Number.isNaN(value) ? "" : thousands.format(value);
}

const STEPS = [[2 ** 60, "EB"], [2 ** 50, "PB"], [2 ** 40, "TB"], [2 ** 30, "GB"], [2 ** 20, "MB"], [2 ** 10, "KB"]];

/** A size with the unit that suits it, rounded to the nearest, down, or up; three digits before the point take no decimal. */
function sizeIn(value, rounding) {
  if (value < 0) return `-${sizeIn(-value, "nearest")}`;
  for (const [step, name] of STEPS) {
    if (value < step) continue;
    const factor = value < 100 * step ? 10 : 1;
    const scaled = (value / step) * factor;
    let count = Math.floor(scaled);
    const rest = scaled - count;
    // A tie goes to the even digit, as in Python.
    if (rounding === "up" ? rest > 0 : rounding === "nearest" && (rest > 0.5 || (rest === 0.5 && count % 2 === 1))) count += 1;
    const whole = value % step === 0 || (rounding === "up" && count % factor === 0);
    return `${Math.floor(count / factor)}${whole || factor === 1 ? "" : `.${count % factor}`} ${name}`;
  }
  return value === 1 ? "1 byte" : `${value} bytes`;
}

/** A size in words: 18.3 MB. */
const shortSize = (value) => sizeIn(value, "nearest");

/** How much is left of something, rounded down: it never promises too much. */
const sizeLeft = (value) => sizeIn(value, "down");

/** An upper bound, rounded up. */
const sizeMost = (value) => sizeIn(value, "up");

/** A BigInt or a hex string as an address, padded to the width of this process. */
function addressText(value) {
  if (value === null) return "";
  return `0x${BigInt(value).toString(16).padStart(data.width, "0")}`;
}

/** Reads an address as people write it: 0x7ff6'12340000, 7ff6`12340000, 0X7FF612340000. Null for other text. */
function parseAddress(text) {
  const digits = text.trim().replace(/[`'_\s]/g, "").replace(/^0x/i, "");
  if (!/^[0-9a-f]{1,16}$/i.test(digits)) return null;
  return BigInt(`0x${digits}`);
}

/** Reads a size: 64, 64 KB, 1.5M, 2 GB. A number without a unit is KB. Null for other text, 0 for no text. */
function parseSize(text) {
  const cleaned = text.trim().replace(/,/g, "");
  if (cleaned === "") return 0;
  const match = /^(\d+(?:\.\d+)?|\.\d+)\s*(b|bytes|k|kb|kib|m|mb|mib|g|gb|gib|t|tb|tib)?$/i.exec(cleaned);
  if (match === null) return null;
  const unit = (match[2] || "k")[0].toLowerCase();
  return Number(match[1]) * { b: 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 }[unit];
}

/** Creates an element. Texts become text nodes: a name from a dump is never markup. */
function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "class") made.className = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

const byId = (id) => document.getElementById(id);
const FREE = data.types.indexOf("Free");
const UNUSABLE = data.types.indexOf("Unusable");
