"""Triage: what a file costs beside `minidump`'s parse of it, and what a batch costs in time and memory.

    python -m tests.benchmarks.triage                   both, as a table
    python -m tests.benchmarks.triage --files 10000     with a larger batch
    python -m tests.benchmarks.triage --s3              instead of these: 2 GB in a bucket, what goes over the wire
    python -m tests.benchmarks.triage --json            for scripts

The cost of a file is processor time, the least of many runs, ours and `minidump`'s turn by turn: the ratio means more
than the times. A batch is generated: public dumps, whole, cut off, and with bytes changed, and files that are none.
"""

from __future__ import annotations

import argparse
import gzip
import json
import logging
import os
import random
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

FIXTURES = Path(__file__).parents[1] / "fixtures"
FILES = 2_000
JOBS = 2
ROUNDS = 60

_FOREIGN = (b"\x7fELF" + bytes(2000), b"%PDF-1.7\n" * 50, b"plain text\n" * 200, bytes(5000), b"PAGEDU64" + bytes(5000))


def corpus() -> Path | None:
    """The folder of public dumps, if it is there."""
    named = os.environ.get("DUMPMAP_CORPUS")
    folder = Path(named) if named else Path(__file__).parents[3] / "shared" / "corpus"
    return folder if folder.is_dir() else None


def dumps() -> Iterator[tuple[str, bytes]]:
    """Every whole dump that is there, unpacked."""
    for path in sorted(FIXTURES.glob("*.dmp.gz")):
        yield path.name.removesuffix(".gz"), gzip.decompress(path.read_bytes())
    for path in sorted(FIXTURES.glob("*.dmp")):
        yield path.name, path.read_bytes()
    folder = corpus()
    for path in sorted(folder.glob("*.*dmp")) if folder else ():
        yield path.name, path.read_bytes()


# ---------------------------------------------------------------- one file


def without_unknown_streams(data: bytes) -> bytes:
    """The dump with those streams marked as unused that `minidump` gives up at."""
    from minidump.constants import MINIDUMP_STREAM_TYPE

    known = {int(member.value) for member in MINIDUMP_STREAM_TYPE}
    patched = bytearray(data)
    count, directory = struct.unpack_from("<II", patched, 8)
    for offset in range(directory, min(directory + 12 * count, len(patched) - 11), 12):
        (number,) = struct.unpack_from("<I", patched, offset)
        if number not in known:
            struct.pack_into("<I", patched, offset, 0)
    return bytes(patched)


def least(ours: Callable[[], object], theirs: Callable[[], object], rounds: int) -> tuple[float, float]:
    """The least processor time of each, in ms, measured turn by turn."""
    best = [float("inf"), float("inf")]
    for _ in range(rounds):
        for index, run in enumerate((ours, theirs)):
            began = time.process_time()
            run()
            best[index] = min(best[index], time.process_time() - began)
    return best[0] * 1e3, best[1] * 1e3


def cost_per_file(rounds: int = ROUNDS) -> dict[str, Any]:
    """Compares the whole work on a file, from its path to its row, with `minidump`'s parse of it."""
    from minidump.minidumpfile import MinidumpFile

    from dumpmap.triage import preload  # noqa: F401 - workers have made all imports, too
    from dumpmap.triage.analyse import analyse
    from dumpmap.triage.jobs import local_job

    def parse(path: str) -> None:
        parsed = MinidumpFile.parse(path)
        parsed.file_handle.close()

    logging.disable(logging.CRITICAL)
    groups: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as place:
        for name, data in dumps():
            path = Path(place) / name
            path.write_bytes(without_unknown_streams(data) if data.startswith(b"MDMP") and len(data) > 32 else data)
            job = local_job(str(path))
            row = analyse(job).row
            try:
                parse(str(path))
            except Exception:  # whatever it raises, there is nothing to compare with
                continue
            if row["status"] == "error":
                continue
            ours, theirs = least(lambda job=job: analyse(job), lambda path=path: parse(str(path)), rounds)  # type: ignore[misc]
            kind = f"{(row['os'] or 'other').split()[0]}, {'partial' if row['regions'] is None else 'with regions'}"
            group = groups.setdefault(kind, {"files": 0, "ours_ms": 0.0, "minidump_ms": 0.0})
            group["files"] += 1
            group["ours_ms"] += ours
            group["minidump_ms"] += theirs
    total = {field: sum(group[field] for group in groups.values()) for field in ("files", "ours_ms", "minidump_ms")}
    groups["all"] = total
    for group in groups.values():
        group["ratio"] = round(group["ours_ms"] / group["minidump_ms"], 2)
        group["ours_ms"] = round(group["ours_ms"] / group["files"], 2)
        group["minidump_ms"] = round(group["minidump_ms"] / group["files"], 2)
    return groups


# ---------------------------------------------------------------- a batch


def write_batch(folder: Path, count: int, seed: int = 1) -> None:
    """Writes `count` files: 60 % whole dumps, 15 % cut off, 15 % with bytes changed, 5 % empty, 5 % no dumps."""
    chance = random.Random(seed)
    sources = [data for _, data in dumps() if len(data) < 500_000]
    for index in range(count):
        data = bytearray(chance.choice(sources))
        kind = chance.random()
        if kind < 0.15:
            del data[chance.randrange(len(data)) :]
        elif kind < 0.30:
            for _ in range(chance.randrange(1, 20)):
                data[chance.randrange(len(data))] = chance.randrange(256)
        elif kind < 0.35:
            data.clear()
        elif kind < 0.40:
            data[:] = chance.choice(_FOREIGN)
        place = folder / f"{index // 1000:03}"
        place.mkdir(exist_ok=True)
        (place / f"{index:06}.dmp").write_bytes(data)


