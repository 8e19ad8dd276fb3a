"""Data of a page as compressed text, for pages that show thousands of dumps or changes.

The browser unpacks it itself (`DecompressionStream`), without a library and without a request.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable, Sequence
from typing import Any

from dumpmap.render.html.assets import json_parts

_LEVEL = 9


def compressed_json(document: Any) -> str:
    """Returns a document as JSON, compressed with zlib, in base64."""
    packer = zlib.compressobj(_LEVEL)
    # Half of a surrogate pair has no place in UTF-8; JSON escapes it.
    parts = [packer.compress(part.encode("ascii")) for part in json_parts(document)]
    return base64.b64encode(b"".join((*parts, packer.flush()))).decode("ascii")


def pack_texts(texts: Iterable[str | None]) -> dict[str, list[Any]]:
    """Returns a column of texts as the distinct ones and a number for each row; an unknown text is blank."""
    numbers: dict[str, int] = {}
    codes = [numbers.setdefault(text or "", len(numbers)) for text in texts]
    return {"values": list(numbers), "codes": codes}


def pack_lists(lists: Iterable[Sequence[str]]) -> dict[str, list[Any]]:
    """Returns a column of lists of texts in the same way: a number for each text of each row."""
    numbers: dict[str, int] = {}
    codes = [[numbers.setdefault(text, len(numbers)) for text in texts] for texts in lists]
    return {"values": list(numbers), "codes": codes}
