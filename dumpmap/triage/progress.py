"""How far a batch is: what a display is told, and the one that rich draws."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(slots=True)
class State:
    """How far a batch is, in numbers of files."""

    found: int = 0
    """So far; the total once `listed`."""
    listed: bool = False
    """Whether all files were found."""
    done: int = 0
    cached: int = 0
    """Of `done`: taken from an earlier run."""
    kept: int = 0
    """Of `done`: the next run will know them."""
    errors: int = 0
    skipped: int = 0
    """Not looked at: no regular files."""
    unreached: int = 0
    """Of `errors` and `skipped`: named, or a pattern or URL, and could not be opened or listed at all."""
    critical: int = 0
    """Their worst finding is critical."""
    warning: int = 0
    info: int = 0
    hindrance: str | None = None
    """Why nothing gets done now, where that is known."""


class Progress(Protocol):
    """A display of progress."""

    def update(self, state: State) -> None:
        """Is told whenever the state changed; it must not keep the object."""
        ...


class Remembered:
    """Passes on what a display is told, and remembers it: how far a run was that did not get to its end.

    Attributes:
        display: what is told, if anything.
        state: what it was told last.
    """

    def __init__(self, display: Progress | None = None) -> None:
        self.display = display
        self.state = State()

    def update(self, state: State) -> None:
        """See `Progress.update`."""
        self.state = replace(state)
        if self.display is not None:
            self.display.update(state)


class RichProgress:
    """A progress bar on standard error, as a context manager.

    ```python
    with RichProgress() as progress:
        run(paths, progress=progress)
    ```
    """

    def __init__(self, console: Console | None = None) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        self._bar: Any = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[details]}"),
            console=console or Console(stderr=True),
            transient=True,
        )
        self._task = self._bar.add_task("listing", total=None, details="")

    def update(self, state: State) -> None:
        """See `Progress.update`."""
        parts = []
        if state.critical:
            parts.append(f"{state.critical} critical")
        if state.errors:
            parts.append(f"{state.errors} unreadable")
        if state.cached:
            parts.append(f"{state.cached} known")
        if state.hindrance:
            parts.append(state.hindrance)
        self._bar.update(
            self._task,
            description="dumps" if state.listed else "dumps (still listing)",
            total=state.found if state.listed else None,
            completed=state.done,
            details=", ".join(parts),
        )

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()


class LineProgress:
    """A line of progress now and then, for logs.

    Args:
        say: writes a line.
        interval: seconds between two lines; a batch that is done sooner says nothing.
    """

    def __init__(self, say: Callable[[str], None], interval: float = 10.0) -> None:
        self._say = say
        self._interval = interval
        self._began = self._last = time.monotonic()

    def update(self, state: State) -> None:
        """See `Progress.update`."""
        now = time.monotonic()
        if now - self._last < self._interval:
            return
        self._last = now
        rate = state.done / (now - self._began)
        text = f"{state.done:,} of {state.found:,}{'' if state.listed else ' or more'} files, {rate:,.0f} a second"
        if state.listed and rate:
            text += f", {(state.found - state.done) / rate:,.0f} s left"
        if state.critical:
            text += f", {state.critical:,} critical"
        if state.errors:
            text += f", {state.errors:,} unreadable"
        if state.hindrance:
            text += f"; {state.hindrance}"
        self._say(text)
