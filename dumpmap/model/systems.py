"""Families of operating systems, and which of them share a kernel."""

from __future__ import annotations

from typing import Literal

Family = Literal[
    "windows", "linux", "android", "macos", "ios", "solaris", "ps3", "nacl", "fuchsia", "unix", "other"
]  # fmt: skip

_KERNELS = {"android": "linux", "ios": "macos"}


def kernel_of(family: str) -> str:
    """Returns the family whose kernel a system runs, and with it its maps, signals, and exception types.

    Android runs Linux's kernel and iOS that of macOS; every other family has its own.
    """
    return _KERNELS.get(family, family)
