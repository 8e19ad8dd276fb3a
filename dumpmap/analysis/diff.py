"""What changed between two maps.

Allocations are matched in this order; what is left over was added or removed:

1. the same base, and the same identity: module name, thread, heap and role, mapped file, kind of a named region;
2. the same identity at another base: modules and stacks move between two runs, and modules within one;
3. the same base and size, where one of the two has no identity: the same memory, better or otherwise known;
4. only between different processes: anonymous memory of the same type, size and commit, as far as the numbers go.

On Windows the size of an allocation never changes, so anonymous memory at one base with another size is another
allocation. Everything is done on whole columns: a process can have a million allocations.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from dumpmap.analysis.free import FreeSpace
from dumpmap.analysis.measurements import measurements_of
from dumpmap.analysis.rules import RuleSet
from dumpmap.model.columns import SUMMARY_COLUMNS
from dumpmap.model.region_map import RegionMap
from dumpmap.model.snapshot import I64, U64, Counters, System
from dumpmap.model.types import RegionType
from dumpmap.views.frames import own_frame
from dumpmap.wording.findings import Finding, find
from dumpmap.wording.verdicts import verdict

if TYPE_CHECKING:
    import pandas as pd

Status = Literal["added", "removed", "grown", "shrunk", "changed", "moved"]
STATUSES: tuple[Status, ...] = ("added", "removed", "grown", "shrunk", "changed", "moved")
"""Every status of a change.

