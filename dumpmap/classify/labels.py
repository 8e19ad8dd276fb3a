"""Labels: what rules say about an allocation, or about a range of pages inside one.

Rules run in a fixed order, and the first certain one wins. A label never changes the raw facts; it adds a type, a kind,
details, and the evidence for them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np
import numpy.typing as npt

from dumpmap.model.snapshot import I32, U64, Snapshot
from dumpmap.model.space import AllocationSpace
from dumpmap.model.types import RegionType
from dumpmap.model.values import value_class
from dumpmap.model.winnt import MemType

# Of the columns' own type: comparing an array with a member of an enum takes four times as long.
_MEM_IMAGE, _MEM_MAPPED = np.uint32(MemType.MEM_IMAGE), np.uint32(MemType.MEM_MAPPED)
_IMAGE, _SHAREABLE = int(RegionType.IMAGE), int(RegionType.SHAREABLE)
_PRIVATE_DATA, _UNKNOWN = int(RegionType.PRIVATE_DATA), int(RegionType.UNKNOWN)


class Label(msgspec.Struct, frozen=True):
    """What a rule says. With a `type` of None the type stays what the memory map says, and the label is a name only."""

    kind: str
    evidence: str
    type: RegionType | None = None
    details: str = ""
    inferred: bool = False


@value_class(frozen=True, slots=True)
class Mark:
    """A label on [start, end), a part of an allocation."""

    start: int
    end: int
    label: Label


class Texts:
    """A growing table of texts; code 0 is the empty text."""

    def __init__(self) -> None:
        self._codes = {"": 0}
        self._texts = [""]

    def code(self, text: str) -> int:
        """Returns the code of `text`, adding it if it is new."""
        code = self._codes.get(text)
        if code is None:
            code = self._codes[text] = len(self._texts)
            self._texts.append(text)
        return code

    def text(self, code: int) -> str:
        """Returns the text of a code."""
        return self._texts[code]

    @property
    def values(self) -> Sequence[str]:
        """All texts, by code. This is the table itself, which may still grow."""
        return self._texts


@dataclass
class Labels:
    """The labels of one map while the rules run.

    Attributes:
        space: the allocations.
        types: `RegionType` of each allocation. Rules change it.
        claimed: allocations that a rule has named.
        kinds: code of the kind of each allocation.
        details: code of the details of each allocation.
        inferred: allocations whose label is a guess.
        texts: the table of the codes.
        evidence: evidence beyond the memory map's own, by allocation.
        bulk: evidence of allocations that were labelled together: their indexes, and the word.
        marks: labels on parts of allocations.
    """

    space: AllocationSpace
    types: npt.NDArray[np.uint8]
    claimed: npt.NDArray[np.bool_]
    kinds: I32
    details: I32
    inferred: npt.NDArray[np.bool_]
    texts: Texts = field(default_factory=Texts)
    evidence: dict[int, list[str]] = field(default_factory=dict)
    bulk: list[tuple[list[int], str]] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)

    def __post_init__(self) -> None:
        # For single look-ups and changes: a view is several times faster than an array.
        self._bases, self._ends = self.space.quick_ends
        self._types, self._claimed, self._inferred = self.types.data, self.claimed.data, self.inferred.data
        self._kinds, self._details = self.kinds.data, self.details.data

    @property
    def bases(self) -> U64:
        """First byte of each allocation."""
        return self.space.bases

    @property
    def ends(self) -> U64:
        """End (exclusive) of each allocation."""
        return self.space.ends

    def allocation(self, address: int) -> int:
        """Returns the index of the allocation that holds `address`, or -1."""
        index = bisect_right(self._bases, address) - 1
        return index if index >= 0 and address < self._ends[index] else -1

    def claim(self, index: int, label: Label) -> bool:
        """Labels a whole allocation unless an earlier rule has. A second label of the same kind adds its evidence.

        Returns:
            whether the allocation now has this label's type and kind.
        """
        if index < 0:
            return False
        code = self.texts.code
        kind, details = code(label.kind), code(label.details)
        if self._claimed[index]:
            if self._kinds[index] == kind and self._details[index] == details:
                self.add_evidence(index, label.evidence)
                return True
            return False
        self._claimed[index] = True
        if label.type is not None:
            self._types[index] = label.type
        self._kinds[index] = kind
        self._details[index] = details
        if label.inferred:
            self._inferred[index] = True
        if index in self.evidence:
            self.add_evidence(index, label.evidence)
        else:  # nearly always, and of thousands of segments
            self.evidence[index] = [label.evidence]
        return True

    def claim_all(self, found: Sequence[tuple[int, str, str]], evidence: str, region_type: RegionType) -> None:
        """Labels many allocations at once, given index, kind, and details of each. See `claim`."""
        fresh: dict[int, tuple[int, int]] = {}
        claimed, code = self._claimed, self.texts.code
        last, kind_code = "", 0
        for index, kind, details in found:
            if not claimed[index] and index not in fresh:
                if kind != last:
                    last, kind_code = kind, code(kind)
                fresh[index] = kind_code, code(details)
        self.bulk.append(([index for index, _, _ in found], evidence))
        if fresh:
            indexes = np.array(list(fresh), np.intp)
            codes = np.array(list(fresh.values()), np.int32)
            self.claimed[indexes] = True
            self.types[indexes] = int(region_type)
            self.kinds[indexes], self.details[indexes] = codes[:, 0], codes[:, 1]

    def add_evidence(self, index: int, evidence: str) -> None:
        """Adds evidence to an allocation, once."""
        known = self.evidence.setdefault(index, [])
        if evidence not in known:
            known.append(evidence)

    def all_evidence(self) -> dict[int, list[str]]:
        """The evidence for every allocation that a rule has labelled, by index."""
        merged = {index: list(known) for index, known in self.evidence.items()}
        for indexes, evidence in self.bulk:
            for index in indexes:
                known = merged.setdefault(index, [])
                if evidence not in known:
                    # The allocation is named after it, so it comes before what adds to it.
                    known.insert(0, evidence)
        return merged

    def mark(self, start: int, end: int, label: Label) -> None:
        """Labels a range of an allocation. Where marks overlap, the first one stays."""
        if end > start:
            self.marks.append(Mark(start, end, label))


def start_labels(snapshot: Snapshot, space: AllocationSpace) -> Labels:
    """Returns the types that the memory map itself gives, before any rule."""
    kinds, count = space.kinds, len(space)
    types = np.full(count, _PRIVATE_DATA, np.uint8)
    types[kinds == _MEM_IMAGE] = _IMAGE
    types[kinds == _MEM_MAPPED] = _SHAREABLE
    if snapshot.regions is None:
        types[kinds == 0] = _UNKNOWN
    return Labels(
        space=space,
        types=types,
        claimed=np.zeros(count, np.bool_),
        kinds=np.zeros(count, np.int32),
        details=np.zeros(count, np.int32),
        inferred=np.zeros(count, np.bool_),
    )
