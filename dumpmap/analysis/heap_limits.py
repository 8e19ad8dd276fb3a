"""The third axis: the limit that a runtime sets for its own heap.

Such a limit ends a process that has address space and commit to spare. What the writer of the dump recorded about it
comes first, then what the runtime's own variables say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dumpmap.model.region_map import RegionMap
from dumpmap.model.runtime_limits import RuntimeLimit
from dumpmap.model.sizes import rounded_share
from dumpmap.model.values import value_class

if TYPE_CHECKING:
    from dumpmap.model.writer import HeapLimitRecord

_AT_THE_LIMIT = "heap limit"
"""V8 names the limit where it gives up: `Reached heap limit`, `Ineffective mark-compacts near heap limit`."""


@value_class(frozen=True, slots=True)
class HeapLimit:
    """The heap of a runtime against its own limit. Bytes; None is unknown.

    Attributes:
        runtime: such as `V8`.
        used: bytes in use.
        limit: bytes that it may use at most.
        source: what says so.
        recorded: whether the writer of the dump recorded it.
        failed: whether the writer recorded that this heap ran out; None if it did not say.
        location: where the runtime gave up.
        garbage: whether `used` can be mostly garbage; see `RuntimeLimit`.
    """

    runtime: str
    used: int | None
    limit: int | None
    source: str
    recorded: bool = False
    failed: bool | None = None
    location: str | None = None
    garbage: bool = False

    @property
    def over(self) -> bool:
        """Whether more than the limit is in use."""
        return self.used is not None and self.limit is not None and self.used > self.limit

    @property
    def ratio(self) -> float | None:
        """Used / limit."""
        return self.used / self.limit if self.used is not None and self.limit else None

    def is_near(self, share: float) -> bool:
        """Whether this share of the limit is in use, and not by what may be garbage."""
        return self.ratio is not None and self.ratio >= share and not self.garbage

    def is_known_below(self, share: float) -> bool:
        """Whether less than this share of the limit is in use, garbage included."""
        return self.ratio is not None and self.ratio < share

    def proves_failure(self, share: float) -> bool:
        """Whether the record proves that the limit was reached: it names the limit, and the figures do not deny it.

        V8 also gives up while its heap is small: the system refuses memory, or a range of its own is used up.
        """
        if not self.recorded or self.failed is False:
            return False
        if _AT_THE_LIMIT in (self.location or "").lower():
            return True
        return bool(self.failed) and (self.ratio is None or self.is_near(share))

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "runtime": self.runtime,
            "used": self.used,
            "limit": self.limit,
            "ratio": rounded_share(self.ratio),
            "includes_garbage": self.garbage,
            "location": self.location,
            "source": self.source,
        }


def heap_limits(region_map: RegionMap) -> tuple[HeapLimit, ...]:
    """Lists the limits of runtimes: the recorded one first, then by how much of the limit is in use."""
    writer = region_map.snapshot.writer
    record = None if writer is None else writer.heap_limit
    return (*(() if record is None else (_recorded(record),)), *runtime_limits(region_map))


def _recorded(record: HeapLimitRecord) -> HeapLimit:
    """What the writer recorded; figures that no heap can have prove nothing and are left out."""
    used, limit = (None, None) if record.implausible else (record.known_used, record.limit or None)
    return HeapLimit(record.runtime, used, limit, record.source, True, record.is_oom, record.location)


def runtime_limits(region_map: RegionMap) -> tuple[HeapLimit, ...]:
    """Collects what the variables of runtimes state: every `RuntimeLimit` among the facts of the recognisers.

    Heaps whose figures show how full they are come first, the fullest of them at the top.
    """
    facts = region_map.structures.facts_of(RuntimeLimit)
    found = [
        HeapLimit(fact.runtime, fact.used, fact.limit or None, fact.source, garbage=fact.garbage) for fact in facts
    ]
    return tuple(sorted(found, key=lambda limit: (limit.garbage, -(limit.ratio or 0))))