class Peaks(threading.Thread):
    """Notes the most memory that the worker processes hold: of each what is its own, without shared pages."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.one = self.all = 0
        self._ended = threading.Event()

    def run(self) -> None:
        import psutil

        me = psutil.Process()
        while not self._ended.wait(0.1):
            sizes = []
            for child in me.children(recursive=True):
                try:
                    info = child.memory_info()
                except psutil.Error:
                    continue
                sizes.append(info.rss - getattr(info, "shared", 0))
            self.one = max(self.one, *sizes, 0)
            self.all = max(self.all, sum(sizes))

    def end(self) -> None:
        self._ended.set()
        self.join()


def peak_memory() -> int:
    """The most that this process has held so far, in bytes."""
    with Path("/proc/self/status").open() as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmHWM:"))


def run_batch(folder: Path, jobs: int, output: Path) -> dict[str, Any]:
    """Triages a folder in this process and measures it."""
    from dumpmap.render.triage import write_result
    from dumpmap.triage import Options, run

    peaks = Peaks()
    peaks.start()
    began = time.perf_counter()
    with run(folder, Options(jobs=jobs, cache=output / "cache.sqlite")) as result:
        seconds = time.perf_counter() - began
        write_result(result, "csv", output / "rows.csv")
        statuses: dict[str, int] = {}
        for row in result.rows():
            statuses[row["status"]] = statuses.get(row["status"], 0) + 1
        internal = sum(str(row["error"]).startswith("internal") for row in result.rows())
    peaks.end()
    parent = peak_memory()
    again = time.perf_counter()
    with run(folder, Options(jobs=jobs, cache=output / "cache.sqlite")) as result:
        known = result.state.cached
    return {
        "files": sum(statuses.values()),
        "seconds": round(seconds, 2),
        "files_per_second": round(sum(statuses.values()) / seconds, 1),
        "statuses": dict(sorted(statuses.items())),
        "internal_errors": internal,
        "parent_peak_mib": parent >> 20,
        "worker_peak_mib": peaks.one >> 20,
        "all_workers_peak_mib": peaks.all >> 20,
        "second_run_seconds": round(time.perf_counter() - again, 2),
        "second_run_known": known,
    }


def batch(count: int, jobs: int = JOBS) -> dict[str, Any]:
    """Generates a batch and triages it in a process of its own, whose memory nothing else has used."""
    with tempfile.TemporaryDirectory() as place:
        folder, output = Path(place) / "dumps", Path(place) / "output"
        folder.mkdir()
        output.mkdir()
        write_batch(folder, count)
        done = subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.triage", "--run", str(folder), "--jobs", str(jobs), str(output)],
            stdout=subprocess.PIPE,
            check=True,
            cwd=Path(__file__).parents[2],
        )
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def measure(count: int = FILES, jobs: int = JOBS) -> dict[str, Any]:
    """All figures: the cost of a file, a batch, and a batch of a tenth of its size."""
    return {"per_file": cost_per_file(), "batches": [batch(max(100, count // 10), jobs), batch(count, jobs)]}


def report(figures: dict[str, Any]) -> str:
    """The figures as text."""
    lines = ["One file, path to row, beside minidump's parse (processor time):"]
    for name, group in figures["per_file"].items():
        lines.append(
            f"  {name:<24}{group['files']:>4} files {group['ours_ms']:>8.2f} ms {group['minidump_ms']:>8.2f} ms"
            f"   ratio {group['ratio']:.2f}"
        )
    lines.append("A batch:")
    for run in figures["batches"]:
        lines.append(
            f"  {run['files']:>6} files {run['seconds']:>7.1f} s {run['files_per_second']:>7.1f} files/s   peak MiB: "
            f"parent {run['parent_peak_mib']}, a worker {run['worker_peak_mib']}; again "
            f"{run['second_run_seconds']:.1f} s, {run['second_run_known']} known; {run['statuses']}"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """The command line of this module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=FILES)
    parser.add_argument("--jobs", type=int, default=JOBS)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--s3", action="store_true")
    parser.add_argument("--size", default="2GB", help="of the dumps in the bucket")
    parser.add_argument("--run", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("output", type=Path, nargs="?", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.run is not None:
        print(json.dumps(run_batch(asked.run, asked.jobs, asked.output)))
        return
    if asked.s3:
        from dumpmap.model.sizes import parse_size

        from . import remote

        found = remote.measure(parse_size(asked.size))
        print(json.dumps(found, indent=1) if asked.json else remote.report(found), end="")
        if any(one["share"] >= 0.01 or not one["as_of_the_local_file"] for one in found):
            sys.exit("more than 1 % was fetched, or a row is not as of the local file")
        return
    figures = measure(asked.files, asked.jobs)
    print(json.dumps(figures, indent=1) if asked.json else report(figures), end="")


if __name__ == "__main__":
    main()
