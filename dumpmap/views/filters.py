"""Selects rows of `allocations` and `regions`."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dumpmap.analysis.ownership import OwnerName, ownership_of
from dumpmap.model.file_names import file_name
from dumpmap.model.protection import RESERVED, parse_protection, protection_text
from dumpmap.model.region_map import RegionMap
from dumpmap.model.sizes import parse_size
from dumpmap.model.types import TYPES, RegionType, parse_type
from dumpmap.model.values import value_class
from dumpmap.model.winnt import PageProtect
from dumpmap.views.frames import coded_frame
from dumpmap.views.texts import Texts

if TYPE_CHECKING:
    import pandas as pd

STATES = ("committed", "reserved", "free")

NO_OWNER_TEXT = "none"
"""Selects memory in use that has no owner."""


def parse_address(text: str, region_map: RegionMap | None = None) -> int:
    """Parses an address: hex with or without `0x`, WinDbg's backtick form, or `module+0x12`.

    Raises:
        ValueError: the text is not an address, or names a module that the process does not have.
    """
    cleaned = text.strip().replace("`", "").replace("_", "")
    name, plus, offset = text.strip().partition("+")
    if region_map is not None and not re.fullmatch(r"(0x)?[0-9a-f]+", cleaned, re.IGNORECASE):
        wanted = name.strip().lower()
        for module in region_map.snapshot.modules:
            if wanted in (module.name.lower(), module.name.lower().rpartition(".")[0]):
                if plus and not re.fullmatch(r"\s*(0x)?[0-9a-f`]+\s*", offset, re.IGNORECASE):
                    raise ValueError(f"{text!r}: {offset.strip()!r} is not an offset. Use hexadecimal, such as +0x12")
                return module.base + (int(offset.replace("`", ""), 16) if plus else 0)
        raise ValueError(f"{text!r} is neither an address nor a module of the process. Use hexadecimal or module+0x12")
    try:
        value = int(cleaned, 16)
    except ValueError:
        raise ValueError(f"{text!r} is not an address. Use hexadecimal, such as 0x7ffe0000") from None
    if value >= 1 << 64:
        raise ValueError(f"{text!r} is longer than 64 bits")
    return value


@dataclass(frozen=True)
class Filter:
    """Which rows to keep. A row must meet all conditions."""

    types: tuple[RegionType, ...] = ()
    kinds: tuple[str, ...] = ()
    """Parts of a kind, or shell patterns of one kind; a row can have several kinds (`PEB, TEB`)."""
    states: tuple[str, ...] = ()
    protections: tuple[Protection, ...] = field(default=())
    modules: tuple[str, ...] = ()
    """File names in the details, with or without suffix, or shell patterns of them."""
    min_size: int = 0
    at: int | None = None
    owners: tuple[str, ...] = ()
    """Parts of an owner's name or module, shell patterns of them, or instances; `none` for memory without an owner."""

    def containing(self, address: str | None, region_map: RegionMap) -> Filter:
        """Returns the same filter with an address that rows must contain; None adds no condition.

        Raises:
            ValueError: the text is not an address of the map.
        """
        return replace(self, at=parse_address(address, region_map)) if address else self

    def apply(self, region_map: RegionMap, frame: pd.DataFrame) -> pd.DataFrame:
        """Returns the rows of `frame` that meet all conditions."""
        keep = np.ones(len(frame), np.bool_)
        if self.types:
            keep &= frame["type"].isin([type.label for type in self.types]).to_numpy()
        if self.kinds:
            keep &= _has_kind(Texts.of(frame["kind"]), self.kinds)
        if self.modules:
            keep &= _is_file(owner_details(region_map, frame), self.modules)
        if self.states:
            keep &= np.isin(states_of(frame), self.states)
        if self.protections:
            keep &= Texts.of(frame["protection"]).where(lambda text: any(one.matches(text) for one in self.protections))
        if self.owners:
            keep &= _is_owned(region_map, frame, self.owners)
        if self.min_size:
            keep &= (frame["size"] >= self.min_size).to_numpy()
        if self.at is not None:
            base = frame["address"].to_numpy()
            wanted = np.uint64(self.at)
            keep &= (base <= wanted) & (wanted - base < frame["size"].to_numpy().astype(np.uint64))
        return frame if keep.all() else frame[keep]


