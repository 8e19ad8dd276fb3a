"""Runs all harnesses for some time, one process on each core; exit code 1 if an input failed.

    python -m tests.fuzz 600                        all harnesses share ten minutes
    python -m tests.fuzz 600 7                      with the seed 7
    python -m tests.fuzz 60 --only minidump,whole

The folder (.fuzz) keeps the inputs that reached something new; a later run goes on from them.
"""

from __future__ import annotations

import argparse
import base64
import gzip
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from fuzz.plan import PLANS
from fuzz.worker import GUIDED

_GRACE = 180
"""Seconds that a worker may take beyond its time: it loads and runs its seeds before, and may be in its last input."""

_LONGEST_INPUT = 40_000
"""Characters of an input that are printed."""


@dataclass
class Job:
    """A worker's part of the run."""

    name: str
    seconds: float
    seed: int
    folder: Path
    process: subprocess.Popen[bytes] | None = None
    started: float = 0

    def start(self) -> None:
        """Starts the worker."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "stats.json").unlink(missing_ok=True)
        command = [sys.executable, "-m", "tests.fuzz.worker", self.name, str(self.seconds), str(self.seed)]
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [*command, str(self.folder)],
                stdout=log,
                stderr=log,
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "NO_COLOR": "1"},
            )
        self.started = time.monotonic()

    def ended(self) -> bool:
        """Whether the worker has ended; one that hangs is ended."""
        assert self.process is not None
        if time.monotonic() - self.started > self.seconds + _GRACE:
            self.process.kill()
            self.process.wait()
        return self.process.poll() is not None

    def figures(self) -> dict[str, Any]:
        """What the worker counted and found; a worker that did not end well is a finding itself."""
        assert self.process is not None
        path = self.folder / "stats.json"
        figures: dict[str, Any] = {"count": 0, "seconds": 0, "processor": 0, "found": {}}
        if path.exists():
            figures = json.loads(path.read_bytes())
        if self.process.returncode:
            place = f"the worker ended with {self.process.returncode}"
            left = sorted(self.folder.glob("found/*-*"), key=lambda file: file.stat().st_mtime)
            figures["found"][place] = str(left[-1] if left else self.folder / "log")
        return figures


def planned(names: Sequence[str], seconds: float, workers: int, seed: int, folder: Path) -> list[Job]:
    """Divides the time of all workers among the harnesses, the longest parts first."""
    whole = sum(PLANS[name].share for name in names)
    jobs = []
    for name in names:
        part = seconds * workers * PLANS[name].share / whole
        count = math.ceil(part / seconds)
        jobs += [Job(name, part / count, seed + n, folder / f"{name}-{n}") for n in range(count)]
    return sorted(jobs, key=lambda job: -job.seconds)


def run(jobs: Sequence[Job], workers: int) -> None:
    """Runs the jobs, so many at a time."""
    waiting = list(jobs)
    running: list[Job] = []
    try:
        while waiting or running:
            running = [job for job in running if not job.ended()]
            while waiting and len(running) < workers:
                job = waiting.pop(0)
                job.start()
                running.append(job)
            time.sleep(0.1)
    finally:
        for job in running:
            if job.process is not None:
                job.process.kill()
                job.process.wait()


def lines(name: str, jobs: Sequence[Job]) -> str:
    """Counts the lines of the harness's rooms that the kept inputs execute."""
    command = [sys.executable, "-m", "tests.fuzz.lines", name, *(str(job.folder / "kept") for job in jobs)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else "not counted"


def report(jobs: Sequence[Job], names: Sequence[str]) -> bool:
    """Prints the table and what failed; returns whether something did."""
    columns = f"{'executions':>12}{'a second':>10}{'seconds':>9}{'kept':>7}{'findings':>10}"
    print("\nseconds: by the clock; a second: of the processor; kept: inputs that reached something new")
    print(f"{'harness':12}{columns}  lines of its rooms")
    found: list[tuple[str, str, str]] = []
    for name in names:
        mine = [job for job in jobs if job.name == name]
        figures = [job.figures() for job in mine]
        count, seconds, used = (sum(one[key] for one in figures) for key in ("count", "seconds", "processor"))
        places = {place: path for one in figures for place, path in one["found"].items()}
        found += [(name, place, path) for place, path in places.items()]
        kept = sum(len(list((job.folder / "kept").iterdir())) for job in mine)
        row = f"{name:12}{count:>12,}{count / max(used, 0.1):>10,.0f}{seconds:>9,.0f}{kept:>7,}{len(places):>10}"
        print(f"{row}  {lines(name, mine)}", flush=True)
        if not count:
            found.append((name, "no input was executed", str(mine[0].folder / "log")))
    for name, place, path in found:
        trace = Path(path).with_suffix(".txt")
        print(f"\nFAILED {name}: {place}\n  input: {path}{packed(Path(path))}")
        print(trace.read_text(encoding="utf-8") if trace.exists() else "", end="")
    return bool(found)


def packed(path: Path) -> str:
    """An input as text from which `base64 -d | gunzip` makes it again: the machine that found it may be gone."""
    text = base64.b64encode(gzip.compress(path.read_bytes(), mtime=0)).decode() if path.name != "log" else ""
    return f"\n  gzip, base64: {text}" if 0 < len(text) <= _LONGEST_INPUT else ""


def main(arguments: Sequence[str]) -> int:
    """Runs the harnesses and reports."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seconds", nargs="?", type=float, default=120)
    parser.add_argument("seed", nargs="?", type=int, default=time.time_ns() % (1 << 30))
    parser.add_argument("--only", default=",".join(PLANS), help="harnesses, separated by commas")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--folder", type=Path, default=Path(".fuzz"))
    given = parser.parse_args(arguments)
    names = given.only.split(",")
    how = "guided by coverage (atheris)" if GUIDED else "not guided: atheris is not installed"
    print(f"seed {given.seed}, {given.workers} workers, {how}", flush=True)
    jobs = planned(names, given.seconds, given.workers, given.seed, given.folder.resolve())
    run(jobs, given.workers)
    return int(report(jobs, names))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
