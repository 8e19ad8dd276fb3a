"""A series without a count, on a simulated clock."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest

from dumpmap.capture import series as module
from dumpmap.capture.facts import CaptureOptions, LiveFacts, ProcessExitedError
from dumpmap.capture.series import CaptureSeries, capture_to_files
from dumpmap.capture.standalone import main
from dumpmap.cli.app import run
from dumpmap.errors import OutputError


class World:
    """A clock that only sleeping moves, and a process on that clock."""

    label = "app (42)"
    pid = 42

    def __init__(self) -> None:
        self.now = 1000.0
        self.ends = float("inf")
        self.interrupted = float("inf")
        self.interrupted_in = "sleep"
        self.costs = 0.0
        self.captured: list[float] = []
        self.closed = 0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self._pass(seconds, "sleep")

    def _pass(self, seconds: float, what: str) -> None:
        self.now += seconds
        if self.now >= self.interrupted and what == self.interrupted_in:
            raise KeyboardInterrupt

    def is_running(self) -> bool:
        return self.now < self.ends

    def capture(self, options: CaptureOptions) -> LiveFacts:
        if not self.is_running():
            raise ProcessExitedError("the process has exited", source=self.label)
        self.captured.append(self.now - 1000)
        self._pass(self.costs, "capture")
        moment = dt.datetime.fromtimestamp(self.now, dt.UTC)
        process = {"pid": 42, "name": "app", "architecture": "x64", "pointer_size": 8, "wow64": False}
        return LiveFacts(moment, process | {"os": {"family": "windows"}})

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()
    monkeypatch.setattr(module, "time", made)
    monkeypatch.setattr(module, "open_process", lambda target: made)
    return made


def endless(folder: Path, **options: Any) -> CaptureSeries:
    return capture_to_files(42, folder / "a.json", count=None, interval=60, **options)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_it_goes_on_until_the_process_ends(world: World, tmp_path: Path) -> None:
    world.ends = 1000 + 150
    series = endless(tmp_path)
    assert world.captured == pytest.approx([0, 60, 120])
    assert series.ended == "the process exited after 3 captures"
    assert names(tmp_path) == ["a-0001.json", "a-0002.json", "a-0003.json"]
    assert [Path(path).name for path in series.paths] == names(tmp_path)
    assert json.loads((tmp_path / "a-0003.json").read_text())["process"]["pid"] == 42
    assert world.closed == 1


@pytest.mark.parametrize("where", ["sleep", "capture"])
def test_it_goes_on_until_it_is_interrupted(world: World, tmp_path: Path, where: str) -> None:
    world.interrupted, world.interrupted_in, world.costs = 1000 + 61, where, 2
    series = endless(tmp_path)
    # The second one starts at 60 seconds and takes two: stopped in its midst it leaves no file.
    written = 1 if where == "capture" else 2
    assert series.ended == f"stopped after {written} capture{'s' if written > 1 else ''}"
    assert len(series.paths) == len(names(tmp_path)) == written
    assert world.closed == 1


def test_stopped_before_the_first_it_is_interrupted(world: World, tmp_path: Path) -> None:
    world.interrupted, world.interrupted_in, world.costs = 0, "capture", 1
    with pytest.raises(KeyboardInterrupt):
        endless(tmp_path)
    assert names(tmp_path) == []
    assert world.closed == 1


def test_one_with_a_count_that_is_stopped_is_interrupted(world: World, tmp_path: Path) -> None:
    world.interrupted = 1000 + 61
    with pytest.raises(KeyboardInterrupt):
        capture_to_files(42, tmp_path / "a.json", count=9, interval=60)
    assert len(names(tmp_path)) == 2


def test_a_capture_that_takes_longer_than_the_interval_does_not_pile_up(world: World, tmp_path: Path) -> None:
    world.costs, world.ends = 90, 1000 + 400
    endless(tmp_path)
    assert world.captured == pytest.approx([0, 90, 180, 270, 360])


def test_more_than_ten_thousand(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "write_document", lambda document, path, force: None)
    world.ends = 1000 + 60 * 10_001 - 1
    series = endless(tmp_path)
    assert [Path(path).name for path in series.paths[-2:]] == ["a-10000.json", "a-10001.json"]


def test_files_of_an_earlier_series_are_not_run_into_later(world: World, tmp_path: Path) -> None:
    (tmp_path / "a-0007.json").write_text("precious")
    with pytest.raises(OutputError, match=r"a-0007\.json: already exists"):
        endless(tmp_path)
    assert world.captured == []
    world.ends = 1000 + 100
    endless(tmp_path, force=True)
    assert names(tmp_path) == ["a-0001.json", "a-0002.json", "a-0007.json"]
    for other in ("a-x.json", "ab-0001.json", "a-0001.json.gz", "b-0009.json"):
        (tmp_path / other).touch()
    with pytest.raises(ValueError, match="a file name"):
        capture_to_files(42, "-", count=None)


@pytest.mark.parametrize("interval", [0, -1, float("inf"), float("nan")])
def test_intervals_that_are_none(tmp_path: Path, interval: float) -> None:
    with pytest.raises(ValueError, match="interval"):
        capture_to_files(42, tmp_path / "a.json", count=None, interval=interval)


def test_the_command_lines(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    world.ends = 1000 + 150
    target = ["42", "-o", str(tmp_path / "a.json"), "--interval", "60"]
    assert run(["-q", "capture", *target]) == 0
    assert names(tmp_path) == ["a-0001.json", "a-0002.json", "a-0003.json"]
    world.now, world.interrupted = 1000, 1000 + 100
    assert main([*target, "--force", "-q"]) == 0
    assert capsys.readouterr().err == "dumpmap: app (42): stopped after 2 captures\n"
    world.now, world.interrupted = 1000, float("inf")
    assert run(["capture", *target, "--force"]) == 0
    assert capsys.readouterr().err.endswith("dumpmap: app (42): the process exited after 3 captures\n")
    assert run(["capture", "42", "-o", str(tmp_path / "b.json"), "--interval", "0"]) == 2
