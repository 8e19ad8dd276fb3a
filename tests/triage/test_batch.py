"""Batches: engines, limits, the cache, and what is left when a run is killed."""

from __future__ import annotations

import importlib
import inspect
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import zstandard
from pebble import ProcessExpired
from support.triage import MB, partial_dump, small_dump, starved_dump

import dumpmap
from dumpmap.errors import DumpmapError, OutputError
from dumpmap.parsers import recognition
from dumpmap.triage import EngineError, Options, Row, State, exit_code, iterate, resources, run, select, triage
from dumpmap.triage.cache import Cache, default_path
from dumpmap.triage.columns import COLUMNS
from dumpmap.triage.jobs import Job, local_job
from dumpmap.triage.outcome import Outcome
from dumpmap.triage.process_engine import BUNDLE, BUNDLE_SIZE, ProcessEngine, memory_text, time_text
from dumpmap.triage.processes import process_context
from dumpmap.triage.worker import Diary, Setup

MISBEHAVE = "triage.hooks:misbehave"
SERIAL = Options(engine="serial", cache=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of dumps of every kind."""
    dumps = tmp_path / "dumps"
    dumps.mkdir()
    for index in range(20):
        (dumps / f"good-{index:02}.dmp").write_bytes(small_dump(pid=index + 1))
    (dumps / "starved.dmp").write_bytes(starved_dump())
    (dumps / "part.dmp").write_bytes(partial_dump())
    (dumps / "empty.dmp").write_bytes(b"")
    (dumps / "foreign.dmp").write_bytes(b"\x7fELF" + bytes(100))
    return dumps


def result_rows(paths: Any, options: Options) -> list[Row]:
    with run(paths, options) as result:
        return list(result.rows())


def comparable(rows: list[Row]) -> list[Row]:
    """Rows without what differs from run to run."""
    return [{**row, "seconds": None, "cached": None} for row in rows]


# ---------------------------------------------------------------- results


def test_worst_first_then_by_path(folder: Path) -> None:
    rows = result_rows(folder, SERIAL)
    assert len(rows) == 24
    assert Path(rows[0]["path"]).name == "starved.dmp"
    assert [Path(row["path"]).name for row in rows[-2:]] == ["empty.dmp", "foreign.dmp"]
    good = [row["path"] for row in rows if "good" in row["path"]]
    assert good == sorted(good)


def test_every_engine_gives_the_same_rows(folder: Path) -> None:
    rows = result_rows(folder, SERIAL)
    assert comparable(result_rows(folder, Options(jobs=2, cache=False))) == comparable(rows)


def test_a_path_counts_once(folder: Path) -> None:
    with run([folder, folder / "good-00.dmp", str(folder / "*.dmp")], SERIAL) as result:
        assert len(result) == 24
        assert result.state.found == 24


def test_state_counts_what_happened(folder: Path) -> None:
    with run([folder, folder / "nothing.dmp"], SERIAL) as result:
        state = result.state
    assert (state.found, state.done, state.errors, state.cached, state.listed) == (25, 25, 3, 0, True)
    assert state.critical == 1


def test_no_files_at_all(tmp_path: Path) -> None:
    with run(tmp_path, Options(jobs=1, cache=False)) as result:
        assert (len(result), list(result.rows()), result.exit_code(strict=True)) == (0, [], 0)
        assert list(result.frame().columns) == [column.name for column in COLUMNS]


def test_frame_has_the_columns_types(folder: Path) -> None:
    frame = triage(folder, engine="serial", cache=False)
    assert {column.name: column.dtype for column in COLUMNS} == {name: str(kind) for name, kind in frame.dtypes.items()}
    assert len(frame) == 24
    assert frame["captured_at"].notna().sum() == 22


def test_the_package_can_be_called(folder: Path) -> None:
    package: Any = importlib.import_module("dumpmap.triage")
    called: Any = dumpmap.triage
    assert called is package
    assert package.triage is package
    assert len(package(folder, engine="serial", cache=False)) == 24
    assert "paths" in inspect.signature(package).parameters


@pytest.mark.parametrize("first", ["", "import dumpmap.triage", "from dumpmap.triage import run", "dumpmap.triage"])
def test_it_can_be_called_whatever_came_first(folder: Path, first: str) -> None:
    code = (
        f"import dumpmap, sys; {first}\n"
        f"frame = dumpmap.triage({str(folder)!r}, engine='serial', cache=False)\n"
        "import dumpmap.triage\n"
        f"again = dumpmap.triage({str(folder)!r}, engine='serial', cache=False)\n"
        "assert len(frame) == len(again) == 24\n"
        "assert dumpmap.triage.Options is sys.modules['dumpmap.triage'].Options\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
def test_a_type_checker_knows_its_signature(tmp_path: Path) -> None:
    api = pytest.importorskip("mypy.api")
    (tmp_path / "good.py").write_text(
        "import dumpmap\nimport pandas as pd\nfrom dumpmap.triage import Options, run\n\n"
        "frame: pd.DataFrame = dumpmap.triage(['dumps/'], jobs=2, time_limit=None)\n"
        "with run('dumps/', Options(jobs=2)) as result:\n    text: str = next(result.rows())['path']\n"
    )
    (tmp_path / "bad.py").write_text(
        "import dumpmap\n\ndumpmap.triage(3)\ndumpmap.triage('x', nonsense=1)\ntext: str = dumpmap.triage('x')\n"
    )
    options = ["--strict", "--cache-dir", str(tmp_path / "cache")]
    said, _, code = api.run([*options, str(tmp_path / "good.py")])
    assert code == 0, said
    said, _, code = api.run([*options, str(tmp_path / "bad.py")])
    assert (code, said.count("error:")) == (1, 3), said


def test_importing_it_loads_no_pandas() -> None:
    code = "import sys, dumpmap.triage; assert 'pandas' not in sys.modules and 'pebble' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_script_without_a_main_guard_is_told(folder: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(f"import dumpmap\ndumpmap.triage({str(folder)!r}, jobs=1, cache=False)\n")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode != 0
    assert "__main__" in done.stderr.splitlines()[-1] or "EngineError" in done.stderr


def test_iterate_can_be_closed(folder: Path) -> None:
    rows = iterate(folder, Options(jobs=1, cache=False))
    assert next(rows)["status"]
    rows.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "change",
    [
        {"jobs": "2"},
        {"jobs": 1.5},
        {"jobs": True},
        {"time_limit": "abc"},
        {"memory_limit": "1GB"},
        {"cache": None},
        {"scheduler": 8786, "engine": "dask"},
        {"storage_options": "anon=true"},
    ],
    ids=lambda value: str(value),
)
def test_options_of_the_wrong_type(change: dict[str, Any]) -> None:
    (name, value), *_ = change.items()
    with pytest.raises(TypeError, match=rf"^{name} must be .*, not {value!r}$"):
        replace(SERIAL, **change)


def test_paths_of_the_wrong_type(folder: Path) -> None:
    for paths in (b"dumps", [b"dumps"], 3, [3], [None]):
        with pytest.raises(TypeError, match=r"path|iterable"):
            result_rows(paths, SERIAL)
    assert result_rows([], SERIAL) == []
    assert len(result_rows((path for path in [str(folder), folder]), SERIAL)) == 24
    (row,) = result_rows("a\0b.dmp", SERIAL)
    assert row["error"] == "embedded null byte"


def test_one_condition_and_one_column_need_no_list(folder: Path) -> None:
    with run(folder, SERIAL) as result:
        rows = list(result.rows(select("status=error")))
        assert {row["status"] for row in rows} == {"error"}
        assert result.groups("status") == result.groups(["status"])
        frame = result.frame()
    assert all(isinstance(value, tuple) for value in frame.findings.dropna())
    assert len(frame.explode("findings")) >= len(frame)
    assert frame.groupby("findings").size().sum() == frame.findings.notna().sum()


@pytest.mark.parametrize(
    "change",
    [
        {"jobs": 0},
        {"engine": "threads"},
        {"time_limit": 0},
        {"time_limit": float("nan")},
        {"memory_limit": -1},
        {"memory_limit": 64 * MB - 1},
        {"scheduler": "tcp://127.0.0.1:8786"},
    ],
    ids=lambda value: str(value),
)
def test_impossible_options(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must be|unknown|requires"):
        replace(SERIAL, **change)


# ---------------------------------------------------------------- misbehaving files


def keep_diary(diary: Diary, number: int) -> None:
    """Notes two tasks, in a process of its own: the last one counts."""
    diary.note(number + 100)
    diary.note(number)


def misbehaving(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).write_bytes(small_dump())


def errors(rows: list[Row]) -> dict[str, str]:
    return {Path(row["path"]).stem: row["error"] for row in rows if row["status"] == "error"}


def test_a_worker_that_spins_is_killed(folder: Path) -> None:
    misbehaving(folder, "spin-1.dmp", "sleep-1.dmp")
    options = Options(jobs=2, cache=False, time_limit=3, hook=MISBEHAVE)
    began = time.monotonic()
    rows = result_rows(folder, options)
    assert time.monotonic() - began < 60
    found = errors(rows)
    assert found["spin-1"] == found["sleep-1"] == "exceeded the time limit of 3 s"
    assert len(rows) == 26
    assert sum(row["status"] == "ok" for row in rows) == 21


def test_a_worker_that_balloons_is_killed(folder: Path) -> None:
    misbehaving(folder, "balloon-1.dmp", "shared-balloon-1.dmp")
    options = Options(jobs=2, cache=False, memory_limit=128 * MB, hook=MISBEHAVE)
    rows = result_rows(folder, options)
    found = errors(rows)
    wanted = "exceeded the memory limit of 128 MB"
    assert found["balloon-1"] == found["shared-balloon-1"] == wanted
    assert sum(row["status"] == "ok" for row in rows) == 21


@pytest.mark.parametrize("limit", [1, 1 << 10, MB, 20 * MB, 1 << 80])
def test_no_limit_of_memory_hangs_a_worker(folder: Path, limit: int) -> None:
    # Below what the command takes: the worker itself has to get along with any.
    engine = ProcessEngine(Setup(memory_limit=limit), 1, 30)
    try:
        engine.submit(local_job(str(folder / "good-00.dmp")))
        (outcome,) = engine.wait(60)
        assert outcome.row["status"] == "ok" or outcome.limit == "memory"
    finally:
        engine.close()


@pytest.mark.parametrize("limit", [0.001, 0.02, 1e9])
def test_no_limit_of_time_hangs_a_worker(folder: Path, limit: float) -> None:
    rows = result_rows(folder, Options(jobs=2, cache=False, time_limit=limit))
    assert len(rows) == 24
    assert all(
        row["status"] != "error" or "exceeded the time limit of " in row["error"]
        for row in rows
        if "good" in row["path"]
    )


def test_a_small_limit_is_said_in_its_own_unit() -> None:
    assert memory_text(1 << 10) == "exceeded the memory limit of 1 KB"
    assert time_text(0.5) == "exceeded the time limit of 0.5 s"


def test_a_lack_of_memory_is_not_taken_for_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.dmp.zst"
    path.write_bytes(zstandard.compress(small_dump()))

    class Decoder:
        def __init__(self, **_: object) -> None:
            pass

        def stream_reader(self, *_: object, **__: object) -> object:
            raise zstandard.ZstdError("zstd decompress error: Allocation error : not enough memory")

    monkeypatch.setattr(zstandard, "ZstdDecompressor", Decoder)
    with run(path, SERIAL) as result:
        (row,) = result.rows()
    assert row["error"] == "not enough memory for this file"


class Counting(ProcessEngine):
    """Notes the files of each task that it hands out."""

    tasks: list[list[str]]

    def _schedule(self, jobs: list[Job], attempt: int = 1) -> None:
        self.tasks.append([Path(job.path).stem for job in jobs])
        super()._schedule(jobs, attempt)


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The files of each task of the next batch."""
    monkeypatch.setattr(Counting, "tasks", [], raising=False)
    monkeypatch.setattr(resources, "ProcessEngine", Counting)
    return Counting.tasks


def test_small_files_share_a_message(tmp_path: Path, tasks: list[list[str]]) -> None:
    for index in range(400):
        (tmp_path / f"{index:03}.dmp").write_bytes(small_dump(pid=index + 1))
    large = small_dump() + bytes(BUNDLE_SIZE)
    (tmp_path / "large.dmp").write_bytes(large)
    rows = result_rows(tmp_path, Options(jobs=2, cache=False))
    assert sorted(row["pid"] for row in rows if "large" not in row["path"]) == list(range(1, 401))
    assert ["large"] in tasks
    assert max(map(len, tasks)) == BUNDLE
    assert len(tasks) < 80  # each of 2 workers has 4 tasks in advance, which grow and shrink with what is left
    assert sorted(name for task in tasks for name in task) == sorted(Path(row["path"]).stem for row in rows)


def test_few_files_are_spread_over_the_workers(tmp_path: Path, tasks: list[list[str]]) -> None:
    for index in range(6):
        (tmp_path / f"{index}.dmp").write_bytes(small_dump())
    assert len(result_rows(tmp_path, Options(jobs=2, cache=False))) == 6
    assert [len(task) for task in tasks] == [1] * 6


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("sleep", "exceeded the time limit of 4 s"),
        ("balloon", "exceeded the memory limit of 128 MB"),
        ("killed", "the worker process died (SIGKILL; the system sends it when memory runs short)"),
    ],
)
def test_limits_hold_for_each_file_of_a_task(tmp_path: Path, tasks: list[list[str]], name: str, error: str) -> None:
    for index in range(200):
        (tmp_path / f"{index:03}.dmp").write_bytes(small_dump(pid=index + 1))
    bad = f"{name}-1"
    misbehaving(tmp_path, f"{bad}.dmp")
    jobs = [local_job(str(path)) for path in sorted(tmp_path.iterdir())]
    jobs.insert(100, jobs.pop())
    engine = Counting(Setup(memory_limit=128 * MB, hook=MISBEHAVE), 1, 4)
    done: list[Outcome] = []
    try:
        for job in jobs:
            while engine.room <= 0:
                done += engine.wait(60)
            engine.submit(job)
        while engine.pending:
            done += engine.wait(60)
    finally:
        engine.close()
    rows = [outcome.row for outcome in done]
    assert errors(rows) == {bad: error}
    assert sorted(row["pid"] for row in rows if row["pid"]) == list(range(1, 201))
    assert [bad] in tasks
    assert any(bad in task and len(task) > 1 for task in tasks)


