/* A table that holds only the rows in sight. Every row is one line of fixed height, so any number of rows scrolls. */

const ROW_HEIGHT = 26;
/* Browsers limit heights to some ten million pixels. A longer table scrolls by more than the scroll bar moves. */
const MOST_PIXELS = 8000000;
const PRINTED_ROWS = 200;

class Grid {
  /**
   * @param host the element that it is appended to
   * @param rows MemoryRows or TableRows
   * @param options label, onSelect(row, child, address), onAddress(text), sort (the name of the column to begin with),
   *   leaving (names of columns that leave where the table is too narrow, the first first), onLeave(titles)
   */
  constructor(host, rows, options) {
    this.rows = rows;
    this.options = options;
    this.order = Uint32Array.from({ length: rows.count }, (_, index) => index);
    this.leaving = new Set();
    this.expanded = new Set();
    this.twists = rows.children !== null;
    this.selected = null;
    this.sort = { name: null, direction: 1 };
    this.printing = false;
    this.build(host);
    if (options.sort !== undefined) this.sortDown(options.sort);
    this.applySort();
    this.fit();
    this.layout();
    this.render();
  }

  build(host) {
    this.head = element("div", { class: "grid-head", role: "row", "aria-rowindex": 1 });
    this.heads = this.rows.columns.map((column, index) => {
      const button = element("button", { type: "button", tabindex: -1, title: column.help }, element("span", {}, column.title));
      button.addEventListener("click", () => this.sortBy(column.name));
      const cell = element("div", {
        role: "columnheader",
        "aria-sort": "none",
        "aria-colindex": index + 1,
        class: `${index === 0 ? "first " : ""}${isNumeric(column) ? "num" : ""}`,
      }, button);
      this.head.append(cell);
      return cell;
    });
    this.heads.forEach((cell) => { cell.firstChild.tabIndex = 0; });
    this.window = element("div", { class: "grid-window", role: "rowgroup" });
    this.space = element("div", { class: "grid-space", role: "presentation" }, this.window);
    this.box = element("div", {
      class: this.twists ? "grid" : "grid flat",
      role: "treegrid",
      tabindex: 0,
      "aria-label": this.options.label,
      "aria-colcount": this.rows.columns.length,
    }, element("div", { class: "grid-top", role: "rowgroup" }, this.head), this.space);
    this.id = host.id;
    host.append(this.box);
    this.widths = this.rows.columns.map((column, index) => columnWidth(this.rows, column, index === 0 && this.twists ? TWIST_WIDTH : 0));
    this.box.addEventListener("scroll", () => this.requestRender(), { passive: true });
    this.box.addEventListener("keydown", (event) => this.onKey(event));
    this.window.addEventListener("click", (event) => this.onClick(event));
    this.window.addEventListener("dblclick", (event) => this.onDoubleClick(event));
    new ResizeObserver(() => {
      if (this.fit()) this.render();
      else this.requestRender();
    }).observe(this.box);
  }

  /** Lets columns leave, in the order of `options.leaving`, until the others fit; returns whether this changes anything. */
  fit() {
    const room = this.box.clientWidth;
    if (room === 0 || this.printing) return false;
    const leaving = new Set();
    let least = this.widths.reduce((sum, width) => sum + width.least, 0);
    for (const name of this.options.leaving || []) {
      const index = this.rows.columns.findIndex((column) => column.name === name);
      if (least <= room || index < 0) continue;
      leaving.add(index);
      least -= this.widths[index].least;
    }
    if (this.fitted && leaving.size === this.leaving.size && [...leaving].every((index) => this.leaving.has(index))) return false;
    this.fitted = true;
    this.leaving = leaving;
    this.setWidths(false);
    if (this.options.onLeave) this.options.onLeave([...leaving].sort((a, b) => a - b).map((index) => this.rows.columns[index].title));
    return true;
  }

