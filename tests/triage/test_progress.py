"""What a run reports while it is under way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.triage import remarks, small_dump

from dumpmap.cli import app, triage_run
from dumpmap.render.progress import LineProgress, progress_line
from dumpmap.triage import State
from dumpmap.triage.batch import run
from dumpmap.triage.result import TriageResult
from dumpmap.wording.text import rate_words


@pytest.mark.parametrize(
    ("state", "line"),
    [
        ({}, "progress: 0 of at least 0 files"),
        ({"found": 2000, "done": 1000}, "progress: 1,000 of at least 2,000 files, 100 files/s"),
        (
            {"found": 2000, "done": 1000, "listed": True, "critical": 3, "errors": 1200},
            "progress: 1,000 of 2,000 files, 100 files/s, 10 s left, 3 critical, 1,200 unreadable",
        ),
        ({"found": 5, "done": 4, "listed": True}, "progress: 4 of 5 files, 2 s left"),
        ({"found": 12, "done": 11}, "progress: 11 of at least 12 files, 1 file/s"),
        ({"found": 20, "done": 5, "listed": True}, "progress: 5 of 20 files, 30 s left"),
        (
            {"found": 1, "listed": True, "hindrance": "the Dask cluster has no workers"},
            "progress: 0 of 1 file; the Dask cluster has no workers",
        ),
    ],
)
def test_the_line_of_progress(state: dict[str, Any], line: str) -> None:
    assert progress_line(State(**state), 10.0) == line


@pytest.mark.parametrize(
    ("files", "seconds", "words"),
    [
        (2512, 0.99, ""),
        (2512, 1.0, "2,512 files/s"),
        (4, 1.0, ""),
        (5, 1.0, "5 files/s"),
        (5, 5.0, "1 file/s"),
        (5, 60.0, ""),
    ],
)
def test_a_rate_is_said_where_it_says_something(files: int, seconds: float, words: str) -> None:
    assert rate_words(files, seconds) == words


@pytest.mark.parametrize(("seconds", "end"), [(0.0, ""), (0.04, "; 0.0 s"), (2.0, "; 2.0 s, 3 files/s")])
def test_the_end_of_a_run_says_how_long_it_took(
    seconds: float, end: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for index in range(6):
        (tmp_path / f"{index}.dmp").write_bytes(small_dump(pid=index + 1))

    def batch(*arguments: Any, **options: Any) -> TriageResult:
        result = run(*arguments, **options)
        result.seconds = seconds
        return result

    monkeypatch.setattr(triage_run, "run", batch)
    arguments = ["triage", str(tmp_path), "--engine", "serial", "--no-cache", "-o", str(tmp_path / "rows.csv")]
    assert app.run(arguments) == 0
    assert remarks(capsys.readouterr().err) == f"dumpmap: 6 files{end}\n"


def test_a_line_now_and_then() -> None:
    said: list[str] = []
    for interval, lines in ((3600.0, 0), (0.0, 2)):
        display = LineProgress(said.append, interval)
        for done in (1, 2):
            display.update(State(found=2, done=done))
        assert len(said) == lines
    assert remarks("".join(f"dumpmap: {line}\n" for line in [*said, "2 files"])) == "dumpmap: 2 files\n"
