"""The message behind the exception of an Unreal assertion, for dumps without the crash context.

The engine raises its assertions and ensures with the address of an FAssertInfo as parameter 0, and the first member of
that is a pointer to the text. Both are on the stack of the thread, which even a small dump holds. Reference:
WindowsPlatformCrashContext.cpp, ReportAssert and ReportEnsure.
"""

from __future__ import annotations

import re

from dumpmap.model.memory import Memory
from dumpmap.model.snapshot import ExceptionRecord
from dumpmap.model.writer import WriterRecord
from dumpmap.parsers.minidump.streams.unreal import ASSERT_CODE
from dumpmap.parsers.minidump.texts import clean
from dumpmap.parsers.minidump.unreal import request_in, says_out_of_memory

SOURCE = "Exception"

_MOST_LETTERS = 4096
_STEP = 128
_KNOWN = re.compile(r"(?:Assertion|Ensure condition) failed|Fatal error|Ran out of memory", re.IGNORECASE)
"""How messages of the engine begin. Other programs can raise the same exception codes."""


def read_message(memory: Memory, exception: ExceptionRecord, pointer_size: int) -> WriterRecord | None:
    """Reads the message of an assertion or ensure; None if the dump does not hold it."""
    parameters = exception.parameters
    pointer = memory.read(parameters[0], pointer_size) if parameters and parameters[0] else None
    if pointer is None:
        return None
    message = clean(_text(memory, int.from_bytes(pointer, "little")))
    if not _KNOWN.match(message):
        return None
    requested, alignment = request_in(message)
    return WriterRecord(
        writer="Unreal Engine",
        source=SOURCE,
        crash_type="Assert" if exception.code == ASSERT_CODE else "Ensure",
        message=message,
        out_of_memory=says_out_of_memory(message) or None,
        requested=requested,
        alignment=alignment,
    )


def _text(memory: Memory, address: int) -> str:
    """Reads UTF-16 up to its zero, in steps, because the captured bytes may end right behind it."""
    data = b""
    while len(data) < 2 * _MOST_LETTERS and address:
        part = memory.read(address + len(data), _STEP) or memory.read(address + len(data), 2)
        if part is None:
            break
        data += part
        text = data.decode("utf-16-le", "replace")
        if "\0" in text:
            return text.partition("\0")[0]
    return data.decode("utf-16-le", "replace")
