"""Columns of texts as codes into a table: a million rows have few different texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dumpmap.model.snapshot import I32

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Texts:
    """A column of texts.

    Attributes:
        codes: by row, an index into `values`; negative ones count from the end.
        values: the texts, which can repeat.
    """

    codes: npt.NDArray[np.integer[Any]]
    values: Sequence[str]

    @classmethod
    def of(cls, column: pd.Series[Any]) -> Texts:
        """Returns a column of a frame, of texts or of categories."""
        import pandas as pd

        if isinstance(column.array, pd.Categorical):
            # pandas keeps codes in as few bits as it can: what is computed with them must not wrap.
            return cls(column.array.codes.astype(np.int32), column.array.categories.tolist())
        codes, values = pd.factorize(column.to_numpy(object))
        return cls(codes, values.tolist())

    def followed_by(self, text: str, count: int) -> Texts:
        """Returns the column with some more rows that all have one text."""
        codes = np.full(len(self.codes) + count, len(self.values), np.int32)
        codes[: len(self.codes)] = self.codes % max(len(self.values), 1)
        return Texts(codes, [*self.values, text])

    def take(self, rows: npt.NDArray[np.integer[Any]] | npt.NDArray[np.bool_]) -> Texts:
        """Returns some rows."""
        return Texts(self.codes[rows], self.values)

    def map(self, change: Callable[[str], str]) -> Texts:
        """Returns the column with every text changed."""
        return Texts(self.codes, list(map(change, self.values)))

    def where(self, condition: Callable[[str], bool]) -> npt.NDArray[np.bool_]:
        """Returns which rows have a text that meets a condition. Each distinct text is tested once."""
        met: npt.NDArray[np.bool_] = np.array([*map(condition, self.values), False], np.bool_)[self.codes]
        return met

    def differs(self, other: Texts) -> npt.NDArray[np.bool_]:
        """Returns in which rows the text is not that of the other column."""
        known = {text: code for code, text in enumerate(self.values)}
        same = np.array([*(known.get(text, -1) for text in other.values), -1], np.int64)[other.codes]
        differs: npt.NDArray[np.bool_] = self.codes != same
        return differs

    def or_else(self, other: Texts) -> Texts:
        """Returns the column with the text of the other one where it is empty."""
        empty = self.where(lambda text: not text)
        return Texts(np.where(empty, other.codes + len(self.values), self.codes), [*self.values, *other.values])

    def objects(self, rows: slice = slice(None)) -> npt.NDArray[np.object_]:
        """Returns the texts of some rows."""
        texts: npt.NDArray[np.object_] = self._table[self.codes[rows]]
        return texts

    @cached_property
    def _table(self) -> npt.NDArray[np.object_]:
        return np.array([*self.values, ""], object)

    def categories(self) -> pd.Categorical:
        """Returns the column as categories, the empty text among them."""
        import pandas as pd

        column = self.distinct()
        # As objects: a text of a damaged file can be one that no encoding takes.
        return pd.Categorical.from_codes(column.codes, pd.Index(list(column.values), dtype=object))

    def distinct(self) -> Texts:
        """Returns the column with each text once in `values`, the empty text first."""
        known: dict[str, int] = {"": 0}
        codes = np.array([known.setdefault(text, len(known)) for text in self.values], np.int32)
        return Texts(codes[self.codes], list(known))

    def by_appearance(self) -> tuple[I32, list[str]]:
        """Returns the texts that rows have, in the order in which they appear, and the place of each code's text.

        The place of a code that no row has is -1.
        """
        count = len(self.codes)
        first = np.full(len(self.values), count, np.int32)
        first[self.codes[::-1]] = np.arange(count - 1, -1, -1, dtype=np.int32)  # of several rows, the last one stays
        places = np.full(len(self.values), -1, np.int32)
        known: dict[str, int] = {}
        for code in np.argsort(first, kind="stable")[: np.count_nonzero(first < count)].tolist():
            places[code] = known.setdefault(self.values[code], len(known))
        return places, list(known)
