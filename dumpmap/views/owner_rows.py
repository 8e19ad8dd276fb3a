"""What a row of `owners` can stand for, and the order: the command line needs them for its help."""

from __future__ import annotations

from enum import StrEnum


class OwnersBy(StrEnum):
    """What a row of `owners` stands for."""

    owner = "owner"
    instance = "instance"
    module = "module"
    kind = "kind"
    size = "size"


class OwnersSort(StrEnum):
    """The figure that rows are sorted by, the largest first."""

    size = "size"
    committed = "committed"
