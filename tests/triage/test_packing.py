"""A row is packed once in the worker, and unpacked once in the parent, when somebody wants to see it."""

from __future__ import annotations

import io
import json
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.triage import partial_dump, small_dump, starved_dump

from dumpmap.cli.app import run as run_command
from dumpmap.render.triage import write_result
from dumpmap.triage import Options, Row, iterate, run, select
from dumpmap.triage.cache import TOOL
from dumpmap.triage.columns import NAMES
from dumpmap.triage.rows import RANKS, empty_row, pack, rank_of
from dumpmap.writers.formats import TriageFormat

FILES = 5


@dataclass
class Counts:
    """How many rows were packed and unpacked in this process."""

    packed: int = 0
    unpacked: int = 0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    dumps = tmp_path / "dumps"
    dumps.mkdir()
    for index in range(2):
        (dumps / f"good-{index}.dmp").write_bytes(small_dump(pid=index + 1))
    (dumps / "starved.dmp").write_bytes(starved_dump())
    (dumps / "part.dmp").write_bytes(partial_dump())
    (dumps / "empty.dmp").write_bytes(b"")
    return dumps


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Counts:
    counted, encode, decode = Counts(), msgspec.json.encode, msgspec.json.decode

    def pack(*values: Any) -> bytes:
        counted.packed += 1
        return encode(*values)

    def unpack(*values: Any) -> Any:
        counted.unpacked += 1
        return decode(*values)

    monkeypatch.setattr(msgspec.json, "encode", pack)
    monkeypatch.setattr(msgspec.json, "decode", unpack)
    return counted


@pytest.mark.parametrize("group_by", [(), ("process", "verdict")])
@pytest.mark.parametrize("format", TriageFormat)
def test_a_row_is_packed_and_unpacked_once(
    folder: Path, counts: Counts, format: TriageFormat, group_by: tuple[str, ...]
) -> None:
    if format is TriageFormat.parquet:
        pytest.importorskip("pyarrow")
    with run(folder, Options(engine="serial", cache=False)) as result:
        assert (counts.packed, counts.unpacked) == (FILES, 0)
        out: Any = io.BytesIO() if format is TriageFormat.parquet else io.StringIO()
        write_result(result, format, out, group_by=group_by)
    assert (counts.packed, counts.unpacked) == (FILES, FILES)


def test_rows_as_files_finish_are_unpacked_once(folder: Path, counts: Counts) -> None:
    assert len(list(iterate(folder, Options(engine="serial", cache=False)))) == FILES
    assert (counts.packed, counts.unpacked) == (FILES, FILES)
    counts.unpacked = 0
    options = ["--engine", "serial", "--no-cache", "--format", "jsonl"]
    assert run_command(["-q", "triage", str(folder), *options]) == 0
    assert counts.unpacked == FILES


def test_a_cached_row_is_not_packed_again(folder: Path, tmp_path: Path, counts: Counts) -> None:
    options = Options(engine="serial", cache=tmp_path / "cache")
    first = list(iterate(folder, options))
    assert counts.packed == FILES
    counts.packed = counts.unpacked = 0
    second = list(iterate(folder, options))
    assert (counts.packed, counts.unpacked) == (0, FILES)
    assert all(row["cached"] for row in second)

    def comparable(rows: list[Row]) -> list[Row]:
        return sorted(({**row, "cached": None} for row in rows), key=lambda row: str(row["path"]))

    assert comparable(first) == comparable(second)


def test_the_cache_keeps_what_earlier_versions_wrote(folder: Path, tmp_path: Path) -> None:
    """The layout of the file, the key of a result, and its packed row are those of version 0.1."""
    dump, cache = folder / "starved.dmp", tmp_path / "cache"
    row = empty_row("as it was called then", "ok", size=dump.stat().st_size)
    row.update(process="kept.exe", severity="critical", findings=["many-heaps"], committed=1 << 40)
    database = sqlite3.connect(cache)
    database.execute("PRAGMA user_version = 1")
    database.execute(
        "CREATE TABLE results (key TEXT PRIMARY KEY, size INTEGER NOT NULL, stamp TEXT NOT NULL, tool TEXT NOT NULL, "
        "rank INTEGER NOT NULL, data BLOB NOT NULL, time_limit REAL, memory_limit INTEGER, saved_at REAL NOT NULL"
        ") WITHOUT ROWID"
    )
    info = dump.stat()
    database.execute(
        "INSERT INTO results VALUES (?, ?, ?, ?, 0, ?, NULL, NULL, ?)",
        (str(dump), info.st_size, str(info.st_mtime_ns), TOOL, json.dumps(list(row.values())).encode(), time.time()),
    )
    database.commit()
    database.close()
    with run(folder, Options(engine="serial", cache=cache)) as result:
        assert (result.state.cached, result.state.critical) == (1, 1)
        assert next(result.rows()) == {**row, "path": str(dump), "cached": True}
    database = sqlite3.connect(cache)
    key, size, stamp, tool, rank, data = database.execute(
        "SELECT key, size, stamp, tool, rank, data FROM results WHERE key LIKE '%part.dmp'"
    ).fetchone()
    database.close()
    part = folder / "part.dmp"
    assert (key, size, stamp, tool) == (str(part), part.stat().st_size, str(part.stat().st_mtime_ns), TOOL)
    assert RANKS[rank] == (json.loads(data)[NAMES.index("severity")] or "no finding")
    assert json.loads(data)[NAMES.index("process")] == "part.exe"


@pytest.mark.parametrize(
    ("status", "severity", "rank"),
    [
        ("ok", "critical", "critical"),
        ("partial", "warning", "warning"),
        ("ok", "info", "info"),
        ("ok", None, "no finding"),
        ("error", None, "error"),
        ("skipped", None, "skipped"),
    ],
)
def test_a_rank_says_what_the_batch_counts(status: Any, severity: str | None, rank: str) -> None:
    row = empty_row("a", status)
    row["severity"] = severity
    assert RANKS[rank_of(row)] == rank
    assert len(msgspec.json.decode(pack(row))) == len(NAMES)


def test_a_selection_is_counted_before_it_is_cut(folder: Path) -> None:
    with run(folder, Options(engine="serial", cache=False)) as result:
        assert result.count(select("process~app", top=1)) == 2
        assert result.count(select()) == FILES
