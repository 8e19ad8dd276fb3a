"""What the benchmarks measure. Peers are taken as they are, and inputs as they are found."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from . import inputs
from .measuring import MIB, Figure, Rounds, medians, process_medians
from .scaling import batches
from .triage import FIXTURES, dumps

PEER = "udmp-parser"

_PEER_LIST = (
    "import sys, pathlib, udmp_parser\n"
    "parser = udmp_parser.UserDumpParser()\n"
    "assert parser.Parse(pathlib.Path(sys.argv[1]))\n"
    "list(parser.Memory().items())"
)
_SYSTEMS = {"windows": "Windows", "linux": "Linux and Android", "macos": "macOS and iOS"}
"""Systems by kernel."""

_OUR_SUMMARY = "import sys, dumpmap; dumpmap.open(sys.argv[1]).summary_lines"

_READ = """
import sys, dumpmap
from dumpmap.sources.files import BufferSource, FileSource
read = [0]
for kind in (BufferSource, FileSource):
    def view(self, offset, size, of=kind.view):
        read[0] += size
        return of(self, offset, size)
    def gather(self, offsets, size, of=kind.gather):
        read[0] += len(offsets) * size
        return of(self, offsets, size)
    kind.view, kind.gather = view, gather
dumpmap.open(sys.argv[1]).summary_lines
print(read[0])
"""


def start_up(folder: Path) -> Iterable[Figure]:
    """Commands as whole processes."""
    # With compiled modules, as after an installation. A read-only or fresh tree has none.
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(folder / "compiled")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    small, mapped = str(FIXTURES / "layout-x86-plain.dmp"), str(FIXTURES / "layout-x86.dmp.gz")
    commands = {
        "`dumpmap --help`": ["-m", "dumpmap", "--help"],
        "`dumpmap summary` of 22 KB without a region list": ["-m", "dumpmap", "-q", "summary", small],
        "`dumpmap summary` of 269 regions, heaps walked": ["-m", "dumpmap", "-q", "summary", mapped],
    }
    peer = ["-c", "import pandas"]
    process_medians(peer, *commands.values(), rounds=1, environment=environment)  # compiles
    theirs, *ours = process_medians(peer, *commands.values(), environment=environment)
    for what, cost in zip(commands, ours, strict=True):
        yield Figure("Start-up", what, cost.seconds, "s", "import pandas", theirs.seconds, 1.0)


def million_regions(folder: Path) -> Iterable[Figure]:
    """A full dump of a million regions: the way to a summary, and outputs of all regions."""
    path = str(inputs.full_million(folder / "million.dmp"))
    snapshot = str(folder / "million.json")
    process_medians(["-m", "dumpmap", "-q", "snapshot", path, "-o", snapshot], rounds=1)
    peer = ["-c", _PEER_LIST, path]
    theirs, ours = medians(partial(_peer_list, path), partial(_summary, path))
    yield Figure("A million regions", "open, classify, summary", ours, "s", PEER, theirs, 0.3, "in one process")
    whole, cost = process_medians(peer, ["-c", _OUR_SUMMARY, path], rounds=Rounds.few())
    yield Figure("A million regions", "the same as a process", cost.seconds, "s", PEER, whole.seconds)
    yield Figure("A million regions", "the same: peak memory", cost.peak / MIB, "MiB", PEER, whole.peak / MIB)
    for what, arguments, seconds in (
        ("`regions --blocks --format json`", ["regions", path, "--blocks", "--format", "json"], 5.0),
        ("`regions --blocks --format csv`", ["regions", path, "--blocks", "--format", "csv"], 3.0),
        ("`regions --blocks`", ["regions", path, "--blocks"], 8.0),
        ("`regions --blocks --limit 10`", ["regions", path, "--blocks", "--limit", "10"], None),
        ("`summary` of the reduced snapshot", ["summary", snapshot], None),
        ("`report`", ["report", path, "--force", "-o", str(folder / "report.html")], None),
    ):
        their, cost = process_medians(peer, ["-m", "dumpmap", "-q", *arguments], rounds=Rounds.few())
        note = f"wanted: less than {seconds:.0f} s" if seconds else ""
        yield Figure("Outputs of a million regions", what, cost.seconds, "s", PEER, their.seconds, note=note)
        yield Figure("Outputs of a million regions", f"{what}: peak memory", cost.peak / MIB, "MiB", budget=500)


def growth(folder: Path) -> Iterable[Figure]:
    """The same dump with fewer and with more regions."""
    environment = {**os.environ, "DUMPMAP_MAX_REGIONS": str(8 << 20), "DUMPMAP_MAX_RANGES": str(8 << 20)}
    for count in (1_000, 10_000, 100_000, 1_000_000, 4_000_000):
        path = str(inputs.full_million(folder / f"{count}.dmp", count))
        (cost,) = process_medians(["-c", _OUR_SUMMARY, path], rounds=Rounds.few(), environment=environment)
        what = f"{count:,} regions"
        yield Figure("From a thousand to four million regions", what, cost.seconds, "s")
        yield Figure("From a thousand to four million regions", f"{what}: peak memory", cost.peak / MIB, "MiB")
        Path(path).unlink()


def sparse_dump(folder: Path) -> Iterable[Figure]:
    """64 GiB of memory in a sparse file."""
    import subprocess
    import sys

    path = str(inputs.sparse(folder / "sparse.dmp"))
    cost, pandas = process_medians(["-c", _OUR_SUMMARY, path], ["-c", "import pandas"], rounds=Rounds.few())
    section = "64 GiB of memory in 20,000 ranges"
    yield Figure(section, "peak memory", cost.peak / MIB, "MiB", "import pandas", pandas.peak / MIB, note="< 150 MiB")
    yield Figure(section, "user and system time", cost.seconds, "s", "import pandas", pandas.seconds)
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", _READ, path], stdout=subprocess.PIPE, text=True, check=True, cwd=root)
    yield Figure(section, "bytes of the file that are read", int(done.stdout) / MIB, "MiB", "the file", 65536.0)


def small_dumps(folder: Path) -> Iterable[Figure]:
    """Recorded and public dumps as they are, in one process: to the summary and to the row of a batch."""
    from minidump.minidumpfile import MinidumpFile

    import dumpmap
    from dumpmap.model.counts import count_words
    from dumpmap.model.systems import kernel_of
    from dumpmap.triage import preload  # noqa: F401 - workers have made all imports, too
    from dumpmap.triage.analyse import analyse
    from dumpmap.triage.jobs import local_job

    def parse(path: str) -> None:
        MinidumpFile.parse(path).file_handle.close()

    groups: dict[str, list[tuple[float, float, float]]] = {}
    raised: dict[str, int] = {}
    logging.disable(logging.CRITICAL)  # minidump logs a traceback for most files
    for name, data in dumps():
        if not data.startswith(b"MDMP") or len(data) <= 32:
            continue
        path = str(folder / name)
        Path(path).write_bytes(data)
        try:
            m = dumpmap.open(path)
        except dumpmap.DumpmapError:
            continue
        family = _SYSTEMS.get(kernel_of(m.process.os.family), "other")
        kind = f"{family}, {'without' if m.partial else 'with'} a list of regions"
        try:
            parse(path)
        except Exception:  # whatever it raises, there is nothing to compare
            raised[kind] = raised.get(kind, 0) + 1
            continue
        job = local_job(path)
        costs = medians(partial(parse, path), partial(_summary, path), partial(analyse, job))
        groups.setdefault(kind, []).append((costs[0], costs[1], costs[2]))
    logging.disable(logging.NOTSET)
    groups["All"] = [costs for files in groups.values() for costs in files]
    raised["All"] = sum(raised.values())
    for kind in sorted({*groups, *raised}, key=lambda kind: (kind == "All", kind)):
        files = groups.get(kind)
        note = f"minidump raises on {raised[kind]} more" if raised.get(kind) else ""
        if not files:
            continue
        theirs, summary, row = (sum(values) / len(files) * 1e3 for values in zip(*files, strict=True))
        what = f"{kind} ({count_words(len(files), 'file')})"
        yield Figure("Small dumps: to the summary", what, summary, "ms", "minidump", theirs, note=note)
        yield Figure("Small dumps: to the row of a batch", what, row, "ms", "minidump", theirs, note=note)


def _peer_list(path: str) -> None:
    import udmp_parser

    parser = udmp_parser.UserDumpParser()
    if not parser.Parse(Path(path)):
        raise ValueError("udmp-parser refuses the dump")
    list(parser.Memory().items())


def _summary(path: str) -> None:
    import dumpmap

    _ = dumpmap.open(path).summary_lines


MEASURES: dict[str, Callable[[Path], Iterable[Figure]]] = {
    "start": start_up,
    "million": million_regions,
    "growth": growth,
    "sparse": sparse_dump,
    "small": small_dumps,
    "batches": batches,
}
