"""Names generated code that nothing else names."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

import numpy as np

from dumpmap.classify.labels import Label, Labels
from dumpmap.model.kinds import JIT_CODE
from dumpmap.model.snapshot import Snapshot

EVIDENCE = "function-table"


def label_generated_code(snapshot: Snapshot, labels: Labels) -> None:
    """Names the ranges of the function tables. An allocation that they fill by more than half gets the name too."""
    owner = _Owners(snapshot)
    covered: dict[int, list[tuple[int, int, Label]]] = {}
    for low, high, callback in _disjoint(snapshot):
        label = Label(JIT_CODE.name, EVIDENCE, details=owner.of(callback))
        first = max(0, int(np.searchsorted(labels.bases, np.uint64(low), side="right")) - 1)
        stop = int(np.searchsorted(labels.bases, np.uint64(high), side="left"))
        for index in range(first, stop):
            start, end = max(low, int(labels.bases[index])), min(high, int(labels.ends[index]))
            if start < end and not labels.claimed[index]:
                covered.setdefault(index, []).append((start, end, label))
    for index, parts in covered.items():
        for start, end, label in parts:
            labels.mark(start, end, label)
        if 2 * sum(end - start for start, end, _ in parts) > int(labels.ends[index]) - int(labels.bases[index]):
            labels.claim(index, parts[0][2])


def _disjoint(snapshot: Snapshot) -> Iterator[tuple[int, int, int | None]]:
    """Yields start, end, and callback of each range, by address, without what an earlier range covers."""
    reach = 0
    for part in sorted(snapshot.generated_code, key=lambda part: part.base):
        start, end = max(part.base, reach), min(part.base + part.size, (1 << 64) - 1)
        if start < end:
            reach = end
            yield start, end, part.callback


class _Owners:
    """The modules, for callbacks."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._modules = sorted((module.base, module.base + module.size, module.name) for module in snapshot.modules)

    def of(self, address: int | None) -> str:
        """Returns the file name of the module at an address; empty if there is none."""
        if address is None:
            return ""
        index = bisect_right(self._modules, (address, 1 << 65, "")) - 1
        return self._modules[index][2] if index >= 0 and address < self._modules[index][1] else ""
