"""Progress of a batch: a bar on a terminal, or a line now and then in a log."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from dumpmap.triage.progress import BatchState
from dumpmap.wording.text import count_words, printable, rate_words

if TYPE_CHECKING:
    from rich.console import Console


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
            TextColumn("{task.fields[details]}", markup=False),
            console=console or Console(stderr=True),
            transient=True,
        )
        self._task = self._bar.add_task("listing files", total=None, details="")

    def update(self, state: BatchState) -> None:
        """See `Progress.update`."""
        parts = []
        if state.critical:
            parts.append(f"{state.critical:,} critical")
        if state.errors:
            parts.append(f"{state.errors:,} unreadable")
        if state.cached:
            parts.append(f"{state.cached:,} cached")
        if state.hindrance:
            parts.append(printable(state.hindrance))
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
        interval: seconds between two lines; a batch that finishes sooner writes none.
    """

    def __init__(self, say: Callable[[str], None], interval: float = 10.0) -> None:
        self._say = say
        self._interval = interval
        self._began = self._last = time.monotonic()

    def update(self, state: BatchState) -> None:
        """See `Progress.update`."""
        now = time.monotonic()
        if now - self._last < self._interval:
            return
        self._last = now
        self._say(progress_line(state, now - self._began))


def progress_line(state: BatchState, seconds: float) -> str:
    """Returns how far a batch is after some seconds, in one line."""
    total = count_words(state.found, "file")
    text = f"progress: {state.done:,} of {'' if state.listed else 'at least '}{total}"
    if rate := rate_words(state.done, seconds):
        text += f", {rate}"
    if state.listed and state.done:
        text += f", {(state.found - state.done) * seconds / state.done:,.0f} s left"
    if state.critical:
        text += f", {state.critical:,} critical"
    if state.errors:
        text += f", {state.errors:,} unreadable"
    if state.hindrance:
        text += f"; {state.hindrance}"
    return text


class ByteProgress:
    """A bar for long work on one input, on standard error, as a context manager. It appears with the first update."""

    def __init__(self, text: str, console: Console | None = None) -> None:
        self._text = text
        self._console = console
        self._bar: Any = None
        self._task: Any = None

    def update(self, done: int, total: int) -> None:
        """Shows how many bytes of how many are done."""
        if self._bar is None:
            from rich.console import Console
            from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
            self._bar = Bar(*columns, console=self._console or Console(stderr=True), transient=True)
            self._task = self._bar.add_task(self._text, total=total)
            self._bar.start()
        self._bar.update(self._task, completed=done, total=total)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
