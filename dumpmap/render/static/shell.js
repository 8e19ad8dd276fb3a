/* What every page has: help, the color scheme, and print. */

const help = byId("help");
byId("help-open").addEventListener("click", () => help.showModal());
help.addEventListener("click", (event) => { if (event.target === help) help.close(); });

/** Whether a key belongs to a field, to the help, or to the browser. */
const isTyping = (event) => event.ctrlKey || event.metaKey || event.altKey || help.open
  || event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement;

document.addEventListener("keydown", (event) => {
  if (event.key === "?" && !isTyping(event)) help.showModal();
});

/** Makes `/` go to a field. */
function focusOnSlash(id) {
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || isTyping(event)) return;
    event.preventDefault();
    byId(id).select();
    byId(id).focus();
  });
}

/** Names the columns of a table that left it for lack of room. */
function nameLeftOut(titles) {
  byId("left-out").hidden = titles.length === 0;
  byId("left-out").textContent = `Left out for lack of room: ${titles.join(", ")}. Select a row to see them.`;
}

/** A button that closes the panel with the details of a row, as Escape does; `back` then has the focus. */
function closeButton(panel, back) {
  const button = element("button", { type: "button", "aria-label": "Close details" }, "Close");
  const close = () => {
    panel.hidden = true;
    back.focus({ preventScroll: true });
  };
  button.addEventListener("click", close);
  panel.onkeydown = (event) => { if (event.key === "Escape") close(); };
  return button;
}

/** Shows the panel with the details of a row; where it is a sheet over the page, the row stays in view above it. */
function showDetails(panel, grid) {
  panel.hidden = false;
  panel.scrollTop = 0;
  const row = grid.box.querySelector("[aria-selected=true]");
  if (row === null || getComputedStyle(panel).position !== "fixed") return;
  const hidden = row.getBoundingClientRect().bottom - panel.getBoundingClientRect().top;
  if (hidden > 0) scrollBy(0, hidden + 8);
}

/** Adds a label and its text, or several lines of text, to a list of facts; nothing for what is blank or unknown. */
function addFact(list, label, text, wide = false) {
  if (text === "" || text === null) return;
  list.append(element("div", wide ? { class: "wide" } : {}, element("dt", {}, label),
    ...[].concat(text).map((line) => element("dd", {}, line))));
}

const themes = ["auto", "light", "dark"];
let theme = "auto";
const themed = [];

/** Calls back whenever the colors change. */
function onTheme(draw) {
  themed.push(draw);
}

function setTheme(name) {
  if (name === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
  for (const draw of themed) draw();
}

byId("theme").addEventListener("click", () => {
  theme = themes[(themes.indexOf(theme) + 1) % themes.length];
  byId("theme").textContent = `Theme: ${theme}`;
  setTheme(theme);
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { for (const draw of themed) draw(); });

/** Calls back with true before printing and with false afterwards. Paper is light. */
function onPrint(print) {
  addEventListener("beforeprint", () => {
    setTheme("light");
    print(true);
  });
  addEventListener("afterprint", () => {
    print(false);
    setTheme(theme);
  });
}

const rowsText = (shown, all) => (shown === all ? `${countText(all)} rows` : `${countText(shown)} of ${countText(all)} rows`);

/** Notes for a reader of the page's state that everything is drawn, and after how many milliseconds. */
function markReady() {
  document.documentElement.dataset.ready = String(Math.round(performance.now()));
}
