"""What limits a comparison, as data; `dumpmap.wording.comparison` makes the sentences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Literal, get_args

from dumpmap.model.values import value_class

CaveatId = Literal[
    "different-processes",
    "no-region-list",
    "region-list-cut-off",
    "different-pointer-sizes",
    "owners-of-one-input",
    "owners-of-other-inputs",
    "several-processes",
    "incomplete-inputs",
    "times-missing",
    "times-equal",
    "sorted-by-time",
]
CAVEATS: tuple[CaveatId, ...] = get_args(CaveatId)
"""Every caveat. The first five are about a difference of two maps, the others about a timeline."""


@value_class(frozen=True, slots=True)
class Caveat:
    """Something that a reader of a comparison has to know.

    Attributes:
        id: which one.
        values: what its sentence states: `a` and `b` say which inputs it is about; `count` and `of` are numbers of
            inputs.
    """

    id: CaveatId
    values: Mapping[str, int] = field(default_factory=dict)