- `grown`, `shrunk`: by size, or with the same size by committed bytes, or with the same of both by private bytes.
- `changed`: same figures, but another type, kind, description, protection or number of regions.
- `moved`: nothing but the address.
"""

MATCHES = ("", "base", "identity", "same place", "shape")
"""How the two sides of a change were matched: not at all, and the four ways above."""

CHANGE_COLUMNS = (
    "status",
    "match",
    "type",
    "kind",
    "details",
    "address_a",
    "address_b",
    "size_a",
    "size_b",
    "size_delta",
    "committed_a",
    "committed_b",
    "committed_delta",
    "private_a",
    "private_b",
    "private_delta",
)
"""Columns of the table of changes; `_a` is missing for what was added, `_b` for what was removed."""

DIFF_SCHEMA = "dumpmap.diff/1"

_SYSTEM_FIGURES = ("commit_total", "commit_limit", "physical_available")
_THREAD = re.compile(r"Thread ID: (?P<id>\d+)(?: \((?P<name>.*)\))?$")
_LFH = " [LOW FRAGMENTATION]"

Index = npt.NDArray[np.intp]
_NONE = -1


@dataclass(frozen=True, slots=True)
class Change:
    """One allocation that is not the same in both maps. Sizes are bytes; None where the side does not have it."""

    status: Status
    match: str
    type: str
    kind: str
    details: str
    address_a: int | None
    address_b: int | None
    size_a: int | None
    size_b: int | None
    size_delta: int
    committed_a: int | None
    committed_b: int | None
    committed_delta: int
    private_a: int | None
    private_b: int | None
    private_delta: int

    def to_dict(self) -> dict[str, Any]:
        """Plain data, columns `CHANGE_COLUMNS`."""
        row: dict[str, Any] = {column: getattr(self, column) for column in CHANGE_COLUMNS}
        for side in ("address_a", "address_b"):
            row[side] = None if row[side] is None else f"0x{row[side]:x}"
        return row


@dataclass(frozen=True, eq=False, repr=False)
class Changes:
    """All changes, columnar.

    Attributes:
        status: index into `STATUSES`.
        match: index into `MATCHES`.
        a: index of the allocation in the first map, -1 for what was added.
        b: index of the allocation in the second map, -1 for what was removed.
        unchanged: how many allocations are the same in both.
    """

    map_a: RegionMap
    map_b: RegionMap
    status: npt.NDArray[np.uint8]
    match: npt.NDArray[np.uint8]
    a: Index
    b: Index
    unchanged: int

    def __len__(self) -> int:
        return len(self.status)

    def _delta(self, column: str) -> I64:
        before = _take(getattr(self.map_a.allocation_columns, column), self.a)
        after = _take(getattr(self.map_b.allocation_columns, column), self.b)
        return after - before

    @cached_property
    def size_delta(self) -> I64:
        """Change of size."""
        return self._delta("size")

    @cached_property
    def committed_delta(self) -> I64:
        """Change of committed bytes."""
        return self._delta("committed")

    @cached_property
    def private_delta(self) -> I64:
        """Change of private bytes."""
        return self._delta("private")

    def count(self, status: Status) -> int:
        """How many changes have a status."""
        return int(np.count_nonzero(self.status == STATUSES.index(status)))

    def order(self) -> Index:
        """The changes that matter most first: by committed bytes, then by size, then by address."""
        address = np.where(
            self.b >= 0,
            _take(self.map_b.allocation_columns.base.astype(np.int64), self.b),
            _take(self.map_a.allocation_columns.base.astype(np.int64), self.a),
        )
        return np.lexsort((address, -np.abs(self.size_delta), -np.abs(self.committed_delta)))

    def rows(self, limit: int | None = None, statuses: Sequence[Status] | None = None) -> Iterator[Change]:
        """Yields the changes, those that matter most first.

        Args:
            limit: at most so many.
            statuses: only these.
        """
        order = self.order()
        if statuses is not None:
            wanted = np.array([STATUSES.index(status) for status in statuses], np.uint8)
            order = order[np.isin(self.status[order], wanted)]
        for index in order[:limit].tolist():
            yield self._row(index)

    def _row(self, index: int) -> Change:
        a, b = int(self.a[index]), int(self.b[index])
        region_map, at = (self.map_b, b) if b >= 0 else (self.map_a, a)
        columns = region_map.allocation_columns

        def side(one: RegionMap, position: int, column: str) -> int | None:
            return None if position < 0 else int(getattr(one.allocation_columns, column)[position])

        return Change(
            status=STATUSES[self.status[index]],
            match=MATCHES[self.match[index]],
            type=RegionType(int(columns.type[at])).label,
            kind=region_map.texts[columns.kind[at]],
            details=region_map.texts[columns.details[at]],
            address_a=side(self.map_a, a, "base"),
            address_b=side(self.map_b, b, "base"),
            size_a=side(self.map_a, a, "size"),
            size_b=side(self.map_b, b, "size"),
            size_delta=int(self.size_delta[index]),
            committed_a=side(self.map_a, a, "committed"),
            committed_b=side(self.map_b, b, "committed"),
            committed_delta=int(self.committed_delta[index]),
            private_a=side(self.map_a, a, "private"),
            private_b=side(self.map_b, b, "private"),
            private_delta=int(self.private_delta[index]),
        )

    def __repr__(self) -> str:
        return f"<Changes: {self.counts_text()}>"

    def counts_text(self) -> str:
        """How many changes there are of each kind, in words."""
        counts = [(status, self.count(status)) for status in STATUSES]
        words = [f"{count:,} {status}" for status, count in counts if count]
        return ", ".join([*words, f"{self.unchanged:,} same"] if self.unchanged else words) or "no allocations"

    @property
    def frame(self) -> pd.DataFrame:
        """All changes as a data frame, columns `CHANGE_COLUMNS`, those that matter most first; the caller's own."""
        return own_frame(self._frame)

    @cached_property
    def _frame(self) -> pd.DataFrame:
        import pandas as pd

        order = self.order()
        a, b = self.a[order], self.b[order]
        has_b = b >= 0
        columns_a, columns_b = self.map_a.allocation_columns, self.map_b.allocation_columns

        def texts(column: str) -> npt.NDArray[np.object_]:
            table_a = np.array([*self.map_a.texts, ""], object)
            table_b = np.array([*self.map_b.texts, ""], object)
            codes_a = _take(getattr(columns_a, column).astype(np.int64), a, _NONE)
            codes_b = _take(getattr(columns_b, column).astype(np.int64), b, _NONE)
            return np.where(has_b, table_b[codes_b], table_a[codes_a])

        labels = np.array([kind.label for kind in RegionType], object)
        types = np.where(has_b, _take(columns_b.type.astype(np.int64), b), _take(columns_a.type.astype(np.int64), a))
        data: dict[str, Any] = {
            "status": pd.Categorical.from_codes(self.status[order].astype(np.int8), categories=pd.Index(STATUSES)),
            "match": pd.Categorical.from_codes(self.match[order].astype(np.int8), categories=pd.Index(MATCHES)),
            "type": labels[types],
            "kind": texts("kind"),
            "details": texts("details"),
        }
        for name, (columns, index) in {"a": (columns_a, a), "b": (columns_b, b)}.items():
            missing = index < 0
            base = np.zeros(len(index), np.uint64)
            base[~missing] = columns.base[index[~missing]]
            data[f"address_{name}"] = pd.arrays.IntegerArray(base, missing)
            for column in ("size", "committed", "private"):
                data[f"{column}_{name}"] = pd.arrays.IntegerArray(_take(getattr(columns, column), index), missing)
        data["size_delta"] = self.size_delta[order]
        data["committed_delta"] = self.committed_delta[order]
        data["private_delta"] = self.private_delta[order]
        return pd.DataFrame(data, columns=list(CHANGE_COLUMNS))


