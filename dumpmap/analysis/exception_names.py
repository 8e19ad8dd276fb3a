"""The name of an exception, for columns and events."""

from __future__ import annotations

from dumpmap.model.ntstatus import EXC_CRASH, exception_code
from dumpmap.model.snapshot import ExceptionRecord
from dumpmap.model.systems import kernel_of


def exception_name(exception: ExceptionRecord, family: str) -> str:
    """Names an exception, a signal, or a Mach exception; without a name it is the number in hex."""
    value = exception.code & 0xFFFFFFFF
    if kernel_of(family) == "macos" and value == 0 and exception.parameters[:1] == (EXC_CRASH,):
        # Crashpad records the exception that led to EXC_CRASH. An abort() has none: EXC_CRASH itself is left, in the
        # first parameter.
        value = EXC_CRASH
    code = exception_code(value, family)
    return f"0x{value:08x}" if code is None else code.name
