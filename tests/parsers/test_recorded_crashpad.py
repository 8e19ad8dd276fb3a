"""A dump that Crashpad's own handler wrote, beside what its client printed of itself."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import dumpmap
from dumpmap.analysis.measurements import measurements_of
from dumpmap.api import RegionMap
from dumpmap.render.html import render_report
from dumpmap.wording.verdicts import verdict

FOLDER = Path(__file__).parents[1] / "fixtures" / "writers"


@cache
def recorded() -> tuple[RegionMap, dict[str, Any]]:
    """The map, and the truth."""
    truth = json.loads((FOLDER / "crashpad-x64.truth.json").read_text(encoding="utf-8"))
    return dumpmap.open(FOLDER / "crashpad-x64.dmp.gz"), truth


def test_every_kind_of_annotation_is_read() -> None:
    region_map, truth = recorded()
    writer = region_map.snapshot.writer
    assert writer is not None
    assert writer.writer == "Crashpad"
    found = {(one.module, one.name): one.value for one in writer.annotations}
    process: dict[str, str] = {"prod": "scene", "ver": "1.2.3.4", "ptype": "browser"}  # options of the handler
    of_module = {**truth["simple"], **truth["objects"]}
    assert {name: value for (module, name), value in found.items() if module is None} == process
    assert {name: value for (module, name), value in found.items() if module == "crashpad64.exe"} == of_module
    assert len(found) == len(process) + len(of_module)
    assert (writer.product, writer.version, writer.process_type) == ("scene", "1.2.3.4", "browser")


def test_the_failure_is_what_the_client_met() -> None:
    region_map, truth = recorded()
    exception, failure = region_map.snapshot.exception, measurements_of(region_map).failure
    assert exception is not None
    assert (hex(exception.code), exception.thread_id) == (truth["code"], truth["tid"])
    assert failure is not None
    assert failure.requested == truth["requested"]
    judged = verdict(region_map)
    assert judged.verdict == "out-of-memory"
    # The client ran out of commit, which a dump of Crashpad does not record.
    assert "More likely (inferred): commit" in judged.sentence


def test_crashpad_lists_the_regions_and_the_handles() -> None:
    region_map, truth = recorded()
    assert region_map.completeness == "map"
    assert (region_map.process.pid, region_map.process.name) == (truth["pid"], "crashpad64.exe")
    columns = region_map.allocation_columns
    assert int(columns.committed[columns.size == truth["requested"]].sum()) == truth["committed"]
    assert region_map.snapshot.handle_count == sum(region_map.snapshot.handle_types.values())


def test_what_is_shared_does_not_name_the_page() -> None:
    region_map, truth = recorded()
    assert truth["objects"]["url"] not in render_report(region_map)
    assert truth["objects"]["url"] in render_report(region_map, keep_text=True)


def test_a_snapshot_gives_the_same_failure(tmp_path: Path) -> None:
    region_map, truth = recorded()
    region_map.to_snapshot(tmp_path / "x.json")
    again = dumpmap.open(tmp_path / "x.json")
    failure = measurements_of(again).failure
    assert failure is not None
    assert failure.requested == truth["requested"]
    assert truth["objects"]["url"] not in (tmp_path / "x.json").read_text("utf-8")
    assert verdict(again).sentence == verdict(region_map).sentence
