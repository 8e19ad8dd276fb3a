"""Counts what code does: a count is the same on every machine, however busy."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from dumpmap.model.memory import ExcerptMemory


class CountingMemory(ExcerptMemory):
    """Counts the reads."""

    reads = 0

    def read(self, address: int, size: int) -> bytes | None:
        self.reads += 1
        return super().read(address, size)


def steps_of(run: Callable[[], object]) -> int:
    """Counts the steps that a function takes: calls of Python and of C, and their returns."""
    steps = 0

    def count(*_: object) -> None:
        nonlocal steps
        steps += 1

    sys.setprofile(count)
    try:
        run()
    finally:
        sys.setprofile(None)
    return steps


def operations_of(run: Callable[[], object]) -> int:
    """Counts the steps of a function, and the lines of Python that it runs: a loop without a call has lines only."""
    lines = 0

    def count(_: object, event: str, __: object) -> Any:
        nonlocal lines
        lines += event == "line"
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        steps = steps_of(run)
    finally:
        sys.settrace(before)
    return steps + lines
