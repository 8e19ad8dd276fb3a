"""The texts in the version resource of an image in process memory.

Sources: Microsoft, "VS_VERSIONINFO structure" and "String structure".
"""

from __future__ import annotations

from dumpmap.model.memory import Memory
from dumpmap.model.process import PeImage
from dumpmap.model.values import value_class
from dumpmap.structures.resources import find_resource

_RT_VERSION = 16
_MOST_BYTES = 1 << 16
_LONGEST = 200


@value_class(frozen=True, slots=True)
class VersionTexts:
    """Texts of a version resource; None if the resource does not have them.

    Attributes:
        company: CompanyName.
        product_version: ProductVersion, in the company's own words.
    """

    company: str | None = None
    product_version: str | None = None


_NONE = VersionTexts()


def version_texts(memory: Memory, base: int, image: PeImage) -> VersionTexts:
    """Reads the version resource of a loaded image; nothing is known if it has none or it was not captured."""
    found = find_resource(memory, base, image, _RT_VERSION)
    data = None if found is None or not 0 < found[1] <= _MOST_BYTES else memory.read(*found)
    return _NONE if data is None else VersionTexts(_value(data, "CompanyName"), _value(data, "ProductVersion"))


def _value(data: bytes, name: str) -> str | None:
    """Returns the value behind a key. String and value start at multiples of 4 bytes; a zero ends the value."""
    key = f"{name}\0".encode("utf-16-le")
    at = data.find(key)
    if at < 0:
        return None
    start = -(-(at + len(key)) // 4) * 4
    text = data[start : start + 2 * _LONGEST].decode("utf-16-le", "replace").partition("\0")[0]
    return " ".join(text.split()) or None
