"""Pages about exception codes, statuses, and errors, made from the tables of codes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dumpmap.model import ntstatus
from dumpmap.model.fast_fail import fast_fail_reasons
from dumpmap.model.ntstatus import Code
from dumpmap.wording.pages import Section
from dumpmap.wording.text import sentence
from dumpmap.wording.topics import Topic

_LIMITS = {
    "commit": "The code names the limit: the commit of the system or of the job.",
    "address-space": "The code names the limit: the address space.",
    "stack": "The code names the limit: the stack of the thread.",
    "memory": "The code says that memory failed, and not which limit was reached: dumpmap finds that from the size of "
    "the request, the map, and the counters.",
    None: "The code itself says nothing about memory; `dumpmap diagnose FILE` shows what else the dump records.",
}

_LARGEST_DECIMAL = 0xFFF
"""Signals and errors of Windows are written as decimal numbers."""

_TABLES: tuple[tuple[str, Iterable[Code]], ...] = (
    ("NTSTATUS, also an exception code of Windows", ntstatus.NTSTATUS),
    ("exception code that a program or its runtime raises on Windows", ntstatus.SOFTWARE_EXCEPTIONS),
    ("error of Windows, as GetLastError returns it", ntstatus.WIN32_ERRORS),
    ("HRESULT of a .NET exception", ntstatus.HRESULTS),
    ("signal of Linux and Android", ntstatus.LINUX_SIGNALS),
    ("Mach exception of macOS and iOS", ntstatus.MACH_EXCEPTIONS),
)


def code_topics() -> Iterator[Topic]:
    """Every code that dumpmap knows by name, table by table; a name can be in two tables."""
    for about, table in _TABLES:
        for code in table:
            yield _page(code, about, [code.value])
    yield _page(ntstatus.UNREAL_ENSURE, _TABLES[1][0], ntstatus.UNREAL_ENSURES)
    for reason, name in fast_fail_reasons():
        number = f"parameter 0 of STATUS_STACK_BUFFER_OVERRUN, {reason}"
        text = "Windows or the program ended the process at once, because it was damaged or could not go on."
        yield Topic(name, "code", name, f"reason of a fail fast: {number}", (Section("What it means", text),))


def _page(code: Code, about: str, values: Iterable[int]) -> Topic:
    numbers = [f"0x{value:x}" for value in values]
    decimals = [str(code.value), f"{code.value} {code.name}"] if code.value <= _LARGEST_DECIMAL else []
    shown = decimals[0] if decimals else numbers[0]
    return Topic(
        code.name,
        "code",
        code.name,
        f"{about}: {shown}" + (f" to {numbers[-1]}" if len(numbers) > 1 else ""),
        (Section("What it means", f"{sentence(code.meaning)}. {_LIMITS[code.limit]}"),),
        (*numbers, *(f"{number} {code.name}" for number in numbers), *decimals, *_as_signal(code)),
    )


def _as_signal(code: Code) -> Iterator[str]:
    """How dumpmap writes the codes of other systems: `signal 11 (SIGSEGV)`."""
    for family in ("linux", "macos"):
        if ntstatus.exception_code(code.value, family) is code:
            yield ntstatus.exception_text(code.value, family)
