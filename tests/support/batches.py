"""Rows of batches that nobody ran, as various as those of real ones."""

from __future__ import annotations

import datetime as dt
import random
from typing import Any

from dumpmap.triage.columns import TYPE_COLUMNS
from dumpmap.triage.rows import empty_row

KB, MB, GB = 1 << 10, 1 << 20, 1 << 30

PROCESSES = ("shop.exe", "render.exe", "editor.exe", "service-host.exe", "viewer.exe", "importer.exe", "kiosk.exe")
OWNERS = (
    ".NET",
    "V8",
    "Python",
    "opengl32.dll",
    "ntdll.dll heaps",
    "Chromium PartitionAlloc",
    "shop.exe",
    "sqlite3.dll",
)
OUTCOMES: tuple[tuple[str, str | None, list[str], str | None], ...] = (
    ("out-of-address-space", "critical", ["address-space-exhausted", "out-of-memory-exception"], "STATUS_NO_MEMORY"),
    ("out-of-commit", "critical", ["commit-limit-reached"], "STATUS_COMMITMENT_LIMIT"),
    ("address-space-low", "warning", ["address-space-fragmented"], "EXCEPTION_ACCESS_VIOLATION"),
    ("commit-low", "warning", ["commit-limit-near"], None),
    ("no-memory-problem-seen", "info", ["dump-too-small"], "EXCEPTION_ACCESS_VIOLATION"),
    ("no-memory-problem-seen", None, [], "EXCEPTION_BREAKPOINT"),
    ("cannot-tell", "info", ["dump-too-small"], None),
)
"""A verdict, the worst severity, the findings, and the exception."""

_BEGIN = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)


def batch(count: int, seed: int = 16) -> list[dict[str, Any]]:
    """Rows of dumps of several programs over half a year: some without a map, a time, or one of the figures."""
    chance = random.Random(seed)
    return [_row(index, chance) for index in range(count)]


def _row(index: int, chance: random.Random) -> dict[str, Any]:
    process = chance.choices(PROCESSES, weights=range(len(PROCESSES), 0, -1))[0]
    day = f"2026-{chance.randrange(1, 13):02}-{chance.randrange(1, 29):02}"
    path = f"/srv/crashes/{process.removesuffix('.exe')}/{day}/{chance.getrandbits(64):016x}-{index}.dmp.zst"
    if chance.random() < 0.02:
        return empty_row(path, "error", size=chance.randrange(64 * KB), error="not a minidump (starts with 'PK')")
    verdict, severity, findings, exception = chance.choices(OUTCOMES, weights=(5, 3, 8, 6, 30, 40, 8))[0]
    row = empty_row(path, "partial" if verdict == "cannot-tell" else "ok", size=chance.randrange(10 * KB, 4 * GB))
    wide = process in PROCESSES[3:]
    committed = int(2 ** chance.uniform(26, 36 if wide else 31))
    free = int(2 ** chance.uniform(34, 47) if wide else 2 ** chance.uniform(18, 30)) & ~0xFFF
    row |= {
        "warnings": 0,
        "completeness": "partial" if verdict == "cannot-tell" else chance.choice(("full", "map")),
        "format": "minidump",
        "container": "zstd",
        "process": process,
        "version": f"{chance.randrange(3, 6)}.{chance.randrange(4)}.{chance.randrange(3)}.0",
        "pid": chance.randrange(4, 60000, 4),
        "architecture": "x64" if wide else "x86",
        "wow64": not wide,
        "os": f"windows 10.0.{chance.choice((19045, 22631, 26100))}",
        "captured_at": None if chance.random() < 0.01 else _moment(chance),
        "exception": exception,
        "exception_line": exception
        and f"{exception} at 0x{chance.getrandbits(47):016x} in thread {chance.randrange(9999)}",
        "verdict": verdict,
        "severity": severity,
        "critical": int(severity == "critical"),
        "findings": findings,
        "headline": findings[0].replace("-", " ").capitalize() if findings else None,
        "sentence": f"{verdict.replace('-', ' ').capitalize()}: {free // KB:,} KB are left in one block, "
        f"and {committed // MB:,} MB are committed.",
        "lower_bound": verdict == "cannot-tell",
        "total_size": committed + chance.randrange(GB),
        "committed": committed,
        "private": committed // 2,
        "largest_free": None if verdict == "cannot-tell" else free,
        "largest_free_at_most": free if verdict != "cannot-tell" or chance.random() < 0.5 else None,
        "fragmentation": round(chance.random(), 4),
        "process_commit": None if chance.random() < 0.03 else committed,
        "process_commit_source": "private-usage",
        "top_owner": chance.choice(OWNERS),
        "top_owner_size": committed,
        "top_owner_committed": chance.randrange(committed),
        "owned_share": round(chance.random(), 4),
        "threads": chance.randrange(3, 200),
        "heaps": chance.randrange(1, 30),
        "modules": chance.randrange(20, 300),
        "commit_total": chance.randrange(GB, 64 * GB),
        "commit_limit": 64 * GB,
        "seconds": 0.05,
        "cached": False,
    }
    left = committed
    for _, figure, name in TYPE_COLUMNS:
        if figure == "committed":
            row[name] = chance.randrange(left + 1) & ~0xFFF
            left -= row[name]
    return row


def _moment(chance: random.Random) -> str:
    """A moment of half a year, most of them by day, with a bad week."""
    day = chance.choice((chance.randrange(180), chance.randrange(180), chance.randrange(90, 97)))
    seconds = int(chance.gauss(14 * 3600, 3 * 3600))
    return (_BEGIN + dt.timedelta(days=day, seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
