"""A row is packed once in the worker, and unpacked once in the parent, when somebody wants to see it."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import sqlite3
import stat
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.triage import partial_dump, small_dump, starved_dump

from dumpmap.cli.app import run as run_command
from dumpmap.errors import OutputError
from dumpmap.render.triage import write_result
from dumpmap.triage import Options, Row, iterate, run, select
from dumpmap.triage.cache import TOOL, Cache
from dumpmap.triage.columns import NAMES
from dumpmap.triage.jobs import local_job
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


def test_results_without_a_checksum_are_dropped(folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    database = sqlite3.connect(cache)
    database.execute("PRAGMA user_version = 1")
    database.execute(
        "CREATE TABLE results (key TEXT PRIMARY KEY, size INTEGER NOT NULL, stamp TEXT NOT NULL, tool TEXT NOT NULL, "
        "rank INTEGER NOT NULL, data BLOB NOT NULL, time_limit REAL, memory_limit INTEGER, saved_at REAL NOT NULL"
        ") WITHOUT ROWID"
    )
    dump = folder / "starved.dmp"
    info = dump.stat()
    row = empty_row("x", "ok", size=info.st_size)
    database.execute(
        "INSERT INTO results VALUES (?, ?, ?, ?, 0, ?, NULL, NULL, ?)",
        (str(dump), info.st_size, str(info.st_mtime_ns), TOOL, json.dumps(list(row.values())).encode(), time.time()),
    )
    database.commit()
    database.close()
    for cached in (0, FILES):
        with run(folder, Options(engine="serial", cache=cache)) as result:
            assert result.state.cached == cached


def test_a_flipped_bit_gives_the_row_or_no_row(folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    with run(folder, Options(engine="serial", cache=cache)) as result:
        rows = {row["path"]: row for row in result.rows()}
    with contextlib.closing(sqlite3.connect(cache)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.execute("PRAGMA journal_mode = DELETE")
    good = cache.read_bytes()
    generator = random.Random(4)
    jobs = [local_job(path) for path in rows]
    found = 0
    for _ in range(400):
        data = bytearray(good)
        data[generator.randrange(len(data))] ^= 1 << generator.randrange(8)
        cache.write_bytes(data)
        for name in ("cache-wal", "cache-shm"):
            (tmp_path / name).unlink(missing_ok=True)
        try:
            opened = Cache(cache)
        except OutputError:
            continue
        for job in jobs:
            outcome = opened.get(job)
            if outcome is not None:
                found += 1
                assert {**outcome.row, "cached": False} == {**rows[job.path], "cached": False}
                assert outcome.rank == rank_of(outcome.row)
        opened.close()
    assert found > 400


@pytest.mark.parametrize("column", ["rank", "data", "time_limit", "checksum"])
def test_a_value_of_another_type_is_a_miss(column: str, folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    with run(folder, Options(engine="serial", cache=cache)):
        pass
    with contextlib.closing(sqlite3.connect(cache)) as database:
        database.execute(f"UPDATE results SET {column} = 'x'")
        database.commit()
    with run(folder, Options(engine="serial", cache=cache)) as result:
        assert result.state.cached == 0


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
def test_the_cache_is_its_owners_alone(folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "folder" / "cache"
    with run(folder, Options(engine="serial", cache=cache)):
        pass
    assert {stat.S_IMODE(path.stat().st_mode) for path in cache.parent.iterdir()} == {0o600}


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