def test_a_worker_that_dies_is_tried_again_and_then_reported(folder: Path) -> None:
    misbehaving(folder, "killed-1.dmp", "exit-1.dmp", "fault-1.dmp")
    rows = result_rows(folder, Options(jobs=2, cache=False, hook=MISBEHAVE))
    found = errors(rows)
    assert "SIGKILL" in found["killed-1"]
    assert found["exit-1"] == "the worker process died (exit code 3)"
    assert found["fault-1"] == "internal error: RuntimeError: a fault of our own"
    assert sum(row["status"] == "ok" for row in rows) == 21


def test_a_worker_whose_death_breaks_the_pool_is_told_from_one_that_cannot_start(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = ProcessEngine._of_task

    def breaking(self: ProcessEngine, future: Any, task: Any, broken: list[Any]) -> list[Outcome]:
        if isinstance(future.exception(), ProcessExpired):
            broken.append(task)
            return []
        return original(self, future, task, broken)

    monkeypatch.setattr(ProcessEngine, "_of_task", breaking)
    (folder / "good-00.dmp").rename(folder / "exit-1.dmp")
    rows = result_rows(folder / "exit-1.dmp", Options(jobs=1, cache=False, hook=MISBEHAVE))
    assert errors(rows) == {"exit-1": "the worker process died (exit code 3)"}


def test_a_lost_worker_costs_nothing(folder: Path) -> None:
    misbehaving(folder, "once-1.dmp", "once-2.dmp")
    rows = result_rows(folder, Options(jobs=2, cache=False, hook="triage.hooks:die_once"))
    assert errors(rows).keys() == {"empty", "foreign"}, errors(rows)
    assert len(rows) == 26


def test_a_death_that_the_pool_misses_is_noticed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A worker that dies with its first message still under way belongs to no task that the pool knows of.
    from pebble.pool.process import PoolManager

    def miss(*_: object) -> None:
        raise LookupError

    monkeypatch.setattr(PoolManager, "find_expired_task", miss)
    misbehaving(folder, "killed-1.dmp", "once-1.dmp")
    rows = result_rows(folder, Options(jobs=2, cache=False, time_limit=None, hook=MISBEHAVE))
    assert errors(rows)["killed-1"] == "the worker process died (at once)"
    assert sum(row["status"] == "ok" for row in rows) == 22


def test_a_pool_that_loses_its_idle_workers_is_replaced(folder: Path) -> None:
    engine = ProcessEngine(Setup(), 1, 60)
    try:
        engine.submit(local_job(str(folder / "good-00.dmp")))
        assert len(engine.wait(60)) == 1
        for pid in list(engine._pool._pool_manager.worker_manager.workers):
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.5)
        engine.submit(local_job(str(folder / "good-01.dmp")))
        assert [Path(outcome.path).name for outcome in engine.wait(60)] == ["good-01.dmp"]
    finally:
        engine.close()


