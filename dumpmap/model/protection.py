"""Protections as texts: in VMMap's spelling, and parsed from the spellings of users and tools."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from dumpmap.model.snapshot import U32
from dumpmap.model.winnt import MemState, PageProtect

NO_ACCESS = "No access"

WORDS: tuple[tuple[PageProtect, str], ...] = (
    (PageProtect.PAGE_NOACCESS, NO_ACCESS),
    (PageProtect.PAGE_READONLY, "Read"),
    (PageProtect.PAGE_READWRITE, "Read/Write"),
    (PageProtect.PAGE_WRITECOPY, "Copy on write"),
    (PageProtect.PAGE_EXECUTE, "Execute"),
    (PageProtect.PAGE_EXECUTE_READ, "Execute/Read"),
    (PageProtect.PAGE_EXECUTE_READWRITE, "Execute/Read/Write"),
    (PageProtect.PAGE_EXECUTE_WRITECOPY, "Execute/Copy on Write"),
)
"""Each base protection in VMMap's words."""

MODIFIERS: tuple[tuple[PageProtect, str], ...] = (
    (PageProtect.PAGE_GUARD, "Guard"),
    (PageProtect.PAGE_NOCACHE, "NoCache"),
    (PageProtect.PAGE_WRITECOMBINE, "WriteCombine"),
)
"""Suffixes of a base protection."""

_PROTECTIONS = 0x7FF
"""The bits that a page protection usually has."""

_STATES = int(MemState.MEM_COMMIT | MemState.MEM_RESERVE)

_LETTERS = {
    "na": PageProtect.PAGE_NOACCESS,
    "r": PageProtect.PAGE_READONLY,
    "rw": PageProtect.PAGE_READWRITE,
    "wc": PageProtect.PAGE_WRITECOPY,
    "x": PageProtect.PAGE_EXECUTE,
    "e": PageProtect.PAGE_EXECUTE,
    "rx": PageProtect.PAGE_EXECUTE_READ,
    "er": PageProtect.PAGE_EXECUTE_READ,
    "rwx": PageProtect.PAGE_EXECUTE_READWRITE,
    "erw": PageProtect.PAGE_EXECUTE_READWRITE,
    "rwxc": PageProtect.PAGE_EXECUTE_WRITECOPY,
    "erwc": PageProtect.PAGE_EXECUTE_WRITECOPY,
    "guard": PageProtect.PAGE_GUARD,
    "nocache": PageProtect.PAGE_NOCACHE,
    "writecombine": PageProtect.PAGE_WRITECOMBINE,
}
"""Short names that debuggers and other tools use."""

RESERVED = "Reserved"


def protection_text(protect: int, state: int = int(MemState.MEM_COMMIT)) -> str:
    """Writes a protection as VMMap does. Reserved memory is `Reserved`; an unknown protection is empty."""
    if state == MemState.MEM_RESERVE:
        return RESERVED
    if protect == 0:
        return ""
    words = [word for value, word in WORDS if protect & value]
    # Windows never sets several base bits, or none: show the number.
    text = words[0] if len(words) == 1 else f"0x{protect:x}"
    if len(words) == 1:
        text += "".join(f"/{word}" for value, word in MODIFIERS if protect & value)
    return text


def protection_codes(protect: U32, state: U32) -> tuple[npt.NDArray[np.integer[Any]], list[str]]:
    """Writes a whole column, as codes into a few texts. A column of any length has only a few different values."""
    if not ((protect & ~np.uint32(_PROTECTIONS)) | (state & ~np.uint32(_STATES))).any():
        # Together they have 13 bits, so a table takes the place of sorting.
        pairs = (state >> np.uint32(1)) | protect
        seen = np.zeros(((_STATES >> 1) | _PROTECTIONS) + 1, np.bool_)
        seen[pairs] = True
        table = seen.cumsum(dtype=np.int32) - 1
        known = [(pair & _PROTECTIONS, (pair & ~_PROTECTIONS) << 1) for pair in np.flatnonzero(seen).tolist()]
        return table[pairs], [protection_text(*pair) for pair in known]
    values, codes = np.unique((state.astype(np.uint64) << np.uint64(32)) | protect, return_inverse=True)
    return codes, [protection_text(value & 0xFFFFFFFF, value >> 32) for value in values.tolist()]


def parse_protection(text: str) -> int | None:
    """Reads a protection in VMMap's words, WinDbg's constants, letters or as a number; None for anything else.

    Letters are `rw`, `rx` or `er`, `rwx` or `erw`, `r`, `x`, `wc` and `na`, with `+g` for guard. `|` joins parts.
    """
    cleaned = text.strip().lower()
    if "|" in cleaned:
        parts = [parse_protection(part) for part in cleaned.split("|")]
        return None if None in parts else sum({part for part in parts if part is not None})
    guard = cleaned.endswith("+g")
    cleaned = cleaned.removesuffix("+g")
    value = 0
    if cleaned in _LETTERS:
        value = int(_LETTERS[cleaned])
    elif cleaned.startswith("page_") and cleaned.upper() in PageProtect.__members__:
        value = int(PageProtect[cleaned.upper()])
    else:
        words = cleaned.split("/")
        suffixes = {word.lower(): value for value, word in MODIFIERS}
        while words and words[-1] in suffixes:
            value |= int(suffixes[words.pop()])
        base = {word.lower(): int(protect) for protect, word in WORDS}.get("/".join(words))
        if base is None:
            try:
                return int(cleaned, 0)
            except ValueError:
                return None
        value |= base
    return value | (int(PageProtect.PAGE_GUARD) if guard else 0)
