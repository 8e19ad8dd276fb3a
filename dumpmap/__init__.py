"""The memory map of a Windows process, VMMap's way, out of a minidump or a snapshot, on any OS.

```python
import dumpmap

m = dumpmap.open("crash.dmp")
m.summary()                  # a DataFrame indexed by type, VMMap's columns, bytes
m.allocations, m.regions     # DataFrames, one row per allocation / per region
m.at(0x7FF612340000)         # what is there, or None
m.largest_free_block, m.findings()
dumpmap.diff("before.dmp", "after.dmp").allocations
dumpmap.timeline(["1.json", "2.json", "3.json"]).growing
```
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dumpmap._version import __version__
from dumpmap.errors import CaptureError, DumpmapError, FormatError, InputError, OutputError, SnapshotError

if TYPE_CHECKING:
    from dumpmap.api import RegionMap, diff, open, timeline
    from dumpmap.model.location import Location
    from dumpmap.model.region_map import FreeBlock
    from dumpmap.triage.batch import triage
    from dumpmap.views.addresses import hex_addresses

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
    "hex_addresses",
    "open",
    "timeline",
    "triage",
]


# Loading NumPy takes longer than most commands of the command line: only who asks for these gets it.
_LAZY = {
    "open": "dumpmap.api",
    "RegionMap": "dumpmap.api",
    "FreeBlock": "dumpmap.model.region_map",
    "Location": "dumpmap.model.location",
    "diff": "dumpmap.api",
    "timeline": "dumpmap.api",
    "hex_addresses": "dumpmap.views.addresses",
    "triage": "dumpmap.triage",
    # `dumpmap.triage` offers these two as its own; they live in a room above it.
    "RichProgress": "dumpmap.render.progress",
    "write_result": "dumpmap.render.triage",
}


def __getattr__(name: str) -> Any:
    module = _LAZY.get(name)
    if module is None:
        raise AttributeError(f"module 'dumpmap' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(module), name)


def __dir__() -> list[str]:
    return sorted(__all__)
