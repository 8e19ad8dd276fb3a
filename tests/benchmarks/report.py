"""The figures of a run: kept as JSON, compared with an earlier run, and written as docs/benchmarks.md."""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from .measuring import Figure, Rounds
from .scaling import SECTION

KEPT = Path(__file__).with_name("figures.json")
PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"
WORSE = 1.10
"""A ratio that is more than 10 % above the earlier one got worse."""


def conditions() -> dict[str, Any]:
    """Where and when the run takes place."""
    return {
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "python": platform.python_version(),
        "system": platform.system(),
        "processors": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "rounds": Rounds.usual,
        "versions": {name: version(name) for name in ("numpy", "pandas", "udmp-parser", "minidump")},
    }


def save(figures: Sequence[Figure], before: dict[str, Any]) -> None:
    """Keeps a run as the one that later runs are compared with, and writes the page."""
    kept = {"conditions": {**before, "load_after": round(os.getloadavg()[0], 2)}}
    document = {**kept, "figures": [asdict(figure) for figure in figures]}
    KEPT.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", "utf-8")
    PAGE.write_text(page(), "utf-8")


def kept() -> tuple[dict[str, Any], list[Figure]]:
    """The run that was kept: its conditions and its figures."""
    if not KEPT.exists():
        return {}, []
    document = json.loads(KEPT.read_text("utf-8"))
    return document["conditions"], [Figure(**figure) for figure in document["figures"]]


def merged(figures: Sequence[Figure], earlier: Sequence[Figure]) -> list[Figure]:
    """Puts the tables of a run in the place of those of an earlier one, and keeps its other tables."""
    fresh = {figure.section: [one for one in figures if one.section == figure.section] for figure in figures}
    order = dict.fromkeys(figure.section for figure in (*earlier, *figures))
    kept_ones = {name: [one for one in earlier if one.section == name] for name in order}
    return [figure for name in order for figure in fresh.get(name, kept_ones[name])]


def compare(figures: Sequence[Figure], earlier: Sequence[Figure]) -> list[str]:
    """Says which ratios, and which peaks of memory without a peer, got worse by more than a tenth."""
    known = {figure.key: figure for figure in earlier}
    lines = []
    for figure in figures:
        before = known.get(figure.key)
        if before is None:
            continue
        memory = figure.unit == "MiB"
        now, then = (figure.ours, before.ours) if memory else (figure.ratio, before.ratio)
        if now is not None and then and now > then * WORSE:
            unit = " MiB" if memory else ""
            lines.append(f"worse: {figure.key}: {then:.2f}{unit} -> {now:.2f}{unit} (+{100 * (now / then - 1):.0f} %)")
    return lines


def line(figure: Figure) -> str:
    """A figure as a line for a terminal."""
    theirs = "" if figure.theirs is None else f"{figure.peer} {_value(figure.theirs, figure.unit)}"
    ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
    return f"{figure.key[:78]:<78} {_value(figure.ours, figure.unit):>12} {theirs:>24} {ratio:>6}  {figure.note}"


def page() -> str:
    """The document, made of the kept figures."""
    where, figures = kept()
    text = _HEAD.format(**{**where, **{name.replace("-", "_"): v for name, v in where["versions"].items()}})
    section = ""
    for figure in figures:
        if figure.section != section:
            section = figure.section
            text += f"\n## {section}\n\n{_TEXTS.get(section, '')}| what | dumpmap | peer | ratio | wanted | |\n"
            text += "|---|---:|---:|---:|---:|---|\n"
        theirs = "" if figure.theirs is None else f"{figure.peer} {_value(figure.theirs, figure.unit)}"
        ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
        unit = "" if figure.theirs is not None else f" {figure.unit}"
        wanted = "" if figure.budget is None else f"at most {figure.budget:g}{unit}"
        ours = _value(figure.ours, figure.unit)
        text += f"| {figure.what} | {ours} | {theirs} | {ratio} | {wanted} | {figure.note} |\n"
    return text + _FOOT


def _value(value: float, unit: str) -> str:
    return f"{value:,.0f} MiB" if unit == "MiB" and value >= 10 else f"{value:,.2f} {unit}"


_HEAD = """<!-- Written by `python -m tests.benchmarks --write`; do not edit. -->

# Benchmarks

`make bench` measures dumpmap beside its peers in one run and says which ratio got worse than in the figures below.
`python -m tests.benchmarks.triage` measures batches (`--files 10000` for a large one, `--s3` for a bucket). No test
asserts a speed.

The peers are `udmp-parser` {udmp_parser} (C++ with Python bindings: parses a full dump and returns its list of regions)
and `minidump` {minidump} (pure Python: parses every stream). Both stop at a list of regions; dumpmap's figures include
the classification and the summary.

Measured on {date} with Python {python} on {processors} processors ({system}); the load was {load} before the run and
{load_after} after it. A figure is user and system time of a process: the median of {rounds} rounds, or of 3 if a round
takes seconds, in which dumpmap and its peer take turns. Compare ratios, not seconds.
"""

_TEXTS = {
    "Start-up": "With compiled modules, as after an installation.\n\n",
    "A million regions": "A full dump: modules with and without an entry in the module list, four heaps of 50 "
    "segments, mapped views,\nand the bytes of all committed private memory: 10 GB, most of them a hole in the "
    "file.\n\n",
    "Outputs of a million regions": "The same dump, in whole processes. The peer stands for the machine.\n\n",
    "Small dumps: to the summary": "Recorded and public dumps as they are, in one process, mean per file. Files on "
    "which `minidump` raises an\nerror are counted and not compared.\n\n",
    SECTION: "10,000 files of one kind, from their names to their rows, without a cache. The main process's work "
    "cannot be divided, so it\nbounds every machine; the workers' can. With Dask, the main process is also the "
    "scheduler. More workers than\nprocessors show what each worker adds. The figures are of one run each.\n\n",
}

_FOOT = """
## Why it is fast

- Regions are NumPy columns over the file's bytes. dumpmap creates no object per region unless you request a data frame.
- Sums by type need no names. Kinds, details, evidence and image sections are computed when you look at rows.
- A signature search over all private allocations is one binary search and one small read per allocation, for both
  pointer sizes. A read through a mapping brings in a cluster of pages, so large files are read without the mapping.
- Joining reads of neighbouring places into one does not pay there. It saves a fifth where places are 4 KiB apart, and
  costs half as much again at 8 KiB and four times as much at 32 KiB, as far as most allocations of this dump are apart.
- A thread that reads ahead would not pay for packed dumps: of the time to unpack 100 MB of gzip, reading takes 1 %.
- A report makes its columns while it is written and needs no data frames.
- Tables are columns, too: texts are codes, and rows exist only while a piece of the output is written.
- Help loads neither NumPy, pandas, nor rich, and a command loads pandas only to show a frame. Readers for rare
  contents, such as a .NET runtime, are loaded when they are needed.
"""
