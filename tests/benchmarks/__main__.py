"""Measures dumpmap beside its peers in one run and prints ratios. It asserts nothing: machines differ.

    make bench
    python -m tests.benchmarks                     all
    python -m tests.benchmarks start regions       some: start, regions, sparse, small, segments
    python -m tests.benchmarks --json

Each figure is the minimum of several rounds, in which dumpmap and its peer take turns, because other programs use the
machine too. Each budget is a ratio, or a figure that does not depend on the speed of the machine.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

FIXTURES = Path(__file__).parents[1] / "fixtures"
ROUNDS = 7
MIB = 1 << 20


@dataclass(frozen=True)
class Measurement:
    """One line of the table."""

    what: str
    ours: str
    peer: str = ""
    ratio: float | None = None
    budget: str = ""

    def print(self) -> None:
        """Prints the line."""
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}"
        print(f"{self.what:<62} {self.ours:>10} {self.peer:>24} {ratio:>6}  {self.budget}", flush=True)


def turns(
    *actions: Callable[[], object], rounds: int = ROUNDS, clock: Callable[[], float] = time.perf_counter
) -> list[float]:
    """Measures actions turn by turn; returns the minimum of each, in seconds."""
    best = [float("inf")] * len(actions)
    for _ in range(rounds):
        for index, action in enumerate(actions):
            began = clock()
            action()
            best[index] = min(best[index], clock() - began)
    return best


def compared(what: str, unit: str, ours: float, peer: str, theirs: float, budget: str = "") -> Measurement:
    """Makes a line with both figures, in seconds or milliseconds."""
    factor, digits = {"s": (1.0, 2), "ms": (1e3, 2)}[unit]
    texts = [f"{value * factor:.{digits}f} {unit}" for value in (ours, theirs)]
    return Measurement(what, texts[0], f"{peer} {texts[1]}", ours / theirs, budget)


# ---------------------------------------------------------------- start-up


def start_up(folder: Path) -> list[Measurement]:
    """Measures a command as a whole process, beside the import of pandas."""
    # With compiled modules, as after an installation. A read-only or fresh tree has none.
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(folder / "compiled")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)

    def python(*arguments: str) -> None:
        subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True, env=environment)

    def seconds(*actions: Callable[[], object]) -> list[float]:
        for action in actions:
            action()
        return turns(*actions)

    small = str(FIXTURES / "layout-x86-plain.dmp")
    regions = str(FIXTURES / "layout-x86.dmp.gz")
    pandas, help_, summary, mapped = seconds(
        lambda: python("-c", "import pandas"),
        lambda: python("-m", "dumpmap", "--help"),
        lambda: python("-m", "dumpmap", "-q", "summary", small),
        lambda: python("-m", "dumpmap", "-q", "summary", regions),
    )
    return [
        compared("dumpmap --help", "s", help_, "import pandas", pandas, "loads no pandas"),
        compared("dumpmap summary, 22 KB without a region list", "s", summary, "import pandas", pandas, "<= 1.5"),
        compared("dumpmap summary, 269 regions, heaps walked", "s", mapped, "import pandas", pandas, "<= 1.5"),
    ]


# ---------------------------------------------------------------- a million regions


def million_regions(folder: Path) -> list[Measurement]:
    """Measures the way to a summary, beside the peer's way to a list of regions."""
    import udmp_parser

    import dumpmap
    from benchmarks.inputs import million

    path = million(folder / "million.dmp")

    def theirs() -> int:
        parser = udmp_parser.UserDumpParser()
        parser.Parse(path)
        return len(list(parser.Memory().items()))

    ours, peer = turns(lambda: dumpmap.open(path).summary(), theirs, rounds=5)
    frames, _ = turns(lambda: dumpmap.open(path).regions, lambda: None, rounds=2)
    return [
        compared("1,000,000 regions: open, classify, summary", "s", ours, "udmp-parser", peer, "< 1"),
        compared("the same, and the data frame of all regions", "s", frames, "udmp-parser", peer),
    ]


# ---------------------------------------------------------------- a huge file

_PEAK = "\nprint(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"

_COUNTED = """
import sys, dumpmap
from dumpmap.sources.files import BufferSource, FileSource
looked = [0]
for kind in (BufferSource, FileSource):
    def view(self, offset, size, of=kind.view):
        looked[0] += size
        return of(self, offset, size)
    def views(self, ranges, of=kind.views):
        before = looked[0]
        found = of(self, ranges)
        looked[0] = before + sum(size for _, size in ranges)
        return found
    if 'view' in vars(kind):
        kind.view = view
    kind.views = views
dumpmap.open(sys.argv[1]).summary()
print(looked[0])
"""


def child(code: str, *arguments: str) -> tuple[float, int]:
    """Runs Python code in a process of its own; returns its seconds and the last number that it printed."""
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    return time.perf_counter() - began, int(done.stdout.split()[-1])