def _take(values: npt.NDArray[Any], index: Index, missing: int = 0) -> I64:
    """Takes values by index; -1 gives `missing`."""
    if len(values) == 0:
        return np.full(len(index), missing, np.int64)
    return np.where(index >= 0, values[np.maximum(index, 0)], missing).astype(np.int64)


# ---------------------------------------------------------------- the difference


@dataclass(frozen=True, slots=True)
class FigureChange:
    """A figure on both sides; None is unknown, and then the change is too.

    Where one of the maps is not whole, its figure is the least that it can be: both are given, but no change.
    """

    a: float | None
    b: float | None
    comparable: bool = True

    @property
    def delta(self) -> float | None:
        """The change."""
        return None if self.a is None or self.b is None or not self.comparable else self.b - self.a

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {"a": self.a, "b": self.b, "delta": self.delta}


@dataclass(frozen=True, slots=True)
class TypeChange:
    """A row of the summary on both sides."""

    type: str
    figures: dict[str, FigureChange]

    def to_dict(self) -> dict[str, Any]:
        """Plain data: each column with `a`, `b` and `delta`."""
        return {"type": self.type, **{name: figure.to_dict() for name, figure in self.figures.items()}}


@dataclass(frozen=True, eq=False, repr=False)
class Diff:
    """The difference of two maps.

    Attributes:
        a: the first map.
        b: the second map.
        same_process: whether both are of one process, at two moments.
        types: the summary's rows on both sides, `Total` first.
        changes: the allocations that are not the same.
        free: free-space figures on both sides.
        counters: counters of the process and figures of the system that either side knows.
        gained: findings that only the second map has, or that became more severe.
        lost: findings that only the first map has, or that became less severe.
        verdicts: the verdicts on both sides.
        notes: what a reader of the comparison has to know.
    """

    a: RegionMap
    b: RegionMap
    same_process: bool
    types: tuple[TypeChange, ...]
    changes: Changes
    free: dict[str, FigureChange]
    counters: dict[str, FigureChange]
    gained: tuple[Finding, ...]
    lost: tuple[Finding, ...]
    verdicts: tuple[str, str]
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        names = f"{self.a.snapshot.source.name} -> {self.b.snapshot.source.name}"
        kind = "one process" if self.same_process else "two processes"
        return f"<Diff {names}: {kind}, {self.changes.counts_text()}>"

    def __rich_console__(self, console: Any, options: Any) -> Any:
        from dumpmap.render.terminal import to_rich
        from dumpmap.views.compare import diff_blocks

        yield from to_rich(diff_blocks(self, 40))

    @property
    def allocations(self) -> pd.DataFrame:
        """The allocations that are not the same, those that matter most first, columns `CHANGE_COLUMNS`."""
        return self.changes.frame

    def summary(self) -> pd.DataFrame:
        """The summary's rows on both sides, and what changed.

        Returns:
            a frame indexed by type, `Total` first; for each column of the summary `_a`, `_b` and `_delta`, nullable
            integers, bytes.
        """
        import pandas as pd

        columns = {
            f"{column}_{side}": pd.array([getattr(row.figures[column], side) for row in self.types], dtype="Int64")
            for column in SUMMARY_COLUMNS
            for side in ("a", "b", "delta")
        }
        return pd.DataFrame(columns, index=pd.Index([row.type for row in self.types], name="type"))

    def to_dict(self, limit: int | None = None) -> dict[str, Any]:
        """Plain data, schema `dumpmap.diff/1`.

        Args:
            limit: how many changes to list; all by default. Their number is given either way.
        """
        return {
            "schema": DIFF_SCHEMA,
            "a": _side(self.a),
            "b": _side(self.b),
            "same_process": self.same_process,
            "notes": list(self.notes),
            "types": [row.to_dict() for row in self.types],
            "free": {name: figure.to_dict() for name, figure in self.free.items()},
            "counters": {name: figure.to_dict() for name, figure in self.counters.items()},
            "verdicts": {"a": self.verdicts[0], "b": self.verdicts[1]},
            "findings": {
                "gained": [finding.to_dict() for finding in self.gained],
                "lost": [finding.to_dict() for finding in self.lost],
            },
            "counts": {**{status: self.changes.count(status) for status in STATUSES}, "same": self.changes.unchanged},
            "allocations": [change.to_dict() for change in self.changes.rows(limit)],
        }


