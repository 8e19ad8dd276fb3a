"""Runs the harnesses for some time; exit code 1 if something failed."""

from __future__ import annotations

import hashlib
import random
import sys
import tempfile
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.hostile import HungError, within

from fuzz.harnesses import HARNESSES, Harness
from fuzz.mutation import mutated

LONGEST = 10
"""Processor seconds of one execution. The inputs are small: more is a finding."""


def fuzz(harness: Harness, seconds: float, generator: random.Random) -> tuple[int, dict[str, tuple[bytes, str]]]:
    """Runs one harness; returns the number of executions and, by place, an input that failed and its traceback."""
    seeds = harness.seeds()
    found: dict[str, tuple[bytes, str]] = {}
    count, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        data = mutated(generator.choice(seeds), generator, seeds)
        count += 1
        try:
            with within(LONGEST):
                harness.run(data)
        except (Exception, HungError) as error:
            frames = traceback.extract_tb(error.__traceback__)
            place = f"{type(error).__name__} at {Path(frames[-1].filename).name}:{frames[-1].lineno}"
            found.setdefault(place, (data, traceback.format_exc()))
    return count, found


def main(arguments: list[str]) -> int:
    """Shares the time among the harnesses."""
    seconds = float(arguments[0]) if arguments else 120
    seed = int(arguments[1]) if len(arguments) > 1 else time.time_ns()
    print(f"seed {seed}")
    failed = False
    for name, harness in HARNESSES.items():
        count, found = fuzz(harness, seconds / len(HARNESSES), random.Random(f"{seed} {name}"))
        print(f"{name}: {count:,} executions, {len(found)} findings", flush=True)
        for place, (data, text) in found.items():
            failed = True
            path = Path(tempfile.gettempdir()) / f"dumpmap-fuzz-{name}-{hashlib.sha256(data).hexdigest()[:12]}"
            path.write_bytes(data)
            print(f"  {place}: {path}\n{text}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
