"""Measures dumpmap beside its peers in one run, and says which ratios got worse than in the kept figures.

    make bench
    python -m tests.benchmarks                     all
    python -m tests.benchmarks start million       some: start, million, growth, sparse, small, batches
    python -m tests.benchmarks --write             all; keeps the figures and writes docs/benchmarks.md
    python -m tests.benchmarks growth --write      renews the tables of one measure

It asserts nothing: machines differ.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from . import report
from .measures import MEASURES
from .measuring import Figure, Rounds


def main() -> None:
    """The command line of this module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("measures", nargs="*", help=f"some of: {', '.join(MEASURES)}; all by default")
    parser.add_argument("--write", action="store_true", help="keep the figures and write docs/benchmarks.md")
    parser.add_argument("--rounds", type=int, default=Rounds.usual, help=f"default: {Rounds.usual}")
    asked = parser.parse_args()
    Rounds.usual = asked.rounds
    unknown = set(asked.measures) - set(MEASURES)
    if unknown:
        parser.error(f"no such measure: {', '.join(sorted(unknown))}")
    where = report.conditions()
    print(f"load {where['load']}, {where['processors']} processors")
    figures: list[Figure] = []
    for name in asked.measures or MEASURES:
        with tempfile.TemporaryDirectory() as place:
            for figure in MEASURES[name](Path(place)):
                figures.append(figure)
                print(report.line(figure), flush=True)
    _, earlier = report.kept()
    worse = report.compare(figures, earlier)
    print("\n".join(worse) if worse else f"nothing got worse than in {report.KEPT.name} by more than 10 %")
    if asked.write:
        report.save(report.merged(figures, earlier), where)


if __name__ == "__main__":
    main()