def _side(region_map: RegionMap) -> dict[str, Any]:
    source, process = region_map.snapshot.source, region_map.process
    return {
        "path": source.path,
        "name": source.name,
        "captured_at": None if source.captured_at is None else source.captured_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "process": process.name,
        "pid": process.pid,
        "completeness": region_map.completeness,
    }


def diff(
    a: RegionMap | str | PathLike[str], b: RegionMap | str | PathLike[str], *, rules: RuleSet | None = None
) -> Diff:
    """Compares two maps: what `b` has more, less or otherwise than `a`.

    Args:
        a: the earlier map, or the path of an input.
        b: the later one.
        rules: thresholds for the findings on both sides.

    Raises:
        DumpmapError: an input cannot be read.
    """
    first, second = _opened(a), _opened(b)
    same = same_process(first, second)
    gained, lost = _finding_changes(find(first, rules), find(second, rules))
    return Diff(
        a=first,
        b=second,
        same_process=same,
        types=_type_changes(first, second),
        changes=match_allocations(first, second, same),
        free=_free_changes(measurements_of(first).free, measurements_of(second).free),
        counters=_counter_changes(first, second),
        gained=gained,
        lost=lost,
        verdicts=(verdict(first, rules).verdict, verdict(second, rules).verdict),
        notes=tuple(_notes(first, second, same)),
    )


def _opened(source: RegionMap | str | PathLike[str]) -> RegionMap:
    if isinstance(source, RegionMap):
        return source
    import dumpmap

    return dumpmap.open(source)


def same_process(a: RegionMap, b: RegionMap) -> bool:
    """Whether two maps are of one process: the same id, start, program and PEB, as far as both know them."""
    one, other = a.process, b.process
    if one.pid is None or other.pid is None or one.pid != other.pid:
        return False
    facts = (
        (one.created_at, other.created_at),
        (one.name and one.name.lower(), other.name and other.name.lower()),
        (_pebs(a) or None, _pebs(b) or None),
        (a.snapshot.modules[0].base if a.snapshot.modules else None, _first_base(b)),
    )
    return all(x is None or y is None or x == y for x, y in facts)


def _first_base(region_map: RegionMap) -> int | None:
    return region_map.snapshot.modules[0].base if region_map.snapshot.modules else None


def _pebs(region_map: RegionMap) -> tuple[int, ...]:
    return tuple(sorted(peb.address for peb in region_map.structures.pebs))


def _notes(a: RegionMap, b: RegionMap, same: bool) -> Iterator[str]:
    if not same:
        yield (
            "the inputs are of different processes: allocations without a name are matched by type, size and commit, "
            "which proves nothing about their contents"
        )
    if a.partial or b.partial:
        which = "both inputs have" if a.partial and b.partial else f"the {'first' if a.partial else 'second'} input has"
        yield (
            f"{which} no list of memory regions: what is missing from its map may be there all the same, so only "
            "modules and counters are compared"
        )
    for which, one in (("first", a), ("second", b)):
        if not one.partial and not measurements_of(one).whole:
            yield f"the {which} input's list of memory regions is cut off: what lies behind its end is not compared"
    if a.process.pointer_size != b.process.pointer_size:
        yield "one process is 32-bit, the other 64-bit"


def _type_changes(a: RegionMap, b: RegionMap) -> tuple[TypeChange, ...]:
    lines_a = {line.name: line.values() for line in a.summary_lines}
    lines_b = {line.name: line.values() for line in b.summary_lines}
    names = list(lines_a) + [name for name in lines_b if name not in lines_a]
    absent: dict[str, int | None] = dict.fromkeys(SUMMARY_COLUMNS)
    whole = measurements_of(a).whole and measurements_of(b).whole

    def comparable(name: str, column: str) -> bool:
        if whole or name == RegionType.PAGE_TABLE.label:
            return True
        # Both by the list of modules: that is the same question put to both.
        return a.partial and b.partial and (name, column) == (RegionType.IMAGE.label, "size")

    return tuple(
        TypeChange(
            name,
            {
                column: FigureChange(
                    lines_a.get(name, absent)[column], lines_b.get(name, absent)[column], comparable(name, column)
                )
                for column in SUMMARY_COLUMNS
            },
        )
        for name in names
    )


