"""Batches on more workers: what the main process does for each file, which bounds every machine, and what workers do.

A batch runs in a process of its own. Its user and system time is that of the main process, which cannot be divided, and
that of its children, which can.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .measuring import Figure
from .triage import FIXTURES

SECTION = "Batches on more workers"
FILES = 10_000
WORKERS = {"processes": (2, 4, 8, 16), "dask": (2, 4)}
NODES, MANY = 64, 1_000_000


def batches(folder: Path) -> Iterable[Figure]:
    """Empty files and small dumps, on pools and on local Dask clusters."""
    small = FIXTURES / "layout-x86-plain.dmp"
    for name, data in (("empty files", b""), ("dumps of 22 KB", small.read_bytes())):
        place = folder / name.split()[0]
        _write(place, data)
        for engine, counts in WORKERS.items():
            for workers in counts:
                yield from _figures(name, engine, workers, _run(place, engine, workers))
        shutil.rmtree(place)


def _figures(name: str, engine: str, workers: int, run: dict[str, float]) -> Iterable[Figure]:
    what = f"{name}, {'Dask, ' if engine == 'dask' else ''}{workers} workers"
    main, others = run["main"] / FILES * 1e3, run["workers"] / FILES * 1e3
    rate = f"{FILES / run['seconds']:,.0f} files a second here"
    yield Figure(SECTION, f"{what}: the main process, per file", main, "ms", budget=0.13, note=rate)
    yield Figure(SECTION, f"{what}: all workers, per file", others, "ms")
    if engine == "processes" and workers == max(WORKERS["processes"]):
        seconds = max(main, others / NODES) * MANY / 1e3
        note = "computed, not measured: the larger of the main process's part and a 64th of the workers'"
        yield Figure(SECTION, f"{name}: a million files on 64 processors", seconds, "s", note=note)


def _write(folder: Path, data: bytes) -> None:
    for index in range(FILES):
        place = folder / f"{index // 1000:03}"
        place.mkdir(parents=True, exist_ok=True)
        # Each differs from the others, so that nothing can be known before.
        (place / f"{index:06}.dmp").write_bytes(data and data + index.to_bytes(4, "little"))


_PARENT = """
import ctypes, os, subprocess, sys
PR_SET_CHILD_SUBREAPER = 36
ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
subprocess.Popen([sys.executable, *sys.argv[1:]])
used = 0
while True:
    try:
        _, status, usage = os.wait4(-1, 0)
    except ChildProcessError:
        break
    used += usage.ru_utime + usage.ru_stime
print(used)
"""
"""Waits for a process and all that it leaves behind: workers are children of a server, which outlives the batch."""


def _run(folder: Path, engine: str, workers: int) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-c", _PARENT, "-m", "tests.benchmarks.scaling", str(folder), engine, str(workers)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )
    batch, everything = done.stdout.split("\n")[:2]
    measured: dict[str, float] = json.loads(batch)
    if measured["files"] != FILES:
        raise RuntimeError(f"{measured['files']} rows of {FILES} files")
    return {**measured, "workers": float(everything) - measured["main"]}


def main(folder: str, engine: Any, workers: str) -> None:
    """Triages a folder and prints what that took: seconds from start to end, and seconds of this process's work."""
    from dumpmap.triage import Options, run

    before = time.process_time()
    began = time.perf_counter()
    with run(folder, Options(jobs=int(workers), engine=engine, cache=False)) as result:
        seconds = time.perf_counter() - began
        own = time.process_time() - before
        measured = {"seconds": seconds, "main": own, "files": result.state.done}
    print(json.dumps(measured), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
