"""What a notebook cell shows: HTML of maps, differences, timelines, findings, and verdicts; addresses in hex."""

from __future__ import annotations

import io
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from support.recorded import DUMPS, region_map
from support.scenes import MB, Scene
from synth.minidump import MEM_IMAGE

import dumpmap
from dumpmap.api.comparing import Diff, Timeline
from dumpmap.model.snapshot import Module
from dumpmap.wording.findings import find
from dumpmap.wording.verdicts import VERDICTS, verdict

HOSTILE = "C:\\<b>&lt;\x1b[2J\u202e\udcff<img src=x onerror=alert(1)>.dll"


class Page(HTMLParser):
    """The tags of a page, its cells, and whether tags are balanced."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.open.append(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def page(shown: Any) -> Page:
    text = shown._repr_html_()
    text.encode()
    made = Page(text)
    assert not made.open
    assert set(made.tags) <= {"div", "span", "table", "thead", "tbody", "tr", "th", "td"}
    assert made.attributes <= {"style"}
    return made


def leak() -> Diff:
    return dumpmap.diff(DUMPS["leak-x64-before"], DUMPS["leak-x64-after"])


def leaking() -> Timeline:
    return dumpmap.timeline([DUMPS["leak-x64-before"], DUMPS["leak-x64-after"]])


def test_the_form_of_a_difference() -> None:
    d = leak()
    text = page(d).text
    assert "leak-x64-before.dmp.gz -> leak-x64-after.dmp.gz: one process at two moments" in text
    assert "20 added" in text
    assert "--limit" not in page(dumpmap.diff(region_map("layout-x86"), region_map("layout-x64"))).text
    for name in d.summary().index:
        assert name in text
    committed = int(d.summary()["committed_delta"].to_dict()["Total"])
    assert f"{committed // 1024:,}" in text


def test_the_form_of_a_timeline() -> None:
    t = leaking()
    text = page(t).text
    assert "2 maps over" in text
    assert "Private Data" in text
    assert "Who took or gave back memory" in text
    assert repr(t).startswith("<Timeline: 2 maps over")
    assert len(repr(t)) < 200


def test_a_console_shows_a_timeline_and_a_verdict() -> None:
    console = Console(record=True, width=120, file=io.StringIO())
    console.print(leaking())
    console.print(region_map("fragment-x86").verdict)
    text = console.export_text()
    assert "2 maps over" in text
    assert "out-of-address-space" in text


@pytest.mark.parametrize("name", ["fragment-x86", "exhaust-x86", "starve-x64"])
def test_findings_and_verdict_in_words(name: str) -> None:
    m = region_map(name)
    findings = m.findings()
    assert findings == find(m)
    text = page(findings).text
    for finding in findings:
        assert finding.title in text
        assert finding.detail in text
        assert f"[{finding.id}]" in text
    judged = m.verdict
    assert judged.verdict in VERDICTS
    assert judged.to_dict() == verdict(m).to_dict()
    assert str(judged) == f"{judged.verdict}: {judged.sentence}"
    assert judged.sentence in page(judged).text
    assert page(judged).text.lstrip().startswith("Verdict")


def test_no_findings_is_an_empty_form() -> None:
    assert page(type(region_map("layout-x64").findings())()).text.strip() == ""


def test_texts_of_a_dump_are_escaped() -> None:
    def process(size: int) -> Any:
        scene = Scene(64)
        scene.allocate(size * MB, base=0x7FF600000000, type=MEM_IMAGE)
        return scene.map(modules=[Module(0x7FF600000000, size * MB, HOSTILE)])

    one, other = process(1), process(2)
    for shown in (dumpmap.diff(one, other), dumpmap.timeline([one, other])):
        text = page(shown).text
        assert "<img src=x onerror=alert(1)>" in text  # as text: `page` allows no such element
        assert "\x1b" not in text
        assert "\u202e" not in text


# ---------------------------------------------------------------- addresses


def test_addresses_to_look_at() -> None:
    m = region_map("layout-x64")
    frame = m.regions
    shown = dumpmap.hex_addresses(frame)
    assert list(shown.columns) == list(frame.columns)
    for column in ("allocation", "address"):
        assert [int(text, 16) for text in shown[column]] == frame[column].tolist()
        assert set(shown[column].str.len()) == {18}
        assert shown[column].is_monotonic_increasing
    assert frame["address"].dtype == np.dtype("uint64")  # the frame itself keeps its numbers
    assert shown["size"].equals(frame["size"])
    assert hex(m.allocations["address"].iloc[3])[2:] in repr(dumpmap.hex_addresses(m.allocations.head()))


def test_addresses_of_32_bits_are_shorter() -> None:
    shown = dumpmap.hex_addresses(region_map("layout-x86").allocations)
    assert set(shown["address"].str.len()) == {10}


def test_missing_addresses_stay_missing() -> None:
    d = leak()
    shown = dumpmap.hex_addresses(d.allocations)
    assert shown["address_a"].isna().tolist() == d.allocations["address_a"].isna().tolist()
    assert shown["address_a"].isna().any()
    owners = region_map("layout-x64").owners()
    assert dumpmap.hex_addresses(owners)["address"].isna().equals(owners["address"].isna())


def test_columns_can_be_named() -> None:
    frame = pd.DataFrame({"start": pd.array([(1 << 64) - 1, None], "UInt64"), "name": ["a", "b"]})
    assert dumpmap.hex_addresses(frame)["start"].equals(frame["start"])
    assert dumpmap.hex_addresses(frame, ["start"])["start"].tolist() == ["0xffffffffffffffff", pd.NA]
    with pytest.raises(ValueError, match="'name' is not a column of whole numbers"):
        dumpmap.hex_addresses(frame, ["name"])
    with pytest.raises(ValueError, match="'gone' is not a column"):
        dumpmap.hex_addresses(frame, ["gone"])