  /** On screen, columns have the width they need and scroll sideways; on paper, all share the page's width. */
  setWidths(shared) {
    const shown = this.widths.filter((_, index) => shared || !this.leaving.has(index));
    const css = shown.map((width) => (shared ? `minmax(0, ${width.least}fr)` : width.css));
    this.box.style.setProperty("--columns", css.join(" "));
    this.box.style.setProperty("--least", shared ? "0" : `${shown.reduce((sum, width) => sum + width.least, 0)}px`);
    this.heads.forEach((cell, index) => { cell.hidden = !shared && this.leaving.has(index); });
  }

  /** Names sort up first, numbers down: readers look for the largest. */
  firstDirection(name) {
    const column = this.rows.columns.find((candidate) => candidate.name === name);
    return ["size", "delta", "count"].includes(column.holds) ? -1 : 1;
  }

  /** Sets the rows to show; the chosen sorting applies to them. */
  setRows(found) {
    this.found = found;
    this.applySort();
    this.layout();
    this.render();
  }

  sortBy(name) {
    if (this.sort.name !== name) this.sortDown(name);
    else this.sort = { name, direction: -this.sort.direction };
    this.applySort();
    this.layout();
    this.box.scrollTop = 0;
    this.render();
  }

  /** Sorts the largest first, or the first of texts; `setRows` applies it. */
  sortDown(name) {
    this.sort = { name, direction: this.firstDirection(name) };
  }

  applySort() {
    const order = Uint32Array.from(this.found || this.order);
    const { name, direction } = this.sort;
    this.heads.forEach((cell, index) => {
      const own = this.rows.columns[index].name === name;
      cell.setAttribute("aria-sort", own ? (direction > 0 ? "ascending" : "descending") : "none");
    });
    if (name !== null) {
      const keys = this.rows.sortKeys(name);
      if (keys === null) {
        order.sort();
        if (direction < 0) order.reverse();
      } else {
        // Unknown values come last in both directions; equal rows keep their order.
        order.sort((a, b) => {
          const [x, y] = [keys[a], keys[b]];
          if (x === y) return a - b;
          if (Number.isNaN(x)) return Number.isNaN(y) ? a - b : 1;
          if (Number.isNaN(y)) return -1;
          return direction * (x - y);
        });
      }
    }
    this.order = order;
  }

  /** Assigns lines to rows: `starts[i]` is the line of the i-th row. */
  layout() {
    const { order, rows, expanded } = this;
    this.starts = new Float64Array(order.length + 1);
    for (let i = 0; i < order.length; i += 1) {
      this.starts[i + 1] = this.starts[i] + 1 + (expanded.has(order[i]) ? rows.childCount(order[i]) : 0);
    }
    this.lines = this.starts[order.length];
    this.height = Math.min(this.lines * ROW_HEIGHT, MOST_PIXELS);
    this.space.style.height = `${this.height}px`;
    this.box.setAttribute("aria-rowcount", this.lines + 1);
    this.places = null;
  }

