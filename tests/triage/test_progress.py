"""What a run reports while it is under way."""

from __future__ import annotations

from typing import Any

import pytest
from support.triage import remarks

from dumpmap.render.progress import LineProgress, progress_line
from dumpmap.triage import State


@pytest.mark.parametrize(
    ("state", "line"),
    [
        ({}, "progress: 0 of at least 0 files, 0 files/s"),
        ({"found": 2000, "done": 1000}, "progress: 1,000 of at least 2,000 files, 100 files/s"),
        (
            {"found": 2000, "done": 1000, "listed": True, "critical": 3, "errors": 1200},
            "progress: 1,000 of 2,000 files, 100 files/s, 10 s left, 3 critical, 1,200 unreadable",
        ),
        (
            {"found": 1, "listed": True, "hindrance": "the Dask cluster has no workers"},
            "progress: 0 of 1 files, 0 files/s; the Dask cluster has no workers",
        ),
    ],
)
def test_the_line_of_progress(state: dict[str, Any], line: str) -> None:
    assert progress_line(State(**state), 10.0) == line


def test_a_line_now_and_then() -> None:
    said: list[str] = []
    for interval, lines in ((3600.0, 0), (0.0, 2)):
        display = LineProgress(said.append, interval)
        for done in (1, 2):
            display.update(State(found=2, done=done))
        assert len(said) == lines
    assert remarks("".join(f"dumpmap: {line}\n" for line in [*said, "2 files"])) == "dumpmap: 2 files\n"
