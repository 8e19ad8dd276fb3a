"""What a row of `owners` can stand for: a module of its own, because the command line needs it for its help."""

from __future__ import annotations

from enum import StrEnum


class OwnersBy(StrEnum):
    """What a row of `owners` stands for."""

    owner = "owner"
    instance = "instance"
    module = "module"
    kind = "kind"
    size = "size"
