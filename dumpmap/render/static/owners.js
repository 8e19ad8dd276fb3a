/* Owners: which rows a choice selects, and the color of each. */

const MODULES_COLOR = 0;
const OTHERS_COLOR = 6;
const NOBODY_COLOR = 7;
const inUse = (type) => type !== FREE && type !== UNUSABLE;

/**
 * Which allocations or blocks belong to a choice: `owner` (by name), `modules`, or `nobody`. Free space belongs to none.
 * @param columns RegionColumns
 */
function ownerHits(columns, { choice, value }) {
  const { owner, owner_module: module } = columns.texts;
  const isChosen = owner.values.map((name) => name === (choice === "owner" ? value : ""));
  const hits = new Uint8Array(columns.count);
  for (let i = 0; i < hits.length; i += 1) {
    if (choice === "modules") {
      const name = columns.text("owner", i);
      const isModule = name !== "" && name === module.values[module.codes[i]];
      hits[i] = isModule && !Object.hasOwn(data.owner_colors, name) ? 1 : 0;
    } else {
      hits[i] = isChosen[owner.codes[i]] && inUse(columns.type[i]) ? 1 : 0;
    }
  }
  return hits;
}

/** The color of a row or block in the map by owner. Free and unusable space keeps that of its type. */
function ownerColor(columns, index) {
  const type = columns.type[index];
  if (!inUse(type)) return type;
  const name = columns.text("owner", index);
  if (name === "") return NOBODY_COLOR;
  if (Object.hasOwn(data.owner_colors, name)) return data.owner_colors[name];
  return name === columns.text("owner_module", index) ? MODULES_COLOR : OTHERS_COLOR;
}

/** What a choice is called. */
const choiceText = ({ choice, value }) => ({ owner: value, modules: "Loaded modules", nobody: "No owner" })[choice];
