/* Cells of the tables: how wide their columns are and how a value shows. */

const TWIST_WIDTH = 20;

const isNumeric = (column) => ["size", "delta", "count", "percent"].includes(column.holds);
const fixed = (width) => ({ css: `${Math.round(width)}px`, least: Math.round(width) });

/* Least width and share of the free width of columns whose texts are of any length. */
const NAMED_WIDTHS = { details: [180, 1.8], path: [180, 2], name: [120, 1], evidence: [140, 1.4], kind: [110, 1],
  protection: [118, 0.6], debug_id: [120, 1], verdict: [184, 0.3], headline: [200, 1] };

/** A cell as text, by what its column holds. */
function cellText(column, value) {
  if (value === null || value === undefined) return "";
  switch (column.holds) {
    case "address": return addressText(value);
    case "size": return sizeText(Number(value), column.left);
    case "delta": return deltaText(value);
    case "count": return countText(Number(value));
    case "percent": return percentText(value);
    case "flag": return value ? "yes" : "";
    case "type": return data.types[value];
    case "rank": return data.ranks[value];
    case "time": return timeText(value);
    default: return String(value);
  }
}

/** What a size changed by; nothing where it did not. */
function deltaText(value, text = sizeText) {
  return value === 0 ? "" : `${value > 0 ? "+" : "−"}${text(Math.abs(value))}`;
}

/** Width of a column: numbers are as wide as their longest, texts by what they are. `extra` is added for arrows. */
function columnWidth(rows, column, extra) {
  // Headings break between words.
  const heading = Math.max(...column.title.split(" ").map((word) => word.length)) * 8.1 + 22;
  switch (column.holds) {
    case "address": return fixed(Math.max(heading, data.width * 7.55 + 33) + extra);
    case "type":
    case "rank": return fixed(114);
    case "time": return fixed(152);
    case "size":
    case "count": return fixed(Math.max(heading, longestText(rows, column) * 7.1 + 18));
    case "delta": return fixed(Math.max(heading, longestText(rows, column) * 7.1 + 26));
    case "hex": return fixed(Math.max(heading, 96));
    case "flag": return fixed(heading);
    default: {
      const [least, share] = NAMED_WIDTHS[column.name]
        || [Math.max(heading, Math.min(longestText(rows, column) * 7 + 20, 190)) + extra, 0.3];
      return { css: `minmax(${least}px, ${share}fr)`, least };
    }
  }
}

/** Letters of a column's longest text; a very long table is sampled. */
function longestText(rows, column) {
  let longest = 0;
  for (let row = 0; row < rows.count; row += Math.ceil(rows.count / 20000)) {
    longest = Math.max(longest, cellText(column, rows.value(row, -1, column.name)).length);
  }
  return longest;
}

/**
 * Fills a cell. `linked` makes a link of an address; `inferred` marks the evidence of an inferred row; `bound` stands
 * before a figure that is only a bound.
 */
function fillCell(cell, column, value, { linked, inferred, bound }) {
  const text = cellText(column, value);
  switch (column.holds) {
    case "address":
    case "hex":
      // The end of a range belongs to whatever follows it.
      cell.append(linked && column.holds === "address" && column.name !== "end" && text !== ""
        ? element("button", { type: "button", class: "link mono", tabindex: -1, "data-address": text, title: "Show in Allocations" }, text)
        : element("span", { class: "mono" }, text));
      return;
    case "type":
      cell.append(element("i", { class: `swatch t${value}` }), text);
      return;
    case "rank":
      cell.append(element("i", { class: `swatch s${value}` }), text);
      return;
    case "size":
      cell.append(text === "" ? "" : bound + text);
      if (text !== "") cell.title = `${shortSize(Number(value))}, ${countText(Number(value))} bytes`;
      return;
    default:
      fillText(cell, column, text, inferred);
  }
}

function fillText(cell, column, text, inferred) {
  if (inferred) cell.append(element("span", { class: "inferred", title: "Inferred, not recorded" }, "inferred"));
  const cut = Math.max(text.lastIndexOf("\\"), text.lastIndexOf("/"));
  if ((column.name === "details" || column.name === "path") && cut > 0 && cut < text.length - 1 && text.length > 20) {
    // The file name at the end of a long path always shows.
    cell.classList.add("path");
    cell.append(element("span", {}, text.slice(0, cut + 1)), element("span", {}, text.slice(cut + 1)));
  } else {
    cell.append(text);
  }
  if (column.holds === "evidence") cell.title = evidenceLines(text).join("\n");
  else if (text.length > 14) cell.title = text;
}

/** What each part of an evidence text means. */
function evidenceLines(text) {
  return text === "" ? [] : text.split("+").map((name) => (data.evidence[name] ? `${name}: ${data.evidence[name]}` : name));
}
