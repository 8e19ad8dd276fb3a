"""The difference of two maps: what the second has more, less, or otherwise than the first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from dumpmap.analysis.caveats import Caveat
from dumpmap.analysis.changes import Changes
from dumpmap.analysis.diagnosis import Hit, diagnose
from dumpmap.analysis.figures import FigureChange
from dumpmap.analysis.free import FreeSpace
from dumpmap.analysis.lower_bounds import is_lower_bound
from dumpmap.analysis.matching import changes_of, pair_allocations
from dumpmap.analysis.measurements import measurements_of
from dumpmap.analysis.owner_parts import OwnerChange, owner_changes
from dumpmap.analysis.rules import SEVERITIES, RuleSet, VerdictName
from dumpmap.analysis.subjects import has_foreign_kinds
from dumpmap.model.columns import SUMMARY_COLUMNS
from dumpmap.model.region_map import RegionMap
from dumpmap.model.snapshot import Counters, System
from dumpmap.model.types import RegionType
from dumpmap.model.values import value_class

_SYSTEM_FIGURES = ("commit_total", "commit_limit", "physical_available")


@value_class(frozen=True, slots=True)
class TypeChange:
    """A row of the summary on both sides.

    Attributes:
        type: its name.
        figures: its columns.
        least: whether its figures of the second map are lower bounds.
    """

    type: str
    figures: dict[str, FigureChange]
    least: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Returns plain data: each column with `a`, `b` and `delta`."""
        return {"type": self.type, **{name: figure.to_dict() for name, figure in self.figures.items()}}


@dataclass(frozen=True, eq=False, repr=False)
class MapDiff:
    """The difference of two maps, without their diagnosis.

    Attributes:
        a: the first map.
        b: the second map.
        same_process: whether both show one process, at two moments.
        types: the summary's rows on both sides, `Total` first.
        owners: who took the memory on both sides, those that changed most first. They add up to the map.
        changes: the allocations that are not the same.
        free: free-space figures on both sides.
        counters: counters of the process and figures of the system that either side knows.
        caveats: what a reader of the comparison has to know.
    """

    a: RegionMap
    b: RegionMap
    same_process: bool
    types: tuple[TypeChange, ...]
    owners: tuple[OwnerChange, ...]
    changes: Changes
    free: dict[str, FigureChange]
    counters: dict[str, FigureChange]
    caveats: tuple[Caveat, ...]


def compare_maps(a: RegionMap, b: RegionMap) -> MapDiff:
    """Compares two maps, the earlier one first."""
    same = same_process(a, b)
    pairs = pair_allocations(a, b, same)
    return MapDiff(
        a=a,
        b=b,
        same_process=same,
        types=_type_changes(a, b),
        owners=owner_changes(a, b, pairs),
        changes=changes_of(a, b, pairs),
        free=_free_changes(measurements_of(a).free, measurements_of(b).free),
        counters=_counter_changes(a, b),
        caveats=tuple(_caveats(a, b, same)),
    )


def same_process(a: RegionMap, b: RegionMap) -> bool:
    """Whether two maps show one process: the same id, start, program, and PEB, as far as both know them."""
    one, other = a.process, b.process
    if one.pid is None or other.pid is None or one.pid != other.pid:
        return False
    known = (
        (one.created_at, other.created_at),
        (one.name and one.name.lower(), other.name and other.name.lower()),
        (_pebs(a) or None, _pebs(b) or None),
        _programs(a, b),
    )
    return all(x is None or y is None or x == y for x, y in known)


@value_class(frozen=True, slots=True)
class DiagnosisChange:
    """What changed between the diagnoses of two maps.

    Attributes:
        gained: ids of findings that only the second map has, or that became more severe.
        lost: ids of findings that only the first map has, or that became less severe.
        verdicts: the verdicts on both sides.
    """

    gained: tuple[str, ...]
    lost: tuple[str, ...]
    verdicts: tuple[VerdictName, VerdictName]


