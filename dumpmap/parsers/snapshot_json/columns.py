"""The columns of regions in a JSON snapshot, the words in them, and the types of single values."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal

from msgspec import Meta

from dumpmap.model import snapshot as model
from dumpmap.model.winnt import MemState, MemType

LARGEST_COUNT = (1 << 64) - 1
"""The largest number that the format can hold."""

LARGEST_SIZE = 1 << 57
"""The largest number of bytes, or of anything else, in an address space."""

Address = Annotated[
    str,
    Meta(pattern="^0x[0-9A-Fa-f]{1,16}$", description="An unsigned number of up to 64 bits in hexadecimal: `0x7ff0`."),
]
"""An address, a flag word, or an exception code."""

Count = Annotated[int, Meta(ge=0, description="An integer from 0 to 2^64 - 1; sizes are bytes.")]
Time = Annotated[dt.datetime, Meta(tz=True, description="Date and time with a time zone, RFC 3339.")]
Protect = Annotated[int, Meta(ge=0, le=0xFFFF_FFFF, description="PAGE_* bits.")]
Size = Annotated[int, Meta(ge=1, description="Bytes, at least 1.")]
Number = Annotated[int, Meta(ge=0, le=LARGEST_SIZE)]
"""Bytes, or a count of something, in the address space."""

STATES: dict[Any, int] = {"commit": MemState.MEM_COMMIT, "reserve": MemState.MEM_RESERVE, "free": MemState.MEM_FREE}
"""Words for the state of a region, and the MEM_* value of each."""

TYPES: dict[Any, int] = {
    None: 0,
    "private": MemType.MEM_PRIVATE,
    "mapped": MemType.MEM_MAPPED,
    "image": MemType.MEM_IMAGE,
}
"""Words for the type of a region, and the MEM_* value of each; free memory has no type."""

STATE_WORDS: dict[int, str] = {int(state): word for word, state in STATES.items()}
TYPE_WORDS: dict[int, str | None] = {int(value): word for word, value in TYPES.items()}

_REQUIRED_COLUMNS: dict[str, Any] = {
    "base": Address,
    "allocation_base": Address | None,
    "allocation_protect": Protect | None,
    "size": Size,
    "state": Literal["commit", "reserve", "free"] | Protect,
    "protect": Protect | None,
    "type": Literal["private", "mapped", "image"] | Protect | None,
}
COLUMNS: dict[str, Any] = {
    **_REQUIRED_COLUMNS,
    **dict.fromkeys(model.NUMBER_COLUMNS, Number | None),
    **dict.fromkeys(model.TEXT_COLUMNS, str | None),
}
"""The columns of regions that the reader knows, and the type of a value in each."""

REQUIRED_COLUMNS = tuple(_REQUIRED_COLUMNS)
"""Columns that every snapshot with regions has, in the order in which the writer writes them."""
