"""The result of a finished batch: its rows, groups, frame, and exit code."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Self

from dumpmap.analysis.rules import SEVERITIES, Severity
from dumpmap.triage.columns import TriageRow
from dumpmap.triage.frame import make_frame
from dumpmap.triage.groups import Grouping, TriageGroup
from dumpmap.triage.progress import BatchState
from dumpmap.triage.selection import ALL, Selection
from dumpmap.triage.store import Store

if TYPE_CHECKING:
    import pandas as pd


class TriageResult:
    """The rows of a finished batch, on disk until the result is closed.

    Attributes:
        state: how many files there were, and what became of them.
        seconds: how long the batch took.
        notes: what a user must know about the run itself.
    """

    def __init__(self, store: Store, state: BatchState, seconds: float, notes: tuple[str, ...] = ()) -> None:
        self._store = store
        self.state = state
        self.seconds = seconds
        self.notes = notes

    def __len__(self) -> int:
        return self.state.done

    def rows(self, selection: Selection = ALL) -> Iterator[TriageRow]:
        """Yields the selected rows: by severity, the worst first, then by path, unless the selection sorts them."""
        return self._store.rows(selection)

    def count(self, selection: Selection) -> int:
        """Returns how many rows pass the selection's filters, whatever its maximum number."""
        return self._store.count(selection)

    def count_undecided(self, selection: Selection) -> int:
        """Returns of how many rows a bound or an unknown figure does not tell whether they pass the filters."""
        return self._store.count_undecided(selection)

    def undecided(self, selection: Selection) -> Iterator[str]:
        """Yields the paths of those rows."""
        return self._store.undecided(selection)

    def groups(self, columns: str | Sequence[str], selection: Selection = ALL) -> list[TriageGroup]:
        """Counts the rows that have the same values in `columns`; the largest group comes first.

        Args:
            columns: the name of a column, or several; under `finding` a row counts once for each of its findings.
            selection: which rows to count; its order and maximum number apply to the groups.

        Raises:
            ValueError: a column cannot be grouped by.
        """
        grouping = Grouping([columns] if isinstance(columns, str) else columns)
        for row in self.rows(replace(selection, sort=None, top=None)):
            grouping.add(row)
        return grouping.chosen(selection)

    def frame(self) -> pd.DataFrame:
        """Returns the rows as a data frame."""
        return make_frame(self.rows())

    def exit_code(self, *, fail_on: Severity | None = None, strict: bool = False) -> int:
        """Returns what the command line returns: see `exit_code`."""
        return exit_code(self.state, fail_on=fail_on, strict=strict)

    def close(self) -> None:
        """Removes the rows."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def exit_code(state: BatchState, *, fail_on: Severity | None = None, strict: bool = False) -> int:
    """Returns what the command line returns for a finished batch.

    Args:
        state: the batch's final state.
        fail_on: return 1 if a finding is at least this severe.
        strict: return 3 if any file could not be read.

    Returns:
        0, 1, or 3. It is also 3 if something that the user named could not be opened or listed at all. 3 takes
        precedence over 1: the answer to `fail_on` is then incomplete.
    """
    if fail_on not in (None, *SEVERITIES):
        raise ValueError(f"unknown severity {fail_on!r}; the severities are {', '.join(SEVERITIES)}")
    if state.unreached or (strict and state.errors):
        return 3
    severe = SEVERITIES[: SEVERITIES.index(fail_on) + 1] if fail_on is not None else ()
    return int(any(getattr(state, severity) for severity in severe))