def _free_changes(a: FreeSpace | None, b: FreeSpace | None) -> dict[str, FigureChange]:
    comparable = a is not None and a.complete and b is not None and b.complete

    def pair(value: str) -> FigureChange:
        return FigureChange(
            None if a is None else getattr(a, value), None if b is None else getattr(b, value), comparable
        )

    return {
        "free": pair("total"),
        "free_blocks": pair("count"),
        "largest_free_block": FigureChange(
            None if a is None else a.largest.size if a.largest else 0,
            None if b is None else b.largest.size if b.largest else 0,
            comparable,
        ),
        "fragmentation": pair("fragmentation"),
        "tiny_block_size": pair("tiny"),
        "unusable": pair("unusable"),
    }


def _counter_changes(a: RegionMap, b: RegionMap) -> dict[str, FigureChange]:
    changes = {}
    pairs: tuple[tuple[Counters | System, Counters | System, tuple[str, ...], str], ...] = (
        (a.counters, b.counters, tuple(Counters.__slots__), "counters"),
        (a.system, b.system, _SYSTEM_FIGURES, "system"),
    )
    for one, other, names, group in pairs:
        for name in names:
            change = FigureChange(getattr(one, name), getattr(other, name))
            if change.a is not None or change.b is not None:
                changes[f"{group}.{name}"] = change
    for name, x, y in (
        ("threads", len(a.snapshot.threads), len(b.snapshot.threads)),
        ("modules", len(a.snapshot.modules), len(b.snapshot.modules)),
        ("heaps", _heap_count(a), _heap_count(b)),
        ("handles", a.snapshot.handle_count, b.snapshot.handle_count),
    ):
        if x is not None or y is not None:
            changes[name] = FigureChange(x, y)
    return changes


def _heap_count(region_map: RegionMap) -> int | None:
    """How many heaps there are; None where the input does not hold their list, or only shows some of them."""
    if region_map.heap_list_captured or (region_map.heaps and not region_map.partial):
        return len(region_map.heaps)
    return None


def _finding_changes(a: list[Finding], b: list[Finding]) -> tuple[tuple[Finding, ...], tuple[Finding, ...]]:
    from dumpmap.wording.findings import at_least

    before = {finding.id: finding for finding in a}
    after = {finding.id: finding for finding in b}
    gained = tuple(
        finding
        for finding in b
        if finding.id not in before
        or (finding.severity != before[finding.id].severity and at_least(finding.severity, before[finding.id].severity))
    )
    lost = tuple(
        finding
        for finding in a
        if finding.id not in after
        or (finding.severity != after[finding.id].severity and at_least(finding.severity, after[finding.id].severity))
    )
    return gained, lost


# ---------------------------------------------------------------- matching


def identity(kind: RegionType, name: str, details: str, *, same_process: bool) -> str:
    """Names what an allocation is, so that it can be found again at another address; empty where it has no name.

    Args:
        kind: its type.
        name: its kind.
        details: its description.
        same_process: whether it is looked for in the same process; thread ids and addresses mean nothing in another.
    """
    if kind == RegionType.IMAGE:
        return details.replace("\\", "/").rsplit("/", 1)[-1].lower()
    if kind == RegionType.MAPPED_FILE:
        return details.lower()
    if kind == RegionType.STACK:
        match = _THREAD.match(details)
        if match is None:
            return details
        if same_process:
            return f"{name} {match['id']}"
        return f"{name} {match['name']}" if match["name"] else ""
    if kind == RegionType.HEAP:
        text = details.replace(_LFH, "")
        return f"{name} {text}" if same_process or "0x" not in text else ""
    if not name:
        return ""
    # A TEB's description has the thread's id.
    return f"{name} {details}" if same_process else name


@dataclass
class _Side:
    """One map while allocations are matched."""

    base: U64
    size: I64
    committed: I64
    type: npt.NDArray[np.uint8]
    key: I64
    named: npt.NDArray[np.bool_]
    left: npt.NDArray[np.bool_]