def huge_dump(folder: Path) -> list[Measurement]:
    """Measures 64 GiB of memory in a sparse file: memory used, bytes read."""
    from benchmarks.inputs import sparse

    path = str(sparse(folder / "sparse.dmp"))
    # The peak of the program itself: `ru_maxrss` begins with the peak of its parent at the fork.
    code = "import sys, dumpmap; dumpmap.open(sys.argv[1]).summary()" + _PEAK
    runs = [child(code, path) for _ in range(3)]
    seconds, peak = min(run[0] for run in runs), max(run[1] for run in runs) * 1024
    _, pandas = child("import pandas" + _PEAK)
    _, looked_at = child(_COUNTED, path)
    return [
        Measurement(
            "64 GiB sparse dump, 20,000 ranges: peak memory",
            f"{peak // MIB} MiB",
            f"import pandas {pandas * 1024 // MIB} MiB",
            peak / (pandas * 1024),
            "< 200 MiB",
        ),
        Measurement("the same: bytes of the file that are read", f"{looked_at / MIB:.1f} MiB", "file 65,536 MiB"),
        Measurement("the same: time of the whole process", f"{seconds:.2f} s"),
    ]


# ---------------------------------------------------------------- small dumps in a loop


def small_dumps(folder: Path) -> list[Measurement]:
    """Measures every recorded and public dump in a loop, beside a parser that only parses."""
    from minidump.minidumpfile import MinidumpFile

    import dumpmap
    from benchmarks.triage import dumps, without_unknown_streams

    def parse(path: str) -> None:
        MinidumpFile.parse(path).file_handle.close()

    groups: dict[str, list[tuple[float, float]]] = {}
    logging.disable(logging.CRITICAL)  # minidump logs a traceback for most files
    for name, data in dumps():
        if not data.startswith(b"MDMP") or len(data) <= 32:
            continue
        path = str(folder / name)
        # The peer fails on unknown streams; it is measured on copies without them.
        Path(path).write_bytes(without_unknown_streams(data))
        with contextlib.suppress(Exception):  # a file that either of them rejects is not compared
            m = dumpmap.open(path)
            parse(path)
            ours, theirs = turns(
                lambda path=path: dumpmap.open(path).summary_lines,  # type: ignore[misc]
                lambda path=path: parse(path),  # type: ignore[misc]
                rounds=25,
                clock=time.process_time,
            )
            kind = f"{m.process.os.family}, {'no region list' if m.partial else 'with regions'}"
            groups.setdefault(kind, []).append((ours, theirs))
    logging.disable(logging.NOTSET)
    groups["all"] = [pair for pairs in groups.values() for pair in pairs]
    rows = []
    for kind, pairs in groups.items():
        ours, theirs = (sum(values) / len(pairs) for values in zip(*pairs, strict=True))
        what = f"a dump in a loop: {kind} ({len(pairs)} files), mean"
        rows.append(compared(what, "ms", ours, "minidump", theirs, "< 1" if kind == "all" else ""))
    return rows


# ---------------------------------------------------------------- heaps


def heap_segments(folder: Path) -> list[Measurement]:
    """Measures the cost of 2,000 heap segments above that of one."""
    del folder
    from synth.heaps import SegmentSpec, nt_heap, write_heap_array
    from synth.process import ProcessBuilder

    import dumpmap

    made = []
    for count in (1, 2000):
        process = ProcessBuilder("x64", 19045).furnish()
        nt_heap(process, segments=[SegmentSpec(0x10000)] * count)
        write_heap_array(process)
        made.append(process.to_minidump().build())
    one, many = turns(lambda: dumpmap.open(made[0]), lambda: dumpmap.open(made[1]), rounds=15, clock=time.process_time)
    return [Measurement("2,000 heap segments: cost above one", f"{(many - one) * 1e3:.0f} ms", budget="< 50 ms")]


MEASURES: dict[str, Callable[[Path], list[Measurement]]] = {
    "start": start_up,
    "regions": million_regions,
    "sparse": huge_dump,
    "small": small_dumps,
    "segments": heap_segments,
}


def main() -> None:
    """The command line of this module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("measures", nargs="*", help=f"some of: {', '.join(MEASURES)}; all by default")
    parser.add_argument("--json", action="store_true", help="write JSON")
    asked = parser.parse_args()
    unknown = set(asked.measures) - set(MEASURES)
    if unknown:
        parser.error(f"no such measure: {', '.join(sorted(unknown))}")
    rows = []
    if not asked.json:
        print(f"{'':<62} {'dumpmap':>10} {'peer':>24} {'ratio':>6}  budget")
    for name in asked.measures or MEASURES:
        with tempfile.TemporaryDirectory() as place:
            for row in MEASURES[name](Path(place)):
                rows.append(row)
                if not asked.json:
                    row.print()
    if asked.json:
        print(json.dumps([asdict(row) for row in rows], indent=1))


if __name__ == "__main__":
    main()
