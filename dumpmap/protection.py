"""Protections and states in words: VMMap's spelling, and masks to filter by."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dumpmap.snapshot import U32
from dumpmap.winnt import MemState, PageProtect

WORDS: tuple[tuple[PageProtect, str], ...] = (
    (PageProtect.PAGE_NOACCESS, "No access"),
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
"""What may be added to a base protection, as a suffix."""

RESERVED = "Reserved"


def protection_text(protect: int, state: int = int(MemState.MEM_COMMIT)) -> str:
    """Writes a protection as VMMap does; reserved memory is `Reserved`, an unknown protection is empty."""
    if state == MemState.MEM_RESERVE:
        return RESERVED
    if protect == 0:
        return ""
    words = [word for value, word in WORDS if protect & value]
    # Zero or several base bits is nothing that Windows has a word for: show the number.
    text = words[0] if len(words) == 1 else f"0x{protect:x}"
    if len(words) == 1:
        text += "".join(f"/{word}" for value, word in MODIFIERS if protect & value)
    return text


def protection_texts(protect: U32, state: U32) -> npt.NDArray[np.object_]:
    """Writes a whole column; there are few different values however many rows."""
    pairs = (state.astype(np.uint64) << np.uint64(32)) | protect
    values, inverse = np.unique(pairs, return_inverse=True)
    texts = np.array([protection_text(int(v) & 0xFFFFFFFF, int(v) >> 32) for v in values], dtype=object)
    return texts[inverse] if len(values) else np.empty(0, object)


def parse_protection(text: str) -> int | None:
    """Reads a protection in VMMap's words, WinDbg's constants or a number; None where it is none of them.

    Besides, `rwx` letters are understood: `rw`, `rx`, `rwx`, `r`, `x`, `wc`, with `+g` for guard.
    """
    cleaned = text.strip().lower()
    guard = cleaned.endswith("+g")
    cleaned = cleaned.removesuffix("+g")
    letters = {
        "r": PageProtect.PAGE_READONLY,
        "rw": PageProtect.PAGE_READWRITE,
        "wc": PageProtect.PAGE_WRITECOPY,
        "x": PageProtect.PAGE_EXECUTE,
        "rx": PageProtect.PAGE_EXECUTE_READ,
        "rwx": PageProtect.PAGE_EXECUTE_READWRITE,
        "rwxc": PageProtect.PAGE_EXECUTE_WRITECOPY,
        "guard": PageProtect.PAGE_GUARD,
    }
    value = 0
    if cleaned in letters:
        value = int(letters[cleaned])
    elif cleaned.startswith("page_") and cleaned.upper() in PageProtect.__members__:
        value = int(PageProtect[cleaned.upper()])
    else:
        parts = cleaned.split("/")
        suffixes = {word.lower(): value for value, word in MODIFIERS}
        while parts and parts[-1] in suffixes:
            value |= int(suffixes[parts.pop()])
        base = {word.lower(): int(protect) for protect, word in WORDS}.get("/".join(parts))
        if base is None:
            try:
                return int(cleaned, 0)
            except ValueError:
                return None
        value |= base
    return value | (int(PageProtect.PAGE_GUARD) if guard else 0)