def compare_diagnoses(a: RegionMap, b: RegionMap, rules: RuleSet | None = None) -> DiagnosisChange:
    """Diagnoses two maps and compares the results.

    Args:
        a: the first map.
        b: the second map.
        rules: thresholds and severities for both; the defaults otherwise.
    """
    before, after = diagnose(a, rules), diagnose(b, rules)
    return DiagnosisChange(
        gained=tuple(_worse(after.hits, before.hits)),
        lost=tuple(_worse(before.hits, after.hits)),
        verdicts=(before.verdict, after.verdict),
    )


def _worse(these: Iterable[Hit], than: Iterable[Hit]) -> Iterator[str]:
    """Yields the ids of findings that the others lack, or have with a lower severity."""
    known = {hit.id: SEVERITIES.index(hit.severity) for hit in than}
    return (hit.id for hit in these if SEVERITIES.index(hit.severity) < known.get(hit.id, len(SEVERITIES)))


def _programs(a: RegionMap, b: RegionMap) -> tuple[int | None, int | None]:
    """Where the program is in both maps: the first module, or that of its name if one of them is a VMMap file.

    VMMap's files have no order of modules.
    """
    if has_foreign_kinds(a) != has_foreign_kinds(b):
        return _base_of(a, a.process.name), _base_of(b, b.process.name)
    return _first_base(a), _first_base(b)


def _base_of(region_map: RegionMap, name: str | None) -> int | None:
    wanted = (name or "").lower()
    return next((module.base for module in region_map.snapshot.modules if module.name.lower() == wanted), None)


def _first_base(region_map: RegionMap) -> int | None:
    return region_map.snapshot.modules[0].base if region_map.snapshot.modules else None


def _pebs(region_map: RegionMap) -> tuple[int, ...]:
    return tuple(sorted(peb.address for peb in region_map.structures.pebs))


def _caveats(a: RegionMap, b: RegionMap, same: bool) -> Iterator[Caveat]:
    if not same:
        yield Caveat("different-processes")
    if a.partial or b.partial:
        yield Caveat("no-region-list", {"a": a.partial, "b": b.partial})
    for side, one in (("a", a), ("b", b)):
        if not one.partial and not measurements_of(one).whole:
            yield Caveat("region-list-cut-off", {"a": side == "a", "b": side == "b"})
    if has_foreign_kinds(a) != has_foreign_kinds(b):
        yield Caveat("owners-of-one-input", {"a": has_foreign_kinds(a), "b": has_foreign_kinds(b)})
    if a.process.pointer_size != b.process.pointer_size:
        yield Caveat("different-pointer-sizes")


def _type_changes(a: RegionMap, b: RegionMap) -> tuple[TypeChange, ...]:
    lines_a = {line.name: line.values() for line in a.summary_lines}
    lines_b = {line.name: line.values() for line in b.summary_lines}
    names = list(lines_a) + [name for name in lines_b if name not in lines_a]
    absent: dict[str, int | None] = dict.fromkeys(SUMMARY_COLUMNS)
    whole = measurements_of(a).whole and measurements_of(b).whole
    least = {line.name for line in b.summary_lines if is_lower_bound(b, line)}

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
            name in least,
        )
        for name in names
    )


def _free_changes(a: FreeSpace | None, b: FreeSpace | None) -> dict[str, FigureChange]:
    """Free space on both sides. What a list that is cut off shows is free, and there can be more."""
    known_a, known_b = a is not None and a.complete, b is not None and b.complete

    def pair(value: Callable[[FreeSpace], float | None]) -> FigureChange:
        one, other = (None if space is None else value(space) for space in (a, b))
        return FigureChange(one, other, known_a and known_b, not known_a, not known_b)

    def whole(value: Callable[[FreeSpace], float | None]) -> FigureChange:
        return pair(lambda space: value(space) if space.complete else None)

    return {
        "free": pair(lambda space: space.total),
        "free_blocks": pair(lambda space: space.count),
        "largest_free_block": pair(lambda space: space.largest.size if space.largest else 0),
        "fragmentation": whole(lambda space: space.fragmentation),
        "tiny_block_size": whole(lambda space: space.tiny),
        "unusable": pair(lambda space: space.unusable),
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
