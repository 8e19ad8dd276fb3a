"""One harness in a process of its own, guided by coverage where atheris is installed; see `tests.fuzz`.

python -m tests.fuzz.worker HARNESS SECONDS SEED FOLDER

FOLDER gets the inputs that reached something new (`kept`), those that failed (`found`), and the figures (`stats.json`).
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import random
import resource
import sys
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from fuzz.plan import PLANS

LONGEST = 5
"""Processor seconds of one execution. The inputs are small: more is a finding."""

MEMORY = 512 << 20
"""Bytes that a run may have beside what the process has at its start, libFuzzer's inputs included."""

LARGEST = 16 << 10
"""Bytes of the longest input."""

GUIDED = importlib.util.find_spec("atheris") is not None


class Run:
    """Executes inputs, counts them, and keeps those that fail."""

    def __init__(self, name: str, folder: Path) -> None:
        from support.hostile import HungError, within

        from fuzz.harnesses import HARNESSES

        self.harness = HARNESSES[name]
        self.folder = folder
        self.kept = folder / "kept"
        self._found: dict[str, str] = {}
        self._within, self._hung = within, HungError
        self._count, self._start, self._used, self._written = 0, time.monotonic(), time.process_time(), 0.0
        for number, data in enumerate(self.harness.seeds()):
            (self.kept / f"seed-{number:03}").write_bytes(data)

    def one(self, data: bytes) -> None:
        """Executes one input."""
        try:
            with self._within(LONGEST):
                self.harness.run(data)
        except (Exception, self._hung) as error:
            self._failed(data, error)
        self._count += 1
        now = time.monotonic()
        if now - self._written > 0.5:
            self._written = now
            self.write()

    def _failed(self, data: bytes, error: BaseException) -> None:
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if "/dumpmap/" in frame.filename] or frames
        place = f"{type(error).__name__} at {Path(own[-1].filename).name}:{own[-1].lineno}"
        path = self.folder / "found" / hashlib.sha256(data).hexdigest()[:12]
        known = self._found.get(place)
        if known is None or len(data) < Path(known).stat().st_size:  # the shortest of one place
            path.write_bytes(data)
            path.with_suffix(".txt").write_text(traceback.format_exc(), encoding="utf-8")
            if known is not None:
                Path(known).unlink()
                Path(known).with_suffix(".txt").unlink()
            self._found[place] = str(path)
            self.write()

    def write(self) -> None:
        """Writes the figures."""
        figures = {
            "count": self._count,
            "seconds": time.monotonic() - self._start,
            "processor": time.process_time() - self._used,
            "found": self._found,
        }
        temporary = self.folder / "stats.part"
        temporary.write_text(json.dumps(figures), encoding="utf-8")
        temporary.replace(self.folder / "stats.json")


def bound_memory() -> None:
    """An input that takes much memory ends in a MemoryError, which is a finding."""
    with contextlib.suppress(OSError, ValueError), Path("/proc/self/statm").open(encoding="ascii") as file:
        private = int(file.read().split()[5]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_DATA, (private + MEMORY, private + MEMORY))


def unguided(run: Run, seconds: float, seed: int) -> None:
    """Mutates at random the seeds, and what earlier, guided runs kept."""
    chance, seeds = random.Random(seed), [path.read_bytes() for path in sorted(run.kept.iterdir())]
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        run.one(run.harness.mutate(chance.choice(seeds), chance, seeds)[:LARGEST])
    run.write()


def guided(name: str, seconds: float, seed: int, folder: Path) -> None:
    """Lets libFuzzer choose what to mutate: what reached new code is mutated again. Does not return."""
    import atheris

    with atheris.instrument_imports(include=PLANS[name].modules, enable_loader_override=False):
        load(name)
    run = Run(name, folder)
    seeds = run.harness.seeds()

    def mutate(data: bytes, longest: int, number: int) -> bytes:
        chance = random.Random(number)
        if chance.random() < 0.15:
            return bytes(atheris.Mutate(data, longest))
        return run.harness.mutate(data, chance, seeds)[:longest]

    options = {
        "max_total_time": max(1, int(seconds)),
        "seed": seed % (1 << 31) or 1,
        "max_len": LARGEST,
        "len_control": 0,
        "rss_limit_mb": 2048,
        "timeout": 120,
        "print_final_stats": 0,
        "artifact_prefix": f"{folder}/found/",
        "verbosity": 0,
    }
    arguments = [sys.argv[0], *(f"-{key}={value}" for key, value in options.items()), str(run.kept)]
    atheris.Setup(arguments, run.one, custom_mutator=mutate)
    bound_memory()
    atheris.Fuzz()


def load(name: str) -> None:
    """Imports what the harness executes, also what dumpmap imports late."""
    from fuzz.harnesses import HARNESSES

    harness = HARNESSES[name]
    for data in harness.seeds():
        harness.run(data)


def main(arguments: list[str]) -> None:
    """Runs the harness."""
    name, seconds, seed, place = arguments[0], float(arguments[1]), int(arguments[2]), Path(arguments[3])
    for folder in ("kept", "found"):
        (place / folder).mkdir(parents=True, exist_ok=True)
    if GUIDED:
        guided(name, seconds, seed, place)
    else:
        run = Run(name, place)
        bound_memory()
        unguided(run, seconds, seed)


if __name__ == "__main__":
    main(sys.argv[1:])