def _sides(a: RegionMap, b: RegionMap, same: bool) -> tuple[_Side, _Side]:
    """Gives every allocation of both maps a number that is equal where type and identity are."""
    keys: dict[tuple[int, str], int] = {}
    sides = []
    for region_map in (a, b):
        columns = region_map.allocation_columns
        width = len(region_map.texts)
        combined = (columns.type.astype(np.int64) * width + columns.kind) * width + columns.details
        values, inverse = np.unique(combined, return_inverse=True)
        codes = np.empty(len(values), np.int64)
        named = np.empty(len(values), np.bool_)
        for index, value in enumerate(values.tolist()):
            rest, details = divmod(value, width)
            number, kind = divmod(rest, width)
            text = identity(RegionType(number), region_map.texts[kind], region_map.texts[details], same_process=same)
            codes[index] = keys.setdefault((number, text), len(keys))
            named[index] = bool(text)
        sides.append(
            _Side(
                base=columns.base,
                size=columns.size,
                committed=columns.committed,
                type=columns.type,
                key=codes[inverse] if len(values) else np.empty(0, np.int64),
                named=named[inverse] if len(values) else np.empty(0, np.bool_),
                left=np.ones(len(columns.base), np.bool_),
            )
        )
    return sides[0], sides[1]


def match_allocations(a: RegionMap, b: RegionMap, same: bool) -> Changes:
    """Matches the allocations of two maps and sorts them into what changed and what did not.

    Args:
        a: the first map.
        b: the second map.
        same: whether both are of one process.
    """
    one, other = _sides(a, b, same)
    windows = a.process.os.family == "windows" or b.process.os.family == "windows"
    fixed = windows and not (a.partial or b.partial)
    pairs: list[tuple[Index, Index, int]] = []

    def take(first: Index, second: Index, how: str) -> None:
        one.left[first] = False
        other.left[second] = False
        pairs.append((first, second, MATCHES.index(how)))

    at, there = _same_base(one, other)
    good = one.key[at] == other.key[there]
    if fixed:
        good &= one.named[at] | (one.size[at] == other.size[there])
    take(at[good], there[good], "base")
    # Within one process a heap segment that is elsewhere is another one; modules and mapped files do move.
    movable = np.ones(len(RegionType), np.bool_)
    if same:
        movable[[RegionType.HEAP, RegionType.MANAGED_HEAP, RegionType.PRIVATE_DATA]] = False
    named_by: tuple[tuple[str, ...], ...] = (("size",), ())
    for columns in named_by:
        take(*_equal(one, other, one.named & movable[one.type], other.named & movable[other.type], columns), "identity")
    at, there = _same_base(one, other)
    good = (one.size[at] == other.size[there]) & ~(one.named[at] & other.named[there])
    take(at[good], there[good], "same place")
    if not same:
        shapes: tuple[tuple[str, ...], ...] = (("size", "committed"), ("size",))
        for columns in shapes:
            take(*_equal(one, other, ~one.named, ~other.named, columns), "shape")
    return _changes(a, b, one, other, pairs)


def _same_base(one: _Side, other: _Side) -> tuple[Index, Index]:
    """Pairs what is left and has one base."""
    at, there = np.flatnonzero(one.left), np.flatnonzero(other.left)
    if len(at) == 0 or len(there) == 0:
        return at[:0], there[:0]
    place = np.minimum(np.searchsorted(other.base[there], one.base[at]), len(there) - 1)
    hit = other.base[there][place] == one.base[at]
    return at[hit], there[place[hit]]


def _equal(
    one: _Side,
    other: _Side,
    wanted_one: npt.NDArray[np.bool_],
    wanted_other: npt.NDArray[np.bool_],
    columns: tuple[str, ...],
) -> tuple[Index, Index]:
    """Pairs what is left and equal in key and `columns`; of several equal ones the first with the first, and so on."""
    at, there = np.flatnonzero(one.left & wanted_one), np.flatnonzero(other.left & wanted_other)
    if len(at) == 0 or len(there) == 0:
        return at[:0], there[:0]
    codes = np.concatenate((one.key[at], other.key[there]))
    for column in columns:
        values = np.concatenate((getattr(one, column)[at], getattr(other, column)[there]))
        _, inverse = np.unique(values, return_inverse=True)
        codes = np.unique(codes * (int(inverse.max()) + 1) + inverse, return_inverse=True)[1].astype(np.int64)
    ranks_one, ranks_other = _ranks(codes[: len(at)]), _ranks(codes[len(at) :])
    # A pair of group and rank is unique on each side, so sorting both finds the common ones.
    step = int(max(ranks_one.max(), ranks_other.max())) + 1
    _, first, second = np.intersect1d(
        codes[: len(at)] * step + ranks_one,
        codes[len(at) :] * step + ranks_other,
        assume_unique=True,
        return_indices=True,
    )
    return at[first], there[second]


