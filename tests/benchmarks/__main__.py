"""Measures dumpmap beside its peers in one run and prints ratios. Nothing here is asserted: machines differ.

make bench
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

FIXTURES = Path(__file__).parents[1] / "fixtures"

sys.path.insert(0, str(Path(__file__).parents[1]))


def best(action: Callable[[], object], repeats: int = 5) -> float:
    """The least time of several, in seconds: the others are what else the machine did."""
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        action()
        times.append(time.perf_counter() - began)
    return min(times)


def child(code: str, *arguments: str) -> tuple[float, int]:
    """Runs Python code in a process of its own; returns its seconds and its peak memory in bytes.

    The peak is that of the program itself: `ru_maxrss` would begin with what its parent had when it forked.
    """
    program = f"{code}\nprint(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True)
    return time.perf_counter() - began, int(done.stdout.split()[-1]) * 1024


def line(what: str, ours: str, peer: str, ratio: str) -> None:
    """One row of the table."""
    print(f"{what:<46} {ours:>12} {peer:>24} {ratio:>8}", flush=True)


def million_regions(folder: Path) -> None:
    """A million regions: the whole way to a summary, beside a peer's way to a list of regions."""
    import udmp_parser

    import dumpmap
    from benchmarks.inputs import million

    path = str(million(folder / "million.dmp"))

    def theirs() -> int:
        parser = udmp_parser.UserDumpParser()
        parser.Parse(Path(path))
        return len(list(parser.Memory().items()))

    dumpmap.open(path).summary()
    ours, peer = best(lambda: dumpmap.open(path).summary()), best(theirs, 3)
    line("1M regions: open, classify, summary", f"{ours:.2f} s", f"udmp-parser {peer:.2f} s", f"{ours / peer:.2f}")
    frames = best(lambda: dumpmap.open(path).regions, 2)
    line(
        "1M regions: and the data frame of regions",
        f"{frames:.2f} s",
        f"udmp-parser {peer:.2f} s",
        f"{frames / peer:.2f}",
    )


def huge_dump(folder: Path) -> None:
    """64 GiB of memory in a sparse file."""
    from benchmarks.inputs import sparse

    path = str(sparse(folder / "sparse.dmp"))
    code = "import sys, dumpmap; dumpmap.open(sys.argv[1]).summary()"
    seconds, peak = child(code, path)
    _, pandas = child("import pandas")
    line(
        "64 GiB sparse dump: peak memory",
        f"{peak >> 20} MiB",
        f"import pandas {pandas >> 20} MiB",
        f"{peak / pandas:.2f}",
    )
    line("64 GiB sparse dump: time, process and all", f"{seconds:.2f} s", "", "")


def small_dumps(folder: Path) -> None:
    """Small dumps in a loop, beside a parser that only parses."""
    import gzip
    import logging

    from minidump.minidumpfile import MinidumpFile

    import dumpmap
    from benchmarks.triage import without_unknown_streams

    logging.disable(logging.CRITICAL)
    for name in ("leak-x64-after.dmp.gz", "layout-x86-plain.dmp", "fragment-x86.dmp.gz"):
        data = (FIXTURES / name).read_bytes()
        path = folder / name.removesuffix(".gz")
        whole = gzip.decompress(data) if name.endswith(".gz") else data
        # The peer gives up at streams that it does not know; it is measured on what it can read.
        path.write_bytes(without_unknown_streams(whole))

        def ours(path: Path = path) -> object:
            return dumpmap.open(path).summary_lines

        def theirs(path: Path = path) -> object:
            return MinidumpFile.parse(str(path))

        mine, peer = best(ours, 15), best(theirs, 15)
        title = f"{path.name}: open, classify, sum up"
        line(title, f"{mine * 1e3:.2f} ms", f"minidump {peer * 1e3:.2f} ms", f"{mine / peer:.2f}")


def start_up() -> None:
    """What a command costs before it does anything."""
    pandas = best(lambda: subprocess.run([sys.executable, "-c", "import pandas"], check=True), 5)

    def command(*arguments: str) -> None:
        subprocess.run([sys.executable, "-m", "dumpmap", "-q", *arguments], stdout=subprocess.DEVNULL, check=True)

    for title, arguments in (
        ("dumpmap --help", ["--help"]),
        ("dumpmap summary", ["summary", str(FIXTURES / "layout-x86.dmp.gz")]),
    ):
        mine = best(lambda arguments=arguments: command(*arguments), 5)  # type: ignore[misc]
        line(title, f"{mine:.2f} s", f"import pandas {pandas:.2f} s", f"{mine / pandas:.2f}")


def heap_segments() -> None:
    """What 2,000 heap segments cost more."""
    from synth.heaps import SegmentSpec, nt_heap, write_heap_array
    from synth.process import ProcessBuilder

    import dumpmap

    dumps = []
    for count in (1, 2000):
        process = ProcessBuilder("x64", 19045).furnish()
        nt_heap(process, segments=[SegmentSpec(0x10000)] * count)
        write_heap_array(process)
        dumps.append(process.to_minidump().build())
    small, large = (best(lambda data=data: dumpmap.open(data), 7) for data in dumps)  # type: ignore[misc]
    line("2,000 heap segments: cost more than one", f"{(large - small) * 1e3:.0f} ms", "", "")


def main() -> None:
    """Runs all measurements."""
    print(f"{'':<46} {'dumpmap':>12} {'peer':>24} {'ratio':>8}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        start_up()
        small_dumps(folder)
        million_regions(folder)
        huge_dump(folder)
    heap_segments()


if __name__ == "__main__":
    main()