def owner_details(region_map: RegionMap, frame: pd.DataFrame) -> Texts:
    """Returns the details of the allocation of each row."""
    if "allocation" not in frame:
        return Texts.of(frame["details"])
    allocations = coded_frame(region_map, blocks=False)
    details = Texts.of(allocations["details"])
    bases, wanted = allocations["address"].to_numpy(), frame["allocation"].to_numpy()
    if not len(bases):
        return Texts(np.zeros(len(wanted), np.int32), [""])
    place = np.minimum(np.searchsorted(bases, wanted), len(bases) - 1)
    codes = np.where(bases[place] == wanted, details.codes[place], len(details.values))
    return Texts(codes, [*details.values, ""])


def _patterns(texts: tuple[str, ...]) -> list[re.Pattern[str]]:
    return [re.compile(fnmatch.translate(text), re.IGNORECASE) for text in texts]


def _has_kind(values: Texts, wanted: tuple[str, ...]) -> npt.NDArray[np.bool_]:
    """Returns which kinds contain one of the texts or have a part that matches a pattern."""
    patterns, texts = _patterns(wanted), [text.lower() for text in wanted]

    def condition(kind: str) -> bool:
        # Test the text first: as a pattern, a Linux kind such as `[heap]` would match one letter.
        if any(text in kind.lower() for text in texts):
            return True
        return any(pattern.match(part) for pattern in patterns for part in (kind, *kind.split(", ")))

    return values.where(condition)


def _is_file(details: Texts, wanted: tuple[str, ...]) -> npt.NDArray[np.bool_]:
    """Returns which paths end in one of the names, with or without suffix, or match a pattern."""
    patterns, texts = _patterns(wanted), [text.lower() for text in wanted]

    def condition(path: str) -> bool:
        name = file_name(path)
        stem = name.lower().rpartition(".")[0]
        return name.lower() in texts or stem in texts or any(pattern.match(name) for pattern in patterns)

    return details.where(condition)


def _owner_condition(wanted: Sequence[str]) -> Callable[[OwnerName], bool]:
    """Returns whether an owner is one of the wanted ones."""
    patterns, texts = _patterns(tuple(wanted)), [text.lower() for text in wanted]

    def condition(name: OwnerName) -> bool:
        if name.instance.lower() in texts:
            return True
        parts = (name.owner, name.module)
        return any(text in part.lower() for part in parts for text in texts) or any(
            pattern.match(part) for part in parts for pattern in patterns
        )

    return condition


def unknown_owners(region_map: RegionMap, wanted: Sequence[str]) -> list[str]:
    """Returns those of the wanted owners that a map does not have."""
    names = ownership_of(region_map).names
    return [text for text in wanted if text.lower() != NO_OWNER_TEXT and not any(map(_owner_condition([text]), names))]


def _is_owned(region_map: RegionMap, frame: pd.DataFrame, wanted: tuple[str, ...]) -> npt.NDArray[np.bool_]:
    """Returns which rows belong to one of the owners."""
    ownership = ownership_of(region_map)
    condition, texts = _owner_condition(wanted), [text.lower() for text in wanted]
    matches = np.array([*(condition(name) for name in ownership.names), NO_OWNER_TEXT in texts], np.bool_)
    if "allocation" in frame:
        bases, codes = ownership.rows.base, ownership.owner
    else:
        bases, codes = region_map.allocation_columns.base, ownership.of_allocations
    address = frame["address"].to_numpy()
    if not len(bases):
        return np.zeros(len(address), np.bool_)
    place = np.minimum(np.searchsorted(bases, address), len(bases) - 1)
    used: npt.NDArray[np.bool_] = bases[place] == address  # free space has no owner and lacks none
    return used & matches[codes[place]]


def states_of(frame: pd.DataFrame) -> npt.NDArray[np.str_]:
    """Returns the state of each row. A row with any committed bytes is committed, one without is reserved."""
    free = frame["type"].isin([RegionType.FREE.label, RegionType.UNUSABLE.label]).to_numpy()
    committed = frame["committed"].fillna(0).to_numpy(dtype=np.int64) > 0
    return np.array(STATES)[np.where(free, STATES.index("free"), np.where(committed, 0, 1))]