def test_a_task_that_a_broken_pool_forgets_is_done_by_the_next(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = ProcessEngine(Setup(), 1, 60)
    try:
        engine.submit(local_job(str(folder / "good-00.dmp")))
        assert len(engine.wait(60)) == 1
        # The pool gives up what it has taken over; what still waits in its queue then is never heard of again.
        monkeypatch.setattr(engine._pool, "schedule", lambda *_, **__: Future())
        engine.submit(local_job(str(folder / "good-01.dmp")))
        engine._pool.stop()
        assert [Path(outcome.path).name for outcome in engine.wait(60)] == ["good-01.dmp"]
    finally:
        engine.close()


def test_the_diary_tells_the_tasks_of_the_dead() -> None:
    context = process_context()
    diary = Diary(context)
    diary.note(7)
    ended = [context.Process(target=keep_diary, args=(diary, number)) for number in (1, 2, 3)]  # type: ignore[attr-defined]
    for process in ended:
        process.start()
    for process in ended:
        process.join()
    assert set(diary.of_the_dead()) == {1, 2, 3, 7}  # this process is no child of its own
    assert list(diary.of_the_dead()) == []


def test_there_are_no_more_workers_than_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[int] = []

    class Engine(ProcessEngine):
        def __init__(self, setup: Setup, jobs: int, time_limit: float | None) -> None:
            started.append(jobs)
            super().__init__(setup, min(jobs, 2), time_limit)

    monkeypatch.setattr(resources, "ProcessEngine", Engine)
    result_rows(folder, Options(jobs=999, cache=False))
    result_rows(folder / "good-00.dmp", Options(jobs=999, cache=False))
    result_rows(folder, Options(jobs=5, cache=False))
    assert started == [24, 1, 5]


def test_a_file_that_vanishes_costs_its_own_row(folder: Path) -> None:
    misbehaving(folder, "vanish-1.dmp")
    rows = result_rows(folder, Options(jobs=1, cache=False, hook=MISBEHAVE))
    assert errors(rows)["vanish-1"] == "no such file or directory"


def test_workers_that_cannot_start_are_an_error(folder: Path) -> None:
    with pytest.raises(EngineError, match="cannot start worker processes"):
        result_rows(folder, Options(jobs=1, cache=False, hook="no.such.module:hook"))
    assert issubclass(EngineError, DumpmapError)


def test_no_worker_is_left(folder: Path) -> None:
    import psutil

    result_rows(folder, Options(jobs=2, cache=False))
    left = [child for child in psutil.Process().children(recursive=True) if "pebble" in " ".join(child.cmdline())]
    assert left == []


# ---------------------------------------------------------------- cache


def test_only_what_is_new_is_analysed(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "log"
    log.mkdir()
    monkeypatch.setenv("TRIAGE_LOG", str(log))
    options = Options(engine="serial", cache=tmp_path / "cache.sqlite", hook="triage.hooks:log")
    first = result_rows(folder, options)
    assert len(list(log.iterdir())) == 24
    (folder / "new.dmp").write_bytes(small_dump(pid=99))
    (folder / "good-00.dmp").write_bytes(small_dump(pid=1000))
    (folder / "good-01.dmp").unlink()
    with run(folder, options) as result:
        second = list(result.rows())
        assert result.state.cached == 22
    assert len(list(log.iterdir())) == 26
    assert {row["pid"] for row in second if row["pid"]} >= {99, 1000}
    assert len(second) == 24
    unchanged = {row["path"]: row for row in comparable(first)}
    assert all(row == unchanged[row["path"]] for row in comparable(second) if row["pid"] not in (99, 1000))


def test_a_cached_row_is_called_as_it_was_found_now(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = Options(engine="serial", cache=tmp_path / "cache.sqlite")
    result_rows(folder / "part.dmp", options)
    monkeypatch.chdir(folder)
    (row,) = result_rows("part.dmp", options)
    assert (row["path"], row["cached"]) == ("part.dmp", True)


def test_a_wider_limit_tries_again(folder: Path, tmp_path: Path) -> None:
    (folder / "sleep-1.dmp").write_bytes(small_dump())
    path = folder / "sleep-1.dmp"
    options = Options(jobs=1, cache=tmp_path / "cache", time_limit=0.5, hook=MISBEHAVE)
    assert result_rows(path, options)[0]["cached"] is False
    assert result_rows(path, options)[0]["cached"] is True
    assert result_rows(path, replace(options, time_limit=0.2))[0]["cached"] is True
    (row,) = result_rows(path, replace(options, time_limit=5, hook=None))
    assert (row["status"], row["cached"]) == ("ok", False)


def test_another_version_analyses_again(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dumpmap.triage import cache

    options = Options(engine="serial", cache=tmp_path / "cache")
    result_rows(folder, options)
    monkeypatch.setattr(cache, "TOOL", "9.9.9")
    with run(folder, options) as result:
        assert result.state.cached == 0


def test_rows_of_another_meaning_are_not_used() -> None:
    from dumpmap import __version__
    from dumpmap.triage import cache
    from dumpmap.triage.columns import ROW_VERSION

    assert cache.TOOL.startswith(f"{__version__}/{ROW_VERSION}/")


def test_old_results_are_forgotten(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dumpmap.triage import cache

    result_rows(folder, Options(engine="serial", cache=tmp_path / "cache"))
    monkeypatch.setattr(cache, "KEEP_DAYS", -1)
    opened = Cache(tmp_path / "cache")
    assert len(opened) == 0
    opened.close()


@pytest.mark.parametrize("content", [b"this is no database, but long enough" * 100, None, b"other"])
def test_a_named_cache_that_cannot_be_used(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "cache"
    if content is None:
        path.mkdir()
    elif content == b"other":
        other = sqlite3.connect(path)
        other.execute("CREATE TABLE mine (x)")
        other.close()
    else:
        path.write_bytes(content)
    with pytest.raises(OutputError, match="cache"):
        result_rows(tmp_path, Options(engine="serial", cache=path))
    assert content is None or content == b"other" or path.read_bytes() == content


def test_the_default_cache_is_not_worth_failing_for(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("DUMPMAP_CACHE", str(tmp_path / "file" / "triage.sqlite"))
    with run(folder, Options(engine="serial")) as result:
        assert len(result) == 24
        assert "not kept" in result.notes[0]


def test_a_cache_that_fails_later_costs_no_row(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Cache._prepare

    def fill(cache: Cache) -> None:
        real(cache)
        cache._database.execute("PRAGMA max_page_count = 4")  # as a full disk would

    monkeypatch.setattr(Cache, "_prepare", fill)
    path = tmp_path / "cache"
    with run(folder, Options(engine="serial", cache=path)) as result:
        assert len(result) == 24
        assert 0 < result.state.kept < 24
        (note,) = result.notes
    assert note == f"{path}: cannot keep further results: database or disk is full"
    assert count_results(path) > 0


def test_a_result_that_was_damaged_is_made_again(folder: Path, tmp_path: Path) -> None:
    options = Options(engine="serial", cache=tmp_path / "cache")
    rows = result_rows(folder, options)
    database = sqlite3.connect(tmp_path / "cache")
    database.execute("UPDATE results SET data = substr(data, 1, 40) WHERE key LIKE '%good-0%'")
    database.execute("UPDATE results SET data = X'00' WHERE key LIKE '%good-1%'")
    database.execute("UPDATE results SET data = '[1]' WHERE key LIKE '%starved%'")
    database.commit()
    database.close()
    with run(folder, options) as result:
        assert result.state.cached == 3
        assert comparable(list(result.rows())) == comparable(rows)


def test_where_the_default_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("DUMPMAP_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(sys, "platform", "linux")
    assert default_path() == tmp_path / "dumpmap" / "triage.sqlite"
    for ignored in ("relative", ""):  # as the XDG Base Directory Specification says
        monkeypatch.setenv("XDG_CACHE_HOME", ignored)
        assert default_path() == Path.home() / ".cache" / "dumpmap" / "triage.sqlite"
    monkeypatch.setenv("DUMPMAP_CACHE", "/x/y.sqlite")
    assert default_path() == Path("/x/y.sqlite")


def test_runs_may_share_a_cache(folder: Path, tmp_path: Path) -> None:
    options = Options(engine="serial", cache=tmp_path / "cache", hook="triage.hooks:slow")
    found: list[list[Row]] = []
    threads = [threading.Thread(target=lambda: found.append(result_rows(folder, options))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert all(comparable(rows) == comparable(found[0]) for rows in found)
    opened = Cache(tmp_path / "cache")
    assert len(opened) == 24
    opened.close()


def test_a_killed_run_loses_nothing(tmp_path: Path) -> None:
    dumps, log, cache = tmp_path / "dumps", tmp_path / "log", tmp_path / "cache.sqlite"
    dumps.mkdir()
    log.mkdir()
    for index in range(200):
        (dumps / f"{index:03}.dmp").write_bytes(small_dump(pid=index + 1))
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\n"
        f"sys.path.insert(0, {str(Path(__file__).parents[1])!r})\n"
        "from dumpmap.triage import Options, run\n"
        "if __name__ == '__main__':\n"
        f"    run({str(dumps)!r}, Options(jobs=2, cache={str(cache)!r}, hook='triage.hooks:slow'))\n"
    )
    process = subprocess.Popen([sys.executable, script])
    wait_until(lambda: count_results(cache) >= 30)
    process.kill()
    process.wait()
    finished = count_results(cache)
    assert 30 <= finished < 200
    with run(dumps, Options(jobs=2, cache=cache, hook="triage.hooks:slow")) as result:
        rows = list(result.rows())
        assert result.state.cached >= finished
    assert sorted(row["pid"] for row in rows) == list(range(1, 201))
    assert count_results(cache) == 200


def count_results(path: Path) -> int:
    if not path.exists():
        return 0
    database = sqlite3.connect(path, timeout=10)
    try:
        return int(database.execute("SELECT count(*) FROM results").fetchone()[0])
    except sqlite3.Error:
        return 0
    finally:
        database.close()


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited too long"
        time.sleep(0.02)


# ---------------------------------------------------------------- gate and progress


@pytest.mark.parametrize(
    ("state", "fail_on", "strict", "code"),
    [
        (State(), "warning", True, 0),
        (State(errors=1), None, False, 0),
        (State(errors=1), None, True, 3),
        (State(critical=1), None, True, 0),
        (State(errors=1, unreached=1, critical=1), "critical", False, 3),
        (State(critical=1), "critical", False, 1),
        (State(critical=1), "warning", False, 1),
        (State(warning=1), "critical", False, 0),
        (State(warning=1), "warning", False, 1),
        (State(info=1), "warning", False, 0),
        (State(info=1), "info", False, 1),
        (State(critical=1), "info", False, 1),
        (State(done=1), "info", False, 0),
        (State(warning=1, errors=1), "warning", True, 3),
    ],
)
def test_exit_codes(state: State, fail_on: Any, strict: bool, code: int) -> None:
    assert exit_code(state, fail_on=fail_on, strict=strict) == code


def test_an_unknown_severity_is_wrong_use() -> None:
    with pytest.raises(ValueError, match="severity"):
        exit_code(State(), fail_on="error")  # type: ignore[arg-type]


def test_progress_is_told(folder: Path) -> None:
    seen: list[tuple[int, int, bool]] = []

    class Display:
        def update(self, state: State) -> None:
            seen.append((state.done, state.found, state.listed))

    seen_rows: list[Row] = []
    with run(folder, SERIAL, progress=Display(), on_row=seen_rows.append):
        pass
    assert seen[-1] == (24, 24, True)
    assert [done for done, _, _ in seen] == sorted(done for done, _, _ in seen)
    assert len(seen_rows) == 24


def test_the_rich_bar(folder: Path) -> None:
    import io

    from rich.console import Console

    from dumpmap.triage import RichProgress

    out = io.StringIO()
    with (
        RichProgress(Console(file=out, force_terminal=True, width=100)) as progress,
        run(folder, SERIAL, progress=progress),
    ):
        pass
    assert "24/24" in out.getvalue()


# ---------------------------------------------------------------- packed files that nobody named


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    """A folder of packed files without a dump's suffix, of which two hold a dump."""
    folder = tmp_path / "packed"
    folder.mkdir()
    (folder / "a.bin").write_bytes(zstandard.compress(small_dump(pid=1)))
    for name, content in (("b.zip", small_dump(pid=2)), ("c.zip", b"hello"), ("d.jar", b"world")):
        with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("content", content)
    (folder / "e.gz").write_bytes(b"\x1f\x8b" + b"\xff" * 50)
    return folder


def test_only_workers_look_into_packed_files(packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []

    def note(source: object, *_: object, **__: object) -> bytes:
        seen.append(source)
        return b""

    monkeypatch.setattr(recognition, "first_bytes", note)  # in this process; workers import their own
    states: list[State] = []

    class Display:
        def update(self, state: State) -> None:
            states.append(replace(state))

    with run(packed, Options(jobs=2, cache=False), progress=Display()) as result:
        rows = list(result.rows())
    assert {Path(row["path"]).name: row["pid"] for row in rows} == {"a.bin": 1, "b.zip": 2}
    assert seen == []
    assert (states[-1].found, states[-1].done, states[-1].skipped, states[-1].errors) == (2, 2, 0, 0)
    assert [Path(row["path"]).name for row in iterate(packed, Options(jobs=1, cache=False))] in (
        ["a.bin", "b.zip"],
        ["b.zip", "a.bin"],
    )


def test_the_limits_hold_while_a_worker_looks(packed: Path) -> None:
    for name in ("spin.zip", "balloon.zip", "killed.zip"):
        (packed / name).write_bytes((packed / "c.zip").read_bytes())
    options = Options(jobs=2, cache=False, time_limit=3, memory_limit=128 * MB, hook=MISBEHAVE)
    errors = {Path(row["path"]).name: row["error"] for row in result_rows(packed, options)}
    assert errors["spin.zip"] == time_text(3)
    assert errors["balloon.zip"] == memory_text(128 * MB)
    assert "died" in (errors["killed.zip"] or "")
    assert errors["a.bin"] is errors["b.zip"] is None
    assert len(errors) == 5


def test_a_packed_file_without_an_input_that_is_named_gets_a_row(packed: Path) -> None:
    (row,) = result_rows(packed / "c.zip", SERIAL)
    assert row["status"] == "error"
    assert len(result_rows(packed, SERIAL)) == 2
