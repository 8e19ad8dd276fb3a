"""Findings lead to the rows that prove them, and say what they mean in sentences without markup."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from support.maps import recorded

from dumpmap.analysis.rules import RULES
from dumpmap.model.types import TYPES
from dumpmap.render.html.proofs import SHOWS, proofs
from dumpmap.wording.findings import EXPLANATIONS, Finding, find
from dumpmap.wording.text import address_text, size_text
from render.conftest import OpenReport

if TYPE_CHECKING:
    from playwright.sync_api import Page

NAMES = (
    "fragment-x86.dmp.gz",
    "exhaust-x86.dmp.gz",
    "starve-x64.dmp.gz",
    "runtimes/node-22.dmp.gz",
    "runtimes/leaking-node-after.dmp.gz",
    "allocators/mimalloc-x86.dmp.gz",
    "layout-x64-plain.dmp.gz",
)


def test_every_finding_has_rows_to_show() -> None:
    assert set(SHOWS) == {rule.id for rule in RULES}


@pytest.mark.parametrize("name", NAMES)
def test_every_finding_of_a_recorded_dump_is_linked(name: str) -> None:
    region_map = recorded(name)
    for finding in find(region_map):
        links = proofs(finding, region_map)
        assert links, finding.id
        for link in links:
            if link.kind == "address":
                assert region_map.at(int(link.value, 16)) is not None
            if link.kind == "type":
                assert region_map.line(TYPES[int(link.value)].type).size


def test_places_that_the_map_does_not_have_are_not_linked() -> None:
    region_map = recorded("fragment-x86.dmp.gz")
    here = int(region_map.snapshot.modules[0].base)
    values = {"regions": [{"address": hex(here), "size": 4096}, {"address": "0x7fffffffffff", "size": 4096}] * 9}
    finding = Finding("executable-writable-memory", "info", "", "", values)
    found = [link for link in proofs(finding, region_map) if link.kind == "address"]
    assert [link.value for link in found] == [address_text(here, 8)]


@pytest.mark.parametrize("one", EXPLANATIONS)
def test_what_a_finding_means_is_whole_sentences(one: str) -> None:
    texts = EXPLANATIONS[one]
    for text in (texts.meaning, texts.why, texts.confirm, texts.advice):
        assert text[0].isupper() or text[0] in "`!"
        assert text[-1] == "."
        assert text.count("`") % 2 == 0
        assert not re.search(r"\*\*|\]\(|^\s*[-*#] |__", re.sub("`[^`]*`", "", text))


def open_all(page: Page) -> str:
    """Opens everything that folds; returns the text of the page outside code."""
    text: str = page.evaluate(
        """() => {
          for (const one of document.querySelectorAll("details")) one.open = true;
          const copy = document.querySelector("main").cloneNode(true);
          for (const code of copy.querySelectorAll("code, script")) code.remove();
          return copy.textContent;
        }"""
    )
    return text


@pytest.mark.chromium
@pytest.mark.parametrize("name", NAMES)
def test_no_markup_is_visible(open_report: OpenReport, name: str) -> None:
    page = open_report(recorded(name))
    page.click("#tab-input")
    text = open_all(page)
    assert "`" not in text
    assert "**" not in text
    assert "](" not in text


@pytest.mark.chromium
@pytest.mark.parametrize("name", NAMES)
def test_a_link_shows_its_rows(open_report: OpenReport, name: str) -> None:
    region_map = recorded(name)
    page = open_report(region_map, width=1440, height=900)
    links = page.locator("[data-proof]")
    assert links.count() >= len(find(region_map))
    for at in range(links.count()):
        link = links.nth(at)
        kind, value = link.get_attribute("data-proof"), link.get_attribute("data-value") or ""
        # What a reader filtered by before does not hide the proof.
        page.click("#tab-allocations")
        page.fill("#filter-text", "no such text")
        link.click()
        if kind == "input":
            assert page.is_visible("#panel-input")
            continue
        table = kind if kind in ("stacks", "heaps", "modules") else "allocations"
        rows = page.locator(f"#grid-{table} .grid-row")
        assert rows.count() > 0, (kind, value)
        box = rows.first.bounding_box()
        assert box is not None
        assert box["y"] < 900
        if kind == "address":
            chosen = page.locator("#grid-allocations .grid-row[aria-selected=true]")
            assert chosen.bounding_box() is not None
            assert region_map.at(int(value, 16)) is not None
            assert value in page.inner_text("#lookup-answer")
        elif kind == "type":
            info = TYPES[int(value)]
            blocks = region_map.regions.loc[region_map.regions["type"] == info.name, "allocation"]
            frame = region_map.allocations
            wanted = frame[(frame["type"] == info.name) | frame["address"].isin(blocks)]
            assert page.inner_text("#count-allocations").startswith(f"{len(wanted):,} of")
            assert size_text(int(wanted["size"].max())) in rows.first.inner_text()
        elif kind == "words":
            assert value in rows.first.inner_text() or rows.locator(f"text={value}").count() > 0
        elif value:
            assert value in rows.first.inner_text()
