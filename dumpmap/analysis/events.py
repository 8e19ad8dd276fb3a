"""What happened at the maps of a timeline."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from dumpmap.analysis.samples import Sample
from dumpmap.model.values import value_class

EventKind = Literal["exception", "restart"]


@value_class(frozen=True, slots=True)
class Event:
    """Something that happened at a map of the series.

    Attributes:
        point: number of the map.
        kind: `exception`: the map was captured at one; `restart`: the map is of another process than the one before.
        name: of the exception, or of the process with its id.
    """

    point: int
    kind: EventKind
    name: str


def events_of(samples: Sequence[Sample]) -> Iterable[Event]:
    """Yields the exceptions of maps, and where another process follows by its id, name, or start."""
    known: list[object] = [None, None, None]
    for index, sample in enumerate(samples):
        pid, name = sample.process
        identity = (pid, name and name.lower(), sample.started)
        # What an input does not know, a VMMap file for example, is what it was before.
        if any(None not in pair and pair[0] != pair[1] for pair in zip(known, identity, strict=True)):
            yield Event(index, "restart", f"{name or 'unknown process'}{'' if pid is None else f', process ID {pid}'}")
            known = list(identity)
        known = [old if new is None else new for old, new in zip(known, identity, strict=True)]
        if sample.exception is not None:
            yield Event(index, "exception", sample.exception)
