"""`triage` for a client that does not wait long: each call goes on where the one before ran out of time."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Generator, Sequence
from contextlib import closing
from itertools import chain, islice
from typing import TYPE_CHECKING, cast

from dumpmap.errors import InputError
from dumpmap.model.values import value_class
from dumpmap.triage.batch import iterate
from dumpmap.triage.jobs import safe_text
from dumpmap.triage.options import TriageOptions
from dumpmap.triage.rows import rank_of

if TYPE_CHECKING:
    from dumpmap.serving.folders import Folders, Place
    from dumpmap.triage.columns import TriageRow

MOST_FILES = 5_000
"""Most files of a folder that is triaged; a larger folder is refused."""

_SECONDS = 30.0
"""After this time, a call answers with the rows that it has."""

_FILE_SECONDS = 20.0


@value_class(frozen=True, slots=True)
class Finished:
    """The rows of a folder so far.

    Attributes:
        rows: the worst first.
        left: the number of files that there was no time for.
    """

    rows: Sequence[TriageRow]
    left: int


class Batches:
    """Triages folders, and keeps the rows of files until they change. Nothing is written."""

    def __init__(self, seconds: float = _SECONDS) -> None:
        self._seconds = seconds
        self._rows: OrderedDict[tuple[str, int, int], TriageRow] = OrderedDict()

    def triage(self, folders: Folders, asked: Sequence[Place]) -> Finished:
        """Returns the rows of folders and files, as many as there is time for.

        Raises:
            InputError: a folder cannot be read, or there are more than `MOST_FILES` inputs.
        """
        places = list(islice(chain.from_iterable(map(folders.inputs, asked)), MOST_FILES + 1))
        if len(places) > MOST_FILES:
            raise InputError(f"more than {MOST_FILES:,} inputs; name a folder in it", source=asked[0].title)
        stamps = {one.location: one.stamp for one in places}
        self._run({location: stamp for location, stamp in stamps.items() if stamp not in self._rows})
        found = [(one, self._rows[stamp]) for one in places if (stamp := stamps[one.location]) in self._rows]
        # A packed file of any name that holds no input is no dump that cannot be read.
        rows = [_named(one, row) for one, row in found if not (one.unsure and row["status"] == "error")]
        while len(self._rows) > 2 * MOST_FILES:
            self._rows.popitem(last=False)
        left = len(places) - len(found)
        return Finished(sorted(rows, key=lambda row: (rank_of(row), row["path"])), left)

    def _run(self, stamps: dict[str, tuple[str, int, int]]) -> None:
        if not stamps:
            return
        known = {safe_text(location): stamp for location, stamp in stamps.items()}
        options = TriageOptions(cache=False, time_limit=_FILE_SECONDS)
        until = time.monotonic() + self._seconds
        # Closing the generator ends the workers.
        with closing(cast("Generator[TriageRow]", iterate(list(stamps), options))) as rows:
            for row in rows:
                self._rows[known[row["path"]]] = row
                if time.monotonic() > until:
                    break


def _named(place: Place, row: TriageRow) -> TriageRow:
    """Returns a row with the name of its file instead of the path."""
    return {name: place.renamed(value) if isinstance(value, str) else value for name, value in row.items()}
