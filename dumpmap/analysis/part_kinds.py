"""The kinds of the parts of owners: what an owner's rows are summed up by."""

from __future__ import annotations

import numpy as np

from dumpmap.analysis.ownership import OwnerName, Ownership
from dumpmap.model.region_map import RegionMap
from dumpmap.model.snapshot import I32
from dumpmap.model.types import RegionType

_REST, _IMAGE, _OF_TYPE = -1, -2, -3


class PartKinds:
    """The kinds of a map's blocks as parts of their owners.

    Attributes:
        codes: one per row of `block_columns`, to be written by `text`.
    """

    def __init__(self, region_map: RegionMap, ownership: Ownership) -> None:
        rows = ownership.rows
        self._texts = region_map.texts
        nameless = np.array([not text for text in region_map.texts], np.bool_)
        types = rows.type.astype(np.int32)
        # Sections of images are too fine here, and what lies between proved ranges has no kind of its own.
        kinds = np.where(nameless[rows.kind], np.int32(_OF_TYPE) - types, rows.kind)
        kinds = np.where(types == int(RegionType.IMAGE), np.int32(_IMAGE), kinds)
        self.codes: I32 = np.where(ownership.rest, np.int32(_REST), kinds)

    def text(self, code: int, owner: OwnerName) -> str:
        """Writes a code as a kind."""
        if code == _REST:
            return rest_text(owner.owner)
        if code == _IMAGE:
            return RegionType.IMAGE.label
        return self._texts[code] if code >= 0 else RegionType(_OF_TYPE - code).label


def rest_text(owner: str) -> str:
    """Names memory that is an owner's only because of the other parts of its allocation."""
    return f"rest of {owner}'s reservations"
