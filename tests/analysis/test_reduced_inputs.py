"""A diagnosis is the same from a dump and from the JSON snapshot that it was reduced to."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.scenes import FIXTURES

import dumpmap
from dumpmap.wording.findings import find
from dumpmap.wording.verdicts import verdict
from dumpmap.writers.snapshot_file import save_snapshot

NAMES = sorted(path.name.split(".")[0] for path in FIXTURES.glob("*.dmp*"))


@pytest.mark.parametrize("name", NAMES)
def test_findings_and_verdict_survive(name: str, tmp_path: Path) -> None:
    original = dumpmap.open(next(FIXTURES.glob(f"{name}.dmp*")))
    save_snapshot(original, tmp_path / "small.json")
    reduced = dumpmap.open(tmp_path / "small.json")
    assert [(one.id, one.severity, one.detail) for one in find(reduced)] == [
        (one.id, one.severity, one.detail) for one in find(original)
    ]
    judged, wanted = verdict(reduced), verdict(original)
    assert (judged.verdict, judged.sentence) == (wanted.verdict, wanted.sentence)
    assert len(dumpmap.diff(original, reduced).changes) == 0
