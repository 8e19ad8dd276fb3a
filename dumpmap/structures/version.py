"""The company in the version resource of an image in process memory.

Sources: Microsoft, "VS_VERSIONINFO structure" and "String structure".
"""

from __future__ import annotations

from dumpmap.model.memory import Memory
from dumpmap.model.process import PeImage
from dumpmap.structures.resources import find_resource

_RT_VERSION = 16
_MOST_BYTES = 1 << 16
_LONGEST = 200
_KEY = "CompanyName\0".encode("utf-16-le")


def company_of(memory: Memory, base: int, image: PeImage) -> str | None:
    """Reads CompanyName of a loaded image; None if the image has none or its resources were not captured."""
    found = find_resource(memory, base, image, _RT_VERSION)
    data = None if found is None or not 0 < found[1] <= _MOST_BYTES else memory.read(*found)
    return None if data is None else _value(data)


def _value(data: bytes) -> str | None:
    """Returns the value behind the key. Key and value start at multiples of 4 bytes; a zero ends the value."""
    at = data.find(_KEY)
    if at < 0:
        return None
    start = -(-(at + len(_KEY)) // 4) * 4
    text = data[start : start + 2 * _LONGEST].decode("utf-16-le", "replace").partition("\0")[0]
    return " ".join(text.split()) or None
