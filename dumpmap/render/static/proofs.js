/* From a finding to the rows that prove it. */

/** Shows the rows of a link: at an address, of a type, with a text, or of another table. */
function showProof({ proof, value }) {
  if (proof === "address") {
    lookUp(value);
    return;
  }
  if (proof === "type" || proof === "words") {
    openTab("tab-allocations");
    byId("filter-size").value = "";
    byId("filter-text").value = proof === "words" ? value : "";
    chosen.clear();
    if (proof === "type") chosen.add(Number(value));
    setOwner(null);
    grids.allocations.sortDown("size");
    applyTypes();
  } else {
    openTab(`tab-${proof}`);
    const filter = document.querySelector(`.table-filter[data-table="${proof}"]`);
    if (filter !== null) {
      filter.value = value;
      filter.dispatchEvent(new Event("input"));
    }
  }
  showTables();
}

for (const link of document.querySelectorAll("[data-proof]")) {
  link.addEventListener("click", () => showProof(link.dataset));
}

followHash();

markReady();
