"""Counts the lines that kept inputs execute: python -m tests.fuzz.lines HARNESS FOLDER..."""

from __future__ import annotations

import contextlib
import random
import sys
import time
from pathlib import Path

import coverage

sys.path.insert(0, str(Path(__file__).parents[1]))

from fuzz.plan import PLANS

PACKAGE = Path(__file__).parents[2] / "dumpmap"
_SECONDS = 8
"""So long inputs are executed, the seeds first: tracing is slow, and a part of them reaches nearly as many lines."""


def main(name: str, folders: list[Path]) -> None:
    """Executes kept inputs and prints how many lines of the harness's rooms they reach."""
    files = [
        path
        for room in PLANS[name].rooms
        for path in ([PACKAGE / room] if room.endswith(".py") else (PACKAGE / room).rglob("*.py"))
    ]
    inputs = [path for folder in folders for path in sorted(folder.iterdir())]
    random.Random(0).shuffle(inputs)
    inputs.sort(key=lambda path: not path.name.startswith("seed"))
    traced = coverage.Coverage(data_file=None, include=[str(path) for path in files], config_file=False)
    traced.start()
    from fuzz.harnesses import HARNESSES

    end = time.monotonic() + _SECONDS
    for path in inputs:
        with contextlib.suppress(Exception):  # what fails was reported before
            HARNESSES[name].run(path.read_bytes())
        if time.monotonic() > end:
            break
    traced.stop()
    total = missed = 0
    for path in files:
        _, statements, _, missing, _ = traced.analysis2(str(path))
        total, missed = total + len(statements), missed + len(missing)
    print(f"{total - missed:,} of {total:,} ({100 * (total - missed) / total:.0f} %)")


if __name__ == "__main__":
    main(sys.argv[1], [Path(folder) for folder in sys.argv[2:]])
