"""The memory map of a Windows process, VMMap's way, out of a minidump or a snapshot, on any OS.

```python
import dumpmap

m = dumpmap.open("crash.dmp")
m.summary()                  # a DataFrame indexed by type, VMMap's columns, bytes
m.allocations, m.regions     # DataFrames, one row per allocation / per region
m.at(0x7FF612340000)         # what is there, or None
m.largest_free_block, m.findings()
```
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dumpmap._version import __version__
from dumpmap.errors import CaptureError, DumpmapError, FormatError, InputError, OutputError, SnapshotError

if TYPE_CHECKING:
    import os

    from dumpmap.analysis.diff import diff
    from dumpmap.parsers.opening import Input
    from dumpmap.regionmap import FreeBlock, Location, RegionMap
    from dumpmap.triage.batch import triage

__all__ = [
    "CaptureError",
    "DumpmapError",
    "FormatError",
    "FreeBlock",
    "InputError",
    "Location",
    "OutputError",
    "RegionMap",
    "SnapshotError",
    "__version__",
    "diff",
    "open",
    "triage",
]


def open(
    source: Input,
    *,
    image_path: str | os.PathLike[str] | None = None,
    snapshot: int | None = None,
) -> RegionMap:
    """Reads an input and classifies its address space.

    Args:
        source: a minidump, a JSON snapshot or a VMMap file, compressed or not: a path (`-` is standard input), the
            bytes themselves, or a binary file.
        image_path: a folder with the process's own EXE and DLL files; they give image sections where the input does
            not hold the PE headers.
        snapshot: which snapshot of a VMMap file that holds several, counted from 1; the last by default.

    Raises:
        DumpmapError: the input cannot be read.
    """
    from pathlib import Path

    from dumpmap.classify import classify
    from dumpmap.parsers.opening import open_snapshot

    folder = Path(image_path) if image_path is not None else None
    return classify(open_snapshot(source, snapshot=snapshot), image_path=folder)


# Loading NumPy takes longer than most commands of the command line: only who asks for these gets it.
_LAZY = {
    "RegionMap": "dumpmap.regionmap",
    "FreeBlock": "dumpmap.regionmap",
    "Location": "dumpmap.regionmap",
    "diff": "dumpmap.analysis.diff",
    "triage": "dumpmap.triage",
}


def __getattr__(name: str) -> Any:
    module = _LAZY.get(name)
    if module is None:
        raise AttributeError(f"module 'dumpmap' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(module), name)


def __dir__() -> list[str]:
    return sorted(__all__)
