"""How the benchmarks measure: user and system time, in pairs that take turns, and the median of several rounds."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

MIB = 1 << 20


class Rounds:
    """How many rounds a measure takes."""

    usual = 7

    @classmethod
    def few(cls) -> int:
        """Rounds of a measure that takes seconds."""
        return min(3, cls.usual)


@dataclass(frozen=True)
class Figure:
    """One line of a table.

    Attributes:
        section: the table.
        what: what was measured.
        ours: dumpmap's figure.
        unit: of both figures: s, ms, or MiB.
        peer: what it is compared with; empty if with nothing.
        theirs: the peer's figure.
        budget: the largest ratio that is wanted, or the largest figure where there is no peer.
        note: what a reader must know.
    """

    section: str
    what: str
    ours: float
    unit: str
    peer: str = ""
    theirs: float | None = None
    budget: float | None = None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """The figure in units of the peer's."""
        return self.ours / self.theirs if self.theirs else None

    @property
    def key(self) -> str:
        """Names the figure in every run."""
        return f"{self.section}: {self.what}"


@dataclass(frozen=True)
class Cost:
    """What a process took: user and system time in seconds, and its peak memory in bytes."""

    seconds: float
    peak: int


def in_turn(*actions: Callable[[], float], rounds: int | None = None) -> list[list[float]]:
    """Calls actions turn by turn, since the speed of a machine varies; returns what each returned."""
    results: list[list[float]] = [[] for _ in actions]
    for _ in range(rounds or Rounds.usual):
        for action, values in zip(actions, results, strict=True):
            values.append(action())
    return results


def medians(*actions: Callable[[], object], rounds: int | None = None) -> list[float]:
    """Returns the median user and system time of each action in this process, in seconds."""

    def timed(action: Callable[[], object]) -> Callable[[], float]:
        def run() -> float:
            began = time.process_time()  # user and system time
            action()
            return time.process_time() - began

        return run

    return [statistics.median(values) for values in in_turn(*map(timed, actions), rounds=rounds)]


def process_cost(arguments: Sequence[str], environment: dict[str, str] | None = None) -> Cost:
    """Runs Python with arguments in a process of its own.

    Its peak is taken by a process in between: the peak that a child reports begins with that of its parent.
    """
    code = (
        "import os, subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, *sys.argv[1:]], stdout=subprocess.DEVNULL)\n"
        "_, status, used = os.wait4(child.pid, 0)\n"
        "print(status, used.ru_utime + used.ru_stime, used.ru_maxrss)"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", code, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env=environment,
        cwd=Path(__file__).parents[2],
    )
    status, seconds, peak = done.stdout.split()
    if int(status):
        raise RuntimeError(f"{' '.join(arguments)} failed")
    return Cost(float(seconds), int(peak) << 10)


def process_medians(
    *commands: Sequence[str], rounds: int | None = None, environment: dict[str, str] | None = None
) -> list[Cost]:
    """Runs commands turn by turn; returns the median time and the largest peak of each."""
    costs: list[list[Cost]] = [[] for _ in commands]
    for _ in range(rounds or Rounds.usual):
        for command, seen in zip(commands, costs, strict=True):
            seen.append(process_cost(command, environment))
    return [Cost(statistics.median(cost.seconds for cost in seen), max(cost.peak for cost in seen)) for seen in costs]