def parse_filter(
    types: Sequence[str] | None = None,
    kinds: Sequence[str] | None = None,
    states: Sequence[str] | None = None,
    protections: Sequence[str] | None = None,
    modules: Sequence[str] | None = None,
    min_size: str | None = None,
    owners: Sequence[str] | None = None,
) -> Filter:
    """Parses the conditions of a filter as a user writes them.

    Raises:
        ValueError: one of them is not valid.
    """
    return Filter(
        types=parse_types(types or ()),
        kinds=tuple(kinds or ()),
        states=parse_states(states or ()),
        protections=parse_protections(protections or ()),
        modules=tuple(modules or ()),
        min_size=parse_size(min_size) if min_size else 0,
        owners=tuple(owners or ()),
    )


def parse_types(texts: Sequence[str]) -> tuple[RegionType, ...]:
    """Parses type names.

    Raises:
        ValueError: one is not a type.
    """
    types = []
    for text in texts:
        found = parse_type(text)
        if found is None:
            raise ValueError(f"{text!r} is not a type. Types: {', '.join(info.name for info in TYPES)}")
        types.append(found)
    return tuple(types)


def parse_states(texts: Sequence[str]) -> tuple[str, ...]:
    """Parses states; `commit` and `reserve` are valid too.

    Raises:
        ValueError: one is not a state.
    """
    states = []
    for text in texts:
        match = [state for state in STATES if text and state.startswith(text.lower())]
        if not match:
            raise ValueError(f"{text!r} is not a state. States: {', '.join(STATES)}")
        states.append(match[0])
    return tuple(states)


@value_class(frozen=True, slots=True)
class Protection:
    """A protection to match.

    Attributes:
        words: the protection in VMMap's words, as rows have it.
        modifiers: bits to match in any protection, such as those of `guard`; 0 to match the whole protection.
    """

    words: str
    modifiers: int = 0

    def matches(self, text: str) -> bool:
        """Returns whether a row has this protection."""
        if self.modifiers:
            value = parse_protection(text)
            return value is not None and value & self.modifiers == self.modifiers
        return text.lower() == self.words.lower()


_MODIFIERS = int(PageProtect.PAGE_GUARD | PageProtect.PAGE_NOCACHE | PageProtect.PAGE_WRITECOMBINE)


def parse_protections(texts: Sequence[str]) -> tuple[Protection, ...]:
    """Parses protections in any spelling.

    Raises:
        ValueError: one is not a protection.
    """
    protections = []
    for text in texts:
        if text.strip().lower() == RESERVED.lower():
            protections.append(Protection(RESERVED))
            continue
        value = parse_protection(text)
        if value is None or not 0 < value < 1 << 32:
            raise ValueError(f"{text!r} is not a protection. Use Read/Write, PAGE_READWRITE, rw, guard, or 0x4")
        protections.append(Protection(protection_text(value), 0 if value & ~_MODIFIERS else value))
    return tuple(protections)


def sort_rows(frame: pd.DataFrame, by: str | None) -> pd.DataFrame:
    """Sorts by a column: figures descending, texts and addresses ascending.

    A sign sets the direction, as in `triage --sort`: `-column` sorts descending, `+column` ascending.

    Raises:
        ValueError: there is no such column.
    """
    if not by:
        return frame
    sign, rest = (by.strip()[0], by.strip()[1:]) if by.strip()[:1] in ("-", "+") else ("", by.strip())
    name = rest.replace("-", "_").lower()
    if name not in frame.columns:
        raise ValueError(f"{by!r} is not a column. Columns: {', '.join(frame.columns)}")
    figures = frame[name].dtype.kind in "iu" and name not in ("address", "allocation")
    ascending = sign == "+" if sign else not figures
    return frame.sort_values(name, ascending=ascending, kind="stable", na_position="last", key=_by_text)


def _by_text(column: pd.Series[Any]) -> pd.Series[Any]:
    """Returns a column that sorts by its texts; types sort in their own order."""
    import pandas as pd

    if column.dtype.name != "category" or column.name == "type":
        return column
    texts = Texts.of(column)
    rank = np.argsort(np.argsort(np.array(texts.values, object), kind="stable"), kind="stable")
    return pd.Series(rank[texts.codes], index=column.index)
