"""Dumps that arrive."""

from __future__ import annotations

import queue
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.triage import small_dump

from dumpmap.errors import InputError
from dumpmap.triage import Options, Row, watch

SETTLE = 0.4


class Watching:
    """A watch in a thread."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.stop = threading.Event()
        self.rows: queue.Queue[Row] = queue.Queue()
        settings = Options(engine="serial", cache=options.pop("cache", False))
        self._rows = watch(folder, settings, stop=self.stop, settle=SETTLE, **options)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        for row in self._rows:
            self.rows.put(row)

    def next(self, timeout: float = 15) -> Row:
        return self.rows.get(timeout=timeout)

    def nothing(self, seconds: float) -> bool:
        try:
            self.rows.get(timeout=seconds)
        except queue.Empty:
            return True
        return False

    def end(self) -> None:
        self.stop.set()
        self._thread.join(timeout=15)
        assert not self._thread.is_alive()


@pytest.fixture(params=["told", "polled"])
def how(request: pytest.FixtureRequest) -> dict[str, Any]:
    if request.param == "told":
        pytest.importorskip("watchfiles")
        return {}
    return {"poll": 0.2}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "inbox"
    place.mkdir()
    return place


@pytest.fixture
def watching(folder: Path, how: dict[str, Any]) -> Iterator[Watching]:
    (folder / "old.dmp").write_bytes(small_dump(pid=1))
    watching = Watching(folder, **how)
    assert watching.next()["pid"] == 1
    yield watching
    watching.end()


def test_a_new_dump_is_triaged(folder: Path, watching: Watching) -> None:
    (folder / "new.dmp").write_bytes(small_dump(pid=2))
    (folder / "notes.txt").write_text("not a dump")
    assert watching.next()["pid"] == 2
    assert watching.nothing(1.0)


def test_a_dump_is_not_read_before_it_is_complete(folder: Path, watching: Watching) -> None:
    data = small_dump(pid=3)
    began = time.monotonic()
    with (folder / "slow.dmp").open("wb") as file:
        for start in range(0, len(data), len(data) // 5 + 1):
            file.write(data[start : start + len(data) // 5 + 1])
            file.flush()
            time.sleep(SETTLE / 2)
    row = watching.next()
    assert (row["pid"], row["status"]) == (3, "ok")
    assert time.monotonic() - began > 4 * SETTLE / 2
    assert watching.nothing(0.8)


def test_a_dump_that_changes_is_triaged_again(folder: Path, watching: Watching) -> None:
    (folder / "old.dmp").write_bytes(small_dump(pid=10))
    assert watching.next()["pid"] == 10


def test_a_folder_that_is_moved_in(folder: Path, tmp_path: Path, watching: Watching) -> None:
    (tmp_path / "batch").mkdir()
    (tmp_path / "batch" / "a.dmp").write_bytes(small_dump(pid=20))
    (tmp_path / "batch").rename(folder / "batch")
    assert watching.next()["pid"] == 20


def test_a_file_that_vanishes_is_forgotten(folder: Path, watching: Watching) -> None:
    (folder / "brief.dmp").write_bytes(small_dump(pid=30))
    (folder / "brief.dmp").unlink()
    (folder / "after.dmp").write_bytes(small_dump(pid=31))
    assert watching.next()["pid"] == 31


@pytest.mark.parametrize("removed", [True, False])
def test_a_folder_that_is_made_anew(
    folder: Path, how: dict[str, Any], removed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["dumpmap.triage.watch"], "POLL", 0.3)
    (folder / "old.dmp").write_bytes(small_dump(pid=1))
    watching = Watching(folder, **how)
    try:
        assert watching.next()["pid"] == 1
        time.sleep(0.5)
        if removed:
            shutil.rmtree(folder)
        else:
            folder.rename(folder.parent / "kept")  # another folder of its name cannot have its inode
        time.sleep(0.7)
        folder.mkdir()
        (folder / "first.dmp").write_bytes(small_dump(pid=40))
        assert watching.next()["pid"] == 40
        (folder / "second.dmp").write_bytes(small_dump(pid=41))
        assert watching.next()["pid"] == 41
    finally:
        watching.end()


def test_only_new_dumps(folder: Path, how: dict[str, Any]) -> None:
    (folder / "old.dmp").write_bytes(small_dump(pid=1))
    watching = Watching(folder, existing=False, **how)
    try:
        time.sleep(0.7)
        (folder / "new.dmp").write_bytes(small_dump(pid=2))
        assert watching.next()["pid"] == 2
    finally:
        watching.end()


def test_results_are_kept(folder: Path, tmp_path: Path) -> None:
    (folder / "old.dmp").write_bytes(small_dump(pid=1))
    for cached in (False, True):
        time.sleep(SETTLE)
        watching = Watching(folder, poll=0.2, cache=tmp_path / "cache")
        assert watching.next()["cached"] is cached
        watching.end()


def test_closing_the_generator_ends_it(folder: Path) -> None:
    (folder / "old.dmp").write_bytes(small_dump())
    time.sleep(0.1)
    rows = watch(folder, Options(jobs=1, cache=False), settle=0.05)
    assert next(rows)["status"] == "ok"
    rows.close()  # type: ignore[attr-defined]


def test_worker_processes_serve_a_watch(folder: Path) -> None:
    for index in range(30):
        (folder / f"{index}.dmp").write_bytes(small_dump(pid=index + 1))
    stop = threading.Event()
    seen = []
    for row in watch(folder, Options(jobs=2, cache=False), stop=stop, settle=0.05, poll=0.2):
        seen.append(row["pid"])
        if len(seen) == 30:
            stop.set()
    assert sorted(seen) == list(range(1, 31))


def test_only_folders_can_be_watched(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a folder"):
        next(watch(tmp_path / "nothing"))
