"""The report of one dump, reviewed in the diff; `--refresh-golden` writes it anew."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.pages import data_of, data_text, outline

import dumpmap
from dumpmap.api import RegionMap
from dumpmap.render.html import render_report, summary_fragment

GOLDEN = Path(__file__).parent / "golden"
ROOT = Path(__file__).parents[2]
FIXTURE = "tests/fixtures/layout-x86.dmp.gz"


CASES: dict[str, Callable[[RegionMap], str]] = {
    "report.txt": lambda region_map: outline(render_report(region_map)).replace(dumpmap.__version__, "VERSION"),
    "report-data.txt": lambda region_map: data_text(data_of(render_report(region_map))),
    "fragment.txt": lambda region_map: outline(summary_fragment(region_map)),
}


@pytest.mark.parametrize("name", CASES)
def test_the_report_is_as_reviewed(name: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    monkeypatch.chdir(ROOT)
    made = CASES[name](dumpmap.open(FIXTURE))
    path = GOLDEN / name
    if request.config.getoption("--refresh-golden"):
        path.write_text(made, encoding="utf-8")
    assert made == path.read_text(encoding="utf-8")
