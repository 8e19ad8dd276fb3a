"""How far a batch is, for whoever displays it. `dumpmap.render.progress` has displays for terminals and logs."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from dumpmap.model.values import value_class


@value_class(frozen=False, slots=True)
class BatchState:
    """How far a batch is, in numbers of files."""

    found: int = 0
    """Files found so far; the total once `listed` is true."""
    listed: bool = False
    """Whether the search for files has finished."""
    done: int = 0
    cached: int = 0
    """Of `done`: taken from an earlier run."""
    kept: int = 0
    """Of `done`: in the cache for the next run."""
    errors: int = 0
    skipped: int = 0
    """Not opened: not regular files."""
    unreached: int = 0
    """Of `errors` and `skipped`: named files, patterns, or URLs that could not be opened or listed at all."""
    critical: int = 0
    """Files whose worst finding is critical."""
    warning: int = 0
    info: int = 0
    hindrance: str | None = None
    """What keeps the batch waiting, if dumpmap knows."""


class Progress(Protocol):
    """A display of progress."""

    def update(self, state: BatchState) -> None:
        """Called whenever the state changes; the display must not keep the object."""
        ...


class RememberedProgress:
    """Passes updates on to a display and remembers the last one: how far a run came that did not finish.

    Attributes:
        display: the display, if any.
        state: the last update.
    """

    def __init__(self, display: Progress | None = None) -> None:
        self.display = display
        self.state = BatchState()

    def update(self, state: BatchState) -> None:
        """See `Progress.update`."""
        self.state = replace(state)
        if self.display is not None:
            self.display.update(state)
