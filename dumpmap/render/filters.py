"""Choosing rows of `allocations` and `regions`."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from dumpmap.protection import parse_protection, protection_text
from dumpmap.regionmap import COLUMNS, RegionMap
from dumpmap.types import TYPES, RegionType, parse_type

if TYPE_CHECKING:
    import pandas as pd

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?", re.IGNORECASE)
_FACTORS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
STATES = ("committed", "reserved", "free")


def parse_size(text: str) -> int:
    """Reads a size: `65536`, `64KB`, `1.5 GB` (powers of 1024), `0x10000`.

    Raises:
        ValueError: it is none.
    """
    cleaned = text.strip().replace(",", "").replace("_", "")
    if cleaned.lower().startswith("0x"):
        return int(cleaned, 16)
    match = _SIZE.fullmatch(cleaned)
    if match is None:
        raise ValueError(f"{text!r} is not a size; write 65536, 64KB, 1.5GB or 0x10000")
    factor = _FACTORS[match[2].lower()]
    return int(float(match[1]) * factor) if "." in match[1] else int(match[1]) * factor


def parse_address(text: str, region_map: RegionMap | None = None) -> int:
    """Reads an address: hex with or without `0x`, WinDbg's backtick form, or `module+0x12`.

    Raises:
        ValueError: it is none, or names a module that the process does not have.
    """
    cleaned = text.strip().replace("`", "").replace("_", "")
    name, plus, offset = text.strip().partition("+")
    if region_map is not None and not re.fullmatch(r"(0x)?[0-9a-f]+", cleaned, re.IGNORECASE):
        wanted = name.strip().lower()
        for module in region_map.snapshot.modules:
            if wanted in (module.name.lower(), module.name.lower().rpartition(".")[0]):
                return module.base + (int(offset.replace("`", ""), 16) if plus else 0)
        raise ValueError(f"{text!r} is neither an address nor a module of the process")
    try:
        value = int(cleaned, 16)
    except ValueError:
        raise ValueError(f"{text!r} is not an address; write hex digits, as in 0x7ffe0000") from None
    if value >= 1 << 64:
        raise ValueError(f"{text!r} is more than 64 bits")
    return value


@dataclass(frozen=True)
class Filter:
    """Which rows to keep; each condition that is given has to hold."""

    types: tuple[RegionType, ...] = ()
    kinds: tuple[str, ...] = ()
    """Shell patterns, case-insensitive, matched anywhere in the kind."""
    states: tuple[str, ...] = ()
    protections: tuple[str, ...] = field(default=())
    modules: tuple[str, ...] = ()
    """Shell patterns on the file name in the details."""
    min_size: int = 0
    at: int | None = None

    def apply(self, region_map: RegionMap, frame: pd.DataFrame) -> pd.DataFrame:
        """Returns the rows of `frame` that pass."""
        keep = np.ones(len(frame), np.bool_)
        if self.types:
            keep &= frame["type"].isin([kind.label for kind in self.types]).to_numpy()
        if self.kinds:
            keep &= _matches(frame["kind"], self.kinds, whole=False)
        if self.modules:
            names = frame["details"].str.replace("\\", "/").str.rsplit("/", n=1).str[-1]
            if "allocation" in frame:
                owners = region_map.allocations.set_index("address")["details"]
                details = frame["allocation"].map(owners)
                names = details.fillna("").str.replace("\\", "/").str.rsplit("/", n=1).str[-1]
            keep &= _matches(names, self.modules, whole=True)
        if self.states:
            keep &= _states(frame, self.states)
        if self.protections:
            keep &= frame["protection"].str.lower().isin([text.lower() for text in self.protections]).to_numpy()
        if self.min_size:
            keep &= (frame["size"] >= self.min_size).to_numpy()
        if self.at is not None:
            base = frame["address"].to_numpy()
            wanted = np.uint64(self.at)
            keep &= (base <= wanted) & (wanted - base < frame["size"].to_numpy().astype(np.uint64))
        return frame[keep]


def _matches(values: pd.Series[str], patterns: tuple[str, ...], *, whole: bool) -> np.ndarray:
    expressions = [
        re.compile(fnmatch.translate(pattern if whole or "*" in pattern else f"*{pattern}*"), re.IGNORECASE)
        for pattern in patterns
    ]
    # There are few different kinds and names, however many rows.
    table = {value: any(expression.match(value) for expression in expressions) for value in values.unique()}
    return values.map(table).to_numpy(dtype=np.bool_)


def _states(frame: pd.DataFrame, states: tuple[str, ...]) -> np.ndarray:
    """A row with some committed bytes is committed; one with none is reserved; free space is free."""
    free = frame["type"].isin([RegionType.FREE.label, RegionType.UNUSABLE.label]).to_numpy()
    committed = frame["committed"].fillna(0).to_numpy(dtype=np.int64) > 0
    keep = np.zeros(len(frame), np.bool_)
    for state in states:
        if state == "free":
            keep |= free
        elif state == "committed":
            keep |= committed & ~free
        else:
            keep |= ~committed & ~free
    return keep


def parse_types(texts: list[str]) -> tuple[RegionType, ...]:
    """Reads type names.

    Raises:
        ValueError: one is not a type.
    """
    types = []
    for text in texts:
        kind = parse_type(text)
        if kind is None:
            names = ", ".join(info.name for info in TYPES)
            raise ValueError(f"{text!r} is not a type; the types are {names}")
        types.append(kind)
    return tuple(types)


def parse_states(texts: list[str]) -> tuple[str, ...]:
    """Reads states; `commit` and `reserve` are understood too.

    Raises:
        ValueError: one is not a state.
    """
    states = []
    for text in texts:
        match = [state for state in STATES if text and state.startswith(text.lower())]
        if not match:
            raise ValueError(f"{text!r} is not a state; the states are {', '.join(STATES)}")
        states.append(match[0])
    return tuple(states)


def parse_protections(texts: list[str]) -> tuple[str, ...]:
    """Reads protections in any spelling and returns them in VMMap's words.

    Raises:
        ValueError: one is not a protection.
    """
    words = []
    for text in texts:
        if text.lower() == "reserved":
            words.append("Reserved")
            continue
        value = parse_protection(text)
        if value is None:
            raise ValueError(f"{text!r} is not a protection; write Read/Write, PAGE_READWRITE, rw or 0x4")
        words.append(protection_text(value))
    return tuple(words)


def sort_rows(frame: pd.DataFrame, by: str | None, limit: int | None) -> pd.DataFrame:
    """Sorts by a column, `-column` for descending, and cuts.

    Raises:
        ValueError: there is no such column.
    """
    if by:
        name = by.lstrip("-+").replace("-", "_")
        if name not in frame.columns:
            raise ValueError(f"{by!r} is not a column; the columns are {', '.join(COLUMNS)}")
        # Figures are asked for largest first, texts from A.
        numeric = frame[name].dtype.kind in "iu" and name not in ("address", "allocation")
        descending = by.startswith("-") or (numeric and not by.startswith("+"))
        frame = frame.sort_values(name, ascending=not descending, kind="stable", na_position="last")
    return frame if limit is None else frame.head(limit)
