"""Rows of regions as dumpmap itself writes them, decoded column by column without an object for any value.

Whatever deviates, such as a blank or a text column, is left to the decoder of all JSON, which also says what is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from dumpmap.model import snapshot as model
from dumpmap.parsers.snapshot_json.columns import LARGEST_SIZE, STATES, TYPES

Bytes = npt.NDArray[np.uint8]
Places = npt.NDArray[np.intp]

_BAD = 0xFF
_HEX = np.full(256, _BAD, np.uint8)
_HEX[list(b"0123456789abcdef")] = range(16)
_HEX[list(b"ABCDEF")] = range(10, 16)
_DECIMAL = np.full(256, _BAD, np.uint8)
_DECIMAL[list(b"0123456789")] = range(10)

_LONGEST_HEX, _LONGEST_DECIMAL = 16, 19
_LARGEST_PROTECT = (1 << 32) - 1

_WORDS: Mapping[str, Mapping[bytes, int]] = {
    name: {b"null" if word is None else f'"{word}"'.encode(): value for word, value in words.items()}
    for name, words in (("state", STATES), ("type", TYPES))
}


class _DeviatesError(Exception):
    """The rows are not as dumpmap writes them."""


def plain_rows(piece: memoryview | bytes, columns: Sequence[str]) -> dict[str, npt.NDArray[Any]] | None:
    """Decodes an array of rows.

    Args:
        piece: the array as JSON.
        columns: the columns of each row.

    Returns:
        an array per column, or None if the decoder of all JSON must have a look.
    """
    data, width = np.frombuffer(piece, np.uint8), len(columns)
    commas = np.flatnonzero(data == ord(","))
    rows, rest = divmod(len(commas) + 1, width)
    if rest or len(data) < 2 or data[0] != ord("[") or data[-1] != ord("]"):
        return None
    starts = np.concatenate(([1], commas + 1)).reshape(rows, width)
    ends = np.concatenate((commas, [len(data) - 1])).reshape(rows, width)
    starts[:, 0] += data[starts[:, 0]] == ord("\n")
    if (data[starts[:, 0]] != ord("[")).any() or (data[ends[:, -1] - 1] != ord("]")).any():
        return None
    starts[:, 0] += 1
    ends[:, -1] -= 1
    if (ends <= starts).any():
        return None
    try:
        return {name: _column(name, data, starts[:, at], ends[:, at]) for at, name in enumerate(columns)}
    except _DeviatesError:
        return None


def _column(name: str, data: Bytes, starts: Places, ends: Places) -> npt.NDArray[Any]:
    if name in ("base", "allocation_base"):
        return _addresses(data, starts, ends, none=name == "allocation_base")
    if name in _WORDS:
        return _words(data, starts, ends, _WORDS[name])
    if name == "size":
        values = _numbers(data, starts, ends, None)
        _need((values > 0).all())
        return values
    if name in ("protect", "allocation_protect"):
        values = _numbers(data, starts, ends, 0)
        _need((values <= _LARGEST_PROTECT).all())
        return values.astype(np.uint32)
    if name in model.NUMBER_COLUMNS:
        values = _numbers(data, starts, ends, -1)
        _need((values + np.uint64(1) <= np.uint64(LARGEST_SIZE + 1)).all())  # what is absent becomes 0 here
        numbers: npt.NDArray[np.int64] = values.view(np.int64)
        return numbers
    raise _DeviatesError


def _need(condition: np.bool_ | bool) -> None:
    if not condition:
        raise _DeviatesError


def _is(data: Bytes, starts: Places, ends: Places, text: bytes) -> npt.NDArray[np.bool_]:
    """Returns which fields are a text."""
    found = np.zeros(len(starts), np.bool_)
    rows = np.flatnonzero(ends - starts == len(text))
    letters = data[starts[rows, None] + np.arange(len(text))]
    found[rows] = (letters == np.frombuffer(text, np.uint8)).all(axis=1)
    return found


def _words(data: Bytes, starts: Places, ends: Places, words: Mapping[bytes, int]) -> npt.NDArray[np.uint32]:
    values, known = np.zeros(len(starts), np.uint32), np.zeros(len(starts), np.bool_)
    for word, value in words.items():
        found = _is(data, starts, ends, word)
        values[found] = value
        known |= found
    _need(known.all())
    return values


def _addresses(data: Bytes, starts: Places, ends: Places, *, none: bool) -> npt.NDArray[np.uint64]:
    absent = _absent(data, starts, ends) if none else np.zeros(len(starts), np.bool_)
    quoted = (data[starts] == ord('"')) & (data[ends - 1] == ord('"'))
    prefixed = (ends - starts >= 5) & (data[starts + 1] == ord("0")) & (data[np.minimum(starts + 2, ends)] == ord("x"))
    _need((absent | (quoted & prefixed)).all())
    lengths = np.where(absent, 0, ends - starts - 4)
    return _digits(data, ends - 1, lengths, _HEX, 16, _LONGEST_HEX)


def _numbers(data: Bytes, starts: Places, ends: Places, absent_is: int | None) -> npt.NDArray[np.uint64]:
    absent = np.zeros(len(starts), np.bool_) if absent_is is None else _absent(data, starts, ends)
    lengths = np.where(absent, 0, ends - starts)
    _need(not ((lengths > 1) & (data[starts] == ord("0"))).any())  # JSON has no leading zeros
    values = _digits(data, ends, lengths, _DECIMAL, 10, _LONGEST_DECIMAL)
    if absent_is:
        values[absent] = np.uint64(absent_is % (1 << 64))
    return values


def _absent(data: Bytes, starts: Places, ends: Places) -> npt.NDArray[np.bool_]:
    may_be = data[starts] == ord("n")
    return _is(data, starts, ends, b"null") if may_be.any() else may_be


def _digits(
    data: Bytes, ends: Places, lengths: Places, values: Bytes, base: int, longest: int
) -> npt.NDArray[np.uint64]:
    """Returns the numbers whose digits end at `ends` (exclusive)."""
    most, least = int(lengths.max(initial=0)), int(lengths.min(initial=longest))
    _need(most <= longest)
    numbers = np.zeros(len(ends), np.uint64)
    for place in range(most):
        rows: Places | slice = slice(None)
        if place >= least:
            rows = np.flatnonzero(lengths > place)
        digits = values[data[ends[rows] - 1 - place]]
        _need(not (digits == _BAD).any())
        numbers[rows] += digits.astype(np.uint64) * np.uint64(base**place)
    return numbers
