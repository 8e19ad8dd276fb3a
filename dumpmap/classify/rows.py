"""Rows: the named columns of allocations and blocks. Made only when a view needs rows; the summary needs none."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from dumpmap.classify.images import Sections
from dumpmap.classify.labels import Labels, Mark, Texts
from dumpmap.classify.pieces import cut_pieces
from dumpmap.model.kinds import GUARD
from dumpmap.model.pieces import BlockColumns, Pieces, committed_of, private_of
from dumpmap.model.region_map import AllocationColumns
from dumpmap.model.snapshot import I32, U64, Snapshot
from dumpmap.model.space import AllocationSpace, working_sets
from dumpmap.model.types import RegionType
from dumpmap.model.winnt import MemState, PageProtect

_COMMIT, _GUARD, _STACK = int(MemState.MEM_COMMIT), int(PageProtect.PAGE_GUARD), int(RegionType.STACK)


@dataclass
class RowMaker:
    """Makes the columns of one map.

    Attributes:
        snapshot: the raw facts.
        space: regions in use, by allocation.
        labels: what the rules said.
        sections: images whose sections are known.
        pieces: regions, cut where a part of one has a type of its own.
        recorded: the types come from another tool's file.
    """

    snapshot: Snapshot
    space: AllocationSpace
    labels: Labels
    sections: list[Sections]
    pieces: Pieces
    recorded: bool

    @cached_property
    def evidence(self) -> I32:
        """Code of the evidence of every allocation."""
        return _evidence_codes(self.snapshot, self.labels, len(self.space), recorded=self.recorded)

    def allocations(self) -> AllocationColumns:
        """One row per allocation."""
        return _allocations(self.space, self.labels, self.evidence, self.pieces)

    def blocks(self) -> BlockColumns:
        """One row per region or section."""
        labels = self.labels
        marks = [mark for image in self.sections for mark in image.marks()] + labels.marks
        pieces = self.pieces
        if any(mark.label.type is None for mark in marks):  # which the pieces so far leave out
            pieces = cut_pieces(self.space, labels.types, marks)
        return _blocks(pieces, self.space, labels, marks, self.evidence, recorded=self.recorded)


def _blocks(
    pieces: Pieces,
    space: AllocationSpace,
    labels: Labels,
    marks: list[Mark],
    allocation_evidence: I32,
    *,
    recorded: bool,
) -> BlockColumns:
    """Names the pieces: after their allocation, then after the mark that covers them."""
    allocation = pieces.allocation
    kind, details = labels.kinds[allocation], labels.details[allocation]
    evidence, inferred = allocation_evidence[allocation], labels.inferred[allocation]
    if recorded:
        from dumpmap.classify.recorded import take_rows

        take_rows(space.regions, pieces.region, labels, kind, details)
    else:
        # The type of the allocation counts: a mark can give a part of a stack another type.
        guards = ((pieces.protect & np.uint32(_GUARD)) != 0) & (labels.types[allocation] == _STACK)
        kind[guards] = labels.texts.code(GUARD.name)
    _apply_marks(pieces.base, marks, labels.texts, kind, details, evidence, inferred)
    return BlockColumns(**vars(pieces), kind=kind, details=details, evidence=evidence, inferred=inferred)


def _apply_marks(
    base: U64,
    marks: list[Mark],
    texts: Texts,
    kind: I32,
    details: I32,
    evidence: I32,
    inferred: npt.NDArray[np.bool_],
) -> None:
    """Lays the names of marks over the pieces. Backwards, so that the first of two marks stays."""
    if not marks:
        return
    edges = np.array([(mark.start, mark.end) for mark in marks], np.uint64)
    places = np.searchsorted(base, edges, side="left").tolist()
    code = texts.code
    together: dict[tuple[int, str], int] = {}
    for mark, (low, high) in zip(reversed(marks), reversed(places), strict=True):
        if low >= high:
            continue
        label = mark.label
        kind[low:high] = code(label.kind)
        details[low:high] = code(label.details)
        inferred[low:high] = label.inferred
        key = int(evidence[low]), label.evidence
        if key not in together:
            before = texts.text(key[0])
            known = label.evidence in before.split("+")
            together[key] = key[0] if known else code(f"{before}+{label.evidence}")
        evidence[low:high] = together[key]


def _evidence_codes(snapshot: Snapshot, labels: Labels, count: int, *, recorded: bool) -> I32:
    if recorded:
        basis = "recorded"
    elif snapshot.regions is None:
        basis = "memory-list"
    elif snapshot.process.os.kernel == "linux":
        basis = "linux-maps"
    else:
        basis = "memory-info"
    codes = np.full(count, labels.texts.code(basis), np.int32)
    seen: dict[tuple[str, ...], int] = {}
    for index, found in labels.all_evidence().items():
        key = tuple(found)
        if key not in seen:
            extra = [text for text in found if text != basis]
            # In a partial map an allocation exists only because of its evidence.
            parts = extra if snapshot.regions is None and extra else [basis, *extra]
            seen[key] = labels.texts.code("+".join(parts))
        codes[index] = seen[key]
    return codes


def _allocations(
    space: AllocationSpace,
    labels: Labels,
    evidence: I32,
    pieces: Pieces,
) -> AllocationColumns:
    regions, first = space.regions, space.first
    if len(space) == 0:
        none, zero = np.empty(0, np.int64), np.empty(0, np.int32)
        return AllocationColumns(
            base=space.bases,
            size=none,
            committed=none,
            private=none,
            blocks=none,
            protect=np.empty(0, np.uint32),
            state=np.empty(0, np.uint32),
            type=labels.types,
            kind=zero,
            details=zero,
            evidence=zero,
            inferred=labels.inferred,
            working_set={},
        )
    committed = committed_of(regions)
    starts = np.flatnonzero(pieces.first) if len(pieces.base) != len(regions) else None
    firsts = first if starts is None else starts[first]
    uniform = (np.minimum.reduceat(regions.protect, first) == np.maximum.reduceat(regions.protect, first)) & (
        np.minimum.reduceat(regions.state, first) == np.maximum.reduceat(regions.state, first)
    )
    state = np.where(uniform, regions.state[first], np.uint32(_COMMIT))
    protect = np.where(uniform, regions.protect[first], regions.allocation_protect[first])
    return AllocationColumns(
        base=space.bases,
        size=(space.ends - space.bases).view(np.int64),
        committed=np.add.reduceat(committed, first),
        private=np.add.reduceat(private_of(regions, committed), first),
        blocks=np.add.reduceat(pieces.blocks, firsts),
        protect=protect,
        state=state,
        type=labels.types,
        kind=labels.kinds,
        details=labels.details,
        evidence=evidence,
        inferred=labels.inferred,
        working_set=working_sets(space),
    )