  /** The row and block on a line. */
  at(line) {
    let low = 0;
    let high = this.order.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.starts[middle] <= line) low = middle;
      else high = middle - 1;
    }
    return { place: low, row: this.order[low], child: line - this.starts[low] - 1 };
  }

  /** The line of a row or block, -1 where it is not shown. */
  lineOf(row, child) {
    if (this.places === null) {
      this.places = new Int32Array(this.rows.count).fill(-1);
      for (let i = 0; i < this.order.length; i += 1) this.places[this.order[i]] = i;
    }
    const place = this.places[row];
    if (place < 0 || (child >= 0 && !this.expanded.has(row))) return -1;
    return this.starts[place] + 1 + child;
  }

  requestRender() {
    if (this.pending) return;
    this.pending = true;
    requestAnimationFrame(() => {
      this.pending = false;
      this.render({ fresh: false });
    });
  }

  /** The scroll position in true pixels, of which a very long table has more than the browser allows. */
  position() {
    const view = this.box.clientHeight - this.head.offsetHeight;
    const room = this.height - view;
    const trueRoom = this.lines * ROW_HEIGHT - view;
    const ratio = room > 0 && trueRoom > room ? trueRoom / room : 1;
    const { scrollTop } = this.box;
    return { view, ratio, scrollTop, top: scrollTop * ratio };
  }

  /** Draws the rows in sight; with `fresh` false it keeps those already drawn. */
  render({ fresh = true } = {}) {
    if (this.box.offsetParent === null && !this.printing) return;
    // Measure everything before changing anything; otherwise the browser lays out the page twice.
    const { view, scrollTop, top } = this.position();
    const first = this.printing ? 0 : Math.max(0, Math.floor(top / ROW_HEIGHT) - 8);
    const last = this.printing
      ? Math.min(this.lines, PRINTED_ROWS)
      : Math.min(this.lines, Math.ceil((top + view) / ROW_HEIGHT) + 8);
    const keep = !fresh && this.drawn !== undefined && first < this.drawn.last && last > this.drawn.first;
    if (keep) this.shift(first, last);
    else this.redraw(first, last);
    this.drawn = { first, last };
    this.window.style.top = this.printing ? "0" : `${scrollTop + first * ROW_HEIGHT - top}px`;
    const height = this.printing ? "auto" : `${this.lines === 0 ? 60 : this.height}px`;
    if (this.space.style.height !== height) this.space.style.height = height;
    const line = this.selected === null ? -1 : this.lineOf(this.selected.row, this.selected.child);
    if (line >= first && line < last) this.box.setAttribute("aria-activedescendant", `${this.id}-${line}`);
    else this.box.removeAttribute("aria-activedescendant");
  }

  redraw(first, last) {
    const fragment = document.createDocumentFragment();
    for (let line = first; line < last; line += 1) fragment.append(this.rowElement(line));
    if (this.lines === 0) fragment.append(element("div", { class: "grid-empty" }, "No rows match."));
    if (this.printing && last < this.lines) {
      fragment.append(element("div", { class: "grid-empty" },
        `The first ${countText(last)} of ${countText(this.lines)} rows, as filtered and sorted on screen.`));
    }
    this.window.replaceChildren(fragment);
  }

  /** Removes the rows that went out of sight and draws those that came into it. */
  shift(first, last) {
    const { drawn } = this;
    for (let line = drawn.first; line < Math.min(first, drawn.last); line += 1) this.window.firstChild.remove();
    for (let line = drawn.last; line > Math.max(last, drawn.first); line -= 1) this.window.lastChild.remove();
    const before = document.createDocumentFragment();
    for (let line = first; line < Math.min(drawn.first, last); line += 1) before.append(this.rowElement(line));
    this.window.prepend(before);
    const after = document.createDocumentFragment();
    for (let line = Math.max(drawn.last, first); line < last; line += 1) after.append(this.rowElement(line));
    this.window.append(after);
  }

  rowElement(line) {
    const { row, child } = this.at(line);
    const children = child < 0 ? this.rows.childCount(row) : 0;
    const open = children > 0 && this.expanded.has(row);
    const selected = this.selected !== null && this.selected.row === row && this.selected.child === child;
    const made = element("div", {
      class: child < 0 ? "grid-row" : "grid-row child",
      role: "row",
      id: `${this.id}-${line}`,
      "aria-rowindex": line + 2,
      "aria-level": child < 0 ? 1 : 2,
      "aria-expanded": children > 0 ? String(open) : null,
      "aria-selected": String(selected),
    });
    made.dataset.line = line;
    this.rows.columns.forEach((column, index) => {
      if (this.leaving.has(index) && !this.printing) return;
      let value = this.rows.value(row, child, column.name);
      // The blocks of a file or heap repeat its name: once is enough.
      if (column.name === "details" && child >= 0 && value === this.rows.value(row, -1, "details")) value = "";
      const cell = element("div", { role: "gridcell", "aria-colindex": index + 1 });
      if (isNumeric(column)) cell.className = "num";
      if (index === 0) {
        cell.className = "first";
        if (this.twists) cell.append(children > 0
          ? element("button", { type: "button", class: "twist", tabindex: -1, "aria-label": open ? "Collapse" : "Expand" }, open ? "▼" : "▶")
          : element("span", { class: "twist" }));
      }
      const inferred = column.holds === "evidence" && this.rows.value(row, child, "inferred");
      const bound = this.rows.bound === undefined ? "" : this.rows.bound(row, child, column.name);
      fillCell(cell, column, value, { linked: this.options.onAddress !== undefined, inferred, bound });
      made.append(cell);
    });
    return made;
  }

  toggle(row, open = !this.expanded.has(row)) {
    if (this.rows.childCount(row) === 0) return;
    if (open) this.expanded.add(row);
    else this.expanded.delete(row);
    if (!open && this.selected !== null && this.selected.row === row) this.selected.child = -1;
    this.layout();
    this.render();
  }

  /** Expands or collapses all rows shown. */
  toggleAll(open) {
    this.expanded.clear();
    if (open) for (const row of this.order) if (this.rows.childCount(row) > 0) this.expanded.add(row);
    if (!open && this.selected !== null) this.selected.child = -1;
    this.layout();
    this.render();
  }

  /** Selects a row or block; `reveal` is how to scroll to it: "near", "middle", or "no". */
  select(row, child, { reveal = "near", address = null } = {}) {
    this.selected = { row, child };
    if (child >= 0 && !this.expanded.has(row)) {
      this.expanded.add(row);
      this.layout();
    }
    const line = this.lineOf(row, child);
    if (line >= 0 && reveal !== "no") {
      const { view, ratio, top } = this.position();
      if (reveal === "middle") this.box.scrollTop = (line * ROW_HEIGHT - view / 2) / ratio;
      else if (line * ROW_HEIGHT < top) this.box.scrollTop = (line * ROW_HEIGHT) / ratio;
      else if ((line + 1) * ROW_HEIGHT > top + view) this.box.scrollTop = ((line + 1) * ROW_HEIGHT - view) / ratio;
    }
    this.render();
    if (this.options.onSelect) this.options.onSelect(row, child, address);
  }

  onClick(event) {
    const target = event.target.closest(".grid-row");
    if (target === null) return;
    const { row, child } = this.at(Number(target.dataset.line));
    if (event.target.closest("button.twist") !== null) {
      this.toggle(row);
      return;
    }
    const link = event.target.closest("[data-address]");
    if (link !== null) {
      this.options.onAddress(link.dataset.address);
      return;
    }
    // A new selection redraws the rows, which would lose a text that the reader is marking to copy.
    if (String(getSelection()) === "") this.select(row, child, { reveal: "no" });
  }

  onDoubleClick(event) {
    const target = event.target.closest(".grid-row");
    if (target !== null && event.target.closest("button") === null) this.toggle(this.at(Number(target.dataset.line)).row);
  }

  onKey(event) {
    if (event.target !== this.box || event.ctrlKey || event.metaKey || event.altKey || this.lines === 0) return;
    const line = this.selected === null ? -1 : this.lineOf(this.selected.row, this.selected.child);
    const page = Math.max(1, Math.floor(this.position().view / ROW_HEIGHT) - 1);
    const steps = { ArrowDown: line + 1, ArrowUp: line - 1, PageDown: line + page, PageUp: line - page, Home: 0, End: this.lines - 1 };
    if (event.key in steps) {
      const { row, child } = this.at(Math.min(this.lines - 1, Math.max(0, steps[event.key])));
      this.select(row, child);
    } else if (line >= 0) {
      const { row, child } = this.at(line);
      const open = this.expanded.has(row);
      if (event.key === "ArrowRight" && child < 0) {
        if (!open) this.toggle(row, true);
        else if (this.rows.childCount(row) > 0) this.select(row, 0);
      } else if (event.key === "ArrowLeft") {
        if (child >= 0) this.select(row, -1);
        else if (open) this.toggle(row, false);
      } else if (event.key === "Enter" && this.options.onAddress !== undefined) {
        const column = this.rows.columns.find((candidate) => candidate.holds === "address");
        const value = column === undefined ? null : this.rows.value(row, child, column.name);
        if (value !== null) this.options.onAddress(addressText(value));
      } else if (event.key === "Enter" || event.key === " ") {
        if (child < 0) this.toggle(row);
      } else {
        return;
      }
    } else {
      return;
    }
    event.preventDefault();
  }

  /** On paper a table shows its first rows, all at once. */
  print(on) {
    this.printing = on;
    this.box.classList.toggle("print", on);
    this.setWidths(on);
    this.render();
  }
}