def _ranks(codes: I64) -> I64:
    """Numbers equal values from 0 on, in their order."""
    order = np.argsort(codes, kind="stable")
    sorted_codes = codes[order]
    starts = np.concatenate(([True], sorted_codes[1:] != sorted_codes[:-1]))
    position = np.arange(len(codes))
    ranks = np.empty(len(codes), np.int64)
    ranks[order] = position - np.maximum.accumulate(np.where(starts, position, 0))
    return ranks


def _changes(a: RegionMap, b: RegionMap, one: _Side, other: _Side, pairs: list[tuple[Index, Index, int]]) -> Changes:
    at = np.concatenate([first for first, _, _ in pairs])
    there = np.concatenate([second for _, second, _ in pairs])
    how = np.concatenate([np.full(len(first), match, np.uint8) for first, _, match in pairs])
    columns_a, columns_b = a.allocation_columns, b.allocation_columns
    delta = columns_b.size[there] - columns_a.size[at]
    for column in ("committed", "private"):
        further = getattr(columns_b, column)[there] - getattr(columns_a, column)[at]
        delta = np.where(delta == 0, further, delta)
    differs = (columns_a.type[at] != columns_b.type[there]) | (columns_a.blocks[at] != columns_b.blocks[there])
    differs |= columns_a.protect[at] != columns_b.protect[there]
    differs |= _texts_differ(a, b, columns_a.kind[at], columns_b.kind[there])
    differs |= _texts_differ(a, b, columns_a.details[at], columns_b.details[there])
    moved = columns_a.base[at] != columns_b.base[there]
    status = np.full(len(at), len(STATUSES), np.uint8)
    status[moved] = STATUSES.index("moved")
    status[differs] = STATUSES.index("changed")
    status[delta < 0] = STATUSES.index("shrunk")
    status[delta > 0] = STATUSES.index("grown")
    if a.partial or b.partial:
        # Without a list of regions only modules are known, by place and size; all else is what happened to be captured.
        known = (columns_a.type[at] == RegionType.IMAGE) & (columns_b.type[there] == RegionType.IMAGE)
        resized = columns_a.size[at] != columns_b.size[there]
        status[~(known & resized)] = len(STATUSES)
        status[known & ~resized & moved] = STATUSES.index("moved")
    same = status == len(STATUSES)
    removed, added = np.flatnonzero(one.left & _shown(a, b)), np.flatnonzero(other.left & _shown(b, a))
    return Changes(
        map_a=a,
        map_b=b,
        status=np.concatenate(
            (
                status[~same],
                np.full(len(removed), STATUSES.index("removed"), np.uint8),
                np.full(len(added), STATUSES.index("added"), np.uint8),
            )
        ),
        match=np.concatenate((how[~same], np.zeros(len(removed) + len(added), np.uint8))),
        a=np.concatenate((at[~same], removed, np.full(len(added), _NONE))),
        b=np.concatenate((there[~same], np.full(len(removed), _NONE), added)),
        unchanged=int(np.count_nonzero(same)),
    )


def _shown(one: RegionMap, other: RegionMap) -> npt.NDArray[np.bool_]:
    """Which allocations of one map the other would show if it had them too."""
    columns = one.allocation_columns
    if other.partial:
        named = bool(other.snapshot.modules)
        return np.asarray((columns.type == RegionType.IMAGE) & named, np.bool_)
    if measurements_of(other).whole or other.end is None:
        return np.ones(len(columns.base), np.bool_)
    return np.asarray(columns.base < other.end, np.bool_)


def _texts_differ(
    a: RegionMap, b: RegionMap, codes_a: npt.NDArray[np.int32], codes_b: npt.NDArray[np.int32]
) -> npt.NDArray[np.bool_]:
    """Compares texts by number: those of `b` are looked up in `a`'s table once each."""
    known = {text: code for code, text in enumerate(a.texts)}
    translate = np.array([known.get(text, _NONE) for text in b.texts], np.int64)
    return codes_a != translate[codes_b] if len(codes_b) else np.zeros(0, np.bool_)
