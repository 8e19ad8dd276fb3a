/* Copies and CSV files of what a table shows: its rows as they are filtered, sorted, and expanded. */

/* How a cell begins that a spreadsheet would run, by the rule of dumpmap/model/formulas.py: an apostrophe makes it a text. */
const FORMULA = /^'*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/;

const BOUND_WORDS = { "≥ ": "at least", "≤ ": "at most" };

const LINES_AT_ONCE = 5000;

/** A text as a cell of a CSV file. */
function csvText(text) {
  const safe = FORMULA.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** A value as a cell of a CSV file, as dumpmap writes it: sizes in bytes, addresses in hex, blank where not known. */
function csvCell(column, value) {
  if (value === null || value === undefined) return "";
  switch (column.holds) {
    case "address": return `0x${BigInt(value).toString(16)}`;
    case "size":
    case "delta":
    case "count":
    case "percent": return typeof value === "string" ? BigInt(value).toString() : String(value);
    case "flag": return value ? "true" : "false";
    default: return csvText(cellText(column, value));
  }
}

/** A cell as text on one line. */
const plainText = (text) => text.replace(/[\t\r\n]+/g, " ");

/** The parts of a table's file: lines, and in each the cells of a row. */
class TableExport {
  constructor(grid) {
    this.grid = grid;
    const { columns, bound } = grid.rows;
    this.csvColumns = columns.flatMap((column) => [
      { name: column.name, cell: (row, child) => csvCell(column, this.value(row, child, column.name)) },
      ...(column.holds === "evidence" ? [{ name: "inferred", cell: (row, child) => String(this.value(row, child, "inferred")) }] : []),
      ...(bound !== undefined && column.name in data.bounds
        ? [{ name: `${column.name}_bound`, cell: (row, child) => BOUND_WORDS[grid.rows.bound(row, child, column.name)] || "" }] : []),
    ]);
  }

  value(row, child, name) {
    return this.grid.rows.value(row, child, name);
  }

  *csv() {
    yield* this.pieces(this.csvColumns.map(({ name }) => csvText(name)), (row, child) => this.csvColumns.map(({ cell }) => cell(row, child)), ",");
  }

  *text() {
    const { columns, bound } = this.grid.rows;
    yield* this.pieces(columns.map((column) => column.title), (row, child) => columns.map((column) => {
      const text = plainText(cellText(column, this.value(row, child, column.name)));
      const before = bound === undefined || text === "" ? "" : this.grid.rows.bound(row, child, column.name);
      const inferred = column.holds === "evidence" && this.value(row, child, "inferred") ? "inferred, " : "";
      return before + inferred + text;
    }), "\t");
  }

  *pieces(heads, cells, separator) {
    yield `${heads.join(separator)}\n`;
    const { grid } = this;
    for (let first = 0; first < grid.lines; first += LINES_AT_ONCE) {
      const lines = [];
      for (let line = first; line < Math.min(grid.lines, first + LINES_AT_ONCE); line += 1) {
        const { row, child } = grid.at(line);
        lines.push(cells(row, child).join(separator));
      }
      yield `${lines.join("\n")}\n`;
    }
  }
}

/** Puts a text on the clipboard; browsers that keep it from pages of a file still copy a selection. */
async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const field = element("textarea", { class: "hidden", "aria-hidden": "true" });
    field.value = text;
    document.body.append(field);
    field.select();
    const copied = document.execCommand("copy");
    field.remove();
    return copied;
  }
}

function saveFile(name, parts) {
  const link = element("a", { href: URL.createObjectURL(new Blob(parts, { type: "text/csv;charset=utf-8" })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

/** Adds the buttons that copy a table and save it as a file; `name` is the end of the file's name. */
function exportButtons(grid, name) {
  const host = document.querySelector(`[data-export="${name}"]`);
  const said = element("span", { class: "muted", role: "status" });
  const copy = element("button", { type: "button", title: "Copy the rows shown, to paste into a spreadsheet or a message. Sizes are in KB." }, "Copy");
  const save = element("button", { type: "button", title: "Save the rows shown as a CSV file. Sizes are in bytes." }, "Save CSV");
  copy.addEventListener("click", async () => {
    const copied = await copyText([...new TableExport(grid).text()].join(""));
    said.textContent = copied ? `Copied ${countText(grid.lines)} ${grid.lines === 1 ? "row" : "rows"}.` : "The browser does not allow copying.";
    grid.box.focus({ preventScroll: true });
  });
  save.addEventListener("click", () => {
    const title = document.querySelector(".topbar-title b").textContent.replace(/[^\w.-]+/g, "_");
    saveFile(`${title}-${name}.csv`, [...new TableExport(grid).csv()]);
  });
  host.replaceChildren(said, copy, save);
}
