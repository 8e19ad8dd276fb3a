"""The conditions behind the findings, one module per subject; each ends with its table of conditions by finding.

A condition looks at the evidence and returns what it found, or None. Every number that it compares with is a threshold.
It states facts with their numbers and no prose: `dumpmap.wording.findings` makes the sentences.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any

from dumpmap.analysis.cause import Cause
from dumpmap.analysis.measurements import Measurements
from dumpmap.analysis.rules import Severity
from dumpmap.model.values import value_class

MAX_ITEMS = 10
"""Longest list in the values of a finding."""


@value_class(frozen=True, slots=True)
class Evidence:
    """What a condition looks at.

    Attributes:
        m: the measurements of the map.
        t: the thresholds by name.
        cause: the limit that a recorded failure met; None without a failure that is about memory.
    """

    m: Measurements
    t: Mapping[str, float]
    cause: Cause | None


@value_class(frozen=True, slots=True)
class Found:
    """A condition that is met.

    Attributes:
        values: what was found as plain data: sizes are bytes, addresses hex strings.
        severity: a severity below that of the catalog; None for the catalog's.
        subject: objects that the sentence needs beyond the values and the measurements.
    """

    values: dict[str, Any] = field(default_factory=dict)
    severity: Severity | None = None
    subject: Any = None


Condition = Callable[[Evidence], Found | None]


def block_values(m: Measurements) -> dict[str, Any] | None:
    """The largest free block as plain data."""
    largest = m.free.largest if m.free is not None else None
    return None if largest is None else {"address": f"0x{largest.address:x}", "size": largest.size}
