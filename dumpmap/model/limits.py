"""Bounds that a user can raise: how much of a file dumpmap reads before it refuses the rest.

Each has an environment variable. docs/limits.md lists them with the fixed bounds, which are constants beside the code
that applies them. With the defaults, no file takes more than about 300 MiB of memory.

Only the standard library is used here: the live capture runs this room on a bare Python.
"""

from __future__ import annotations

import os

from dumpmap.model.values import value_class

_MIB = 1 << 20


@value_class(frozen=True, slots=True)
class Limit:
    """A bound.

    Attributes:
        name: the end of the variable's name.
        default: the bound unless the variable is set.
        unit: what it counts.
        bounds: what it bounds.
        effect: what happens at the bound.
    """

    name: str
    default: int
    unit: str
    bounds: str
    effect: str

    @property
    def variable(self) -> str:
        """The environment variable that overrides the default."""
        return f"DUMPMAP_MAX_{self.name}"

    @property
    def value(self) -> int:
        """The bound: the variable's positive number, otherwise the default."""
        variable = self.variable
        if variable not in os.environ:
            return self.default
        try:
            given = int(os.environ[variable])
        except ValueError:
            return self.default
        return given if given > 0 else self.default

    @property
    def hint(self) -> str:
        """How to raise it, for a message."""
        return f"set ${self.variable} to allow more"


_REFUSED = "dumpmap refuses the file."
_CUT = "The rest is not read; a warning says so."

DECOMPRESSED = Limit("DECOMPRESSED", 64 << 30, "bytes", "The content of a compressed input.", _REFUSED)
RATIO = Limit(
    "RATIO",
    250,
    "times the packed size",
    "The content of a compressed input beyond its first GiB. Dumps shrink to a third or a twentieth.",
    _REFUSED,
)
TEXT = Limit("TEXT", 128 * _MIB, "bytes", "A JSON snapshot or a file of VMMap, unpacked.", _REFUSED)
VALUES = Limit("VALUES", 1 << 20, "values", "The values of a JSON snapshot outside the rows of its regions.", _REFUSED)
ROWS = Limit("ROWS", 200_000, "rows", "The rows of a file of VMMap.", _REFUSED)
REGIONS = Limit(
    "REGIONS",
    1 << 20,
    "regions",
    "The regions of a minidump or a JSON snapshot.",
    "The rest of a minidump's list is not read, and a warning says so. dumpmap refuses a JSON snapshot.",
)
RANGES = Limit("RANGES", 1 << 20, "ranges", "The ranges in a list of captured memory.", _CUT)
MODULES = Limit("MODULES", 1 << 16, "modules", "The loaded and the unloaded modules of a minidump.", _CUT)
THREADS = Limit("THREADS", 1 << 17, "threads", "The threads of a minidump, their names, and their times.", _CUT)
HANDLES = Limit("HANDLES", 1 << 21, "handles", "The open handles that a minidump lists.", _CUT)
MAPS = Limit("MAPS", 16 * _MIB, "bytes", "The text of /proc/PID/maps in the dump of a Linux process.", _CUT)

LIMITS = (DECOMPRESSED, RATIO, TEXT, VALUES, ROWS, REGIONS, RANGES, MODULES, THREADS, HANDLES, MAPS)
"""All of them, in the order of the document."""
