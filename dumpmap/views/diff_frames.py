"""The difference of two maps as data frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dumpmap.analysis.changes import CHANGE_COLUMNS, MATCHES, NONE, STATUSES, Changes, take
from dumpmap.analysis.diff import TypeChange
from dumpmap.analysis.owner_parts import OwnerChange
from dumpmap.analysis.part_sums import FIGURES
from dumpmap.model.columns import SUMMARY_COLUMNS
from dumpmap.model.types import RegionType

if TYPE_CHECKING:
    import pandas as pd


def changes_frame(changes: Changes) -> pd.DataFrame:
    """Returns one row per change, those that matter most first, columns `CHANGE_COLUMNS`."""
    import pandas as pd

    order = changes.order()
    a, b = changes.a[order], changes.b[order]
    has_b = b >= 0
    columns_a, columns_b = changes.map_a.allocation_columns, changes.map_b.allocation_columns

    def texts(column: str) -> npt.NDArray[np.object_]:
        table_a = np.array([*changes.map_a.texts, ""], object)
        table_b = np.array([*changes.map_b.texts, ""], object)
        codes_a = take(getattr(columns_a, column).astype(np.int64), a, NONE)
        codes_b = take(getattr(columns_b, column).astype(np.int64), b, NONE)
        return np.where(has_b, table_b[codes_b], table_a[codes_a])

    labels = np.array([one.label for one in RegionType], object)
    types = np.where(has_b, take(columns_b.type.astype(np.int64), b), take(columns_a.type.astype(np.int64), a))
    data: dict[str, Any] = {
        "status": pd.Categorical.from_codes(changes.status[order].astype(np.int8), categories=pd.Index(STATUSES)),
        "match": pd.Categorical.from_codes(changes.match[order].astype(np.int8), categories=pd.Index(MATCHES)),
        "type": labels[types],
        "kind": texts("kind"),
        "details": texts("details"),
    }
    sides = {"a": (columns_a, changes.figures_a, a), "b": (columns_b, changes.figures_b, b)}
    for name, (columns, figures, index) in sides.items():
        missing = index < 0
        base = np.zeros(len(index), np.uint64)
        base[~missing] = columns.base[index[~missing]]
        data[f"address_{name}"] = pd.arrays.IntegerArray(base, missing)
        for column in ("size", "committed", "private"):
            data[f"{column}_{name}"] = pd.arrays.IntegerArray(take(figures[column], index), missing)
    data["size_delta"] = changes.size_delta[order]
    data["committed_delta"] = changes.committed_delta[order]
    data["private_delta"] = changes.private_delta[order]
    return pd.DataFrame(data, columns=list(CHANGE_COLUMNS))


def type_changes_frame(types: Sequence[TypeChange]) -> pd.DataFrame:
    """Returns the summary's rows on both sides, indexed by type, `Total` first.

    The columns are `_a`, `_b` and `_delta` of each column of the summary: nullable integers, bytes.
    """
    import pandas as pd

    columns = {
        f"{column}_{side}": pd.array([getattr(row.figures[column], side) for row in types], dtype="Int64")
        for column in SUMMARY_COLUMNS
        for side in ("a", "b", "delta")
    }
    return pd.DataFrame(columns, index=pd.Index([row.type for row in types], name="type"))


def owner_changes_frame(owners: Sequence[OwnerChange]) -> pd.DataFrame:
    """Returns one row per part of an owner or instance; memory without an owner has an empty owner.

    The columns are `owner`, `module`, `instance_a`, `instance_b`, `match`, `kind`, `type`, `size_each`, then `_a`, `_b`
    and `_delta` of `size`, `committed`, and `count`: nullable integers, bytes.
    """
    import pandas as pd

    parts = [(owner, part) for owner in owners for part in owner.parts]
    texts = {
        name: pd.array([getattr(owner, name) for owner, _ in parts], dtype="string")
        for name in ("owner", "module", "instance_a", "instance_b", "match")
    }
    keys = {
        "kind": pd.array([part.key.kind for _, part in parts], dtype="string"),
        "type": pd.array([None if part.key.type is None else part.key.type.label for _, part in parts], dtype="string"),
        "size_each": pd.array([part.key.size_each or None for _, part in parts], dtype="Int64"),
    }
    figures = {
        f"{name}_{side}": pd.array([getattr(getattr(part, name), side) for _, part in parts], dtype="Int64")
        for name in FIGURES
        for side in ("a", "b", "delta")
    }
    return pd.DataFrame({**texts, **keys, **figures})
