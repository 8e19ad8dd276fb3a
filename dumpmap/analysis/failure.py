"""The recorded failure: what the input itself says went wrong, before the map is used to infer anything.

An exception code, the size that an allocator requested, the type of a thrown C++ object, the last error of a thread:
the input recorded these at the failure, while a map shows the state when the dump was written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from dumpmap.analysis.crash import crashed_thread
from dumpmap.model import ntstatus
from dumpmap.model.memory import Memory
from dumpmap.model.ntstatus import MemoryLimit
from dumpmap.model.process import Teb
from dumpmap.model.region_map import RegionMap
from dumpmap.model.snapshot import ExceptionRecord, Snapshot
from dumpmap.model.stacks import Stack
from dumpmap.model.values import value_class

if TYPE_CHECKING:
    from dumpmap.model.writer import WriterRecord

How = Literal["exception", "annotation", "writer"]

REQUEST_ANNOTATIONS = ("OOMAllocationSize", "process_allocation_attempt")
"""Annotations that hold the size of a failed allocation, in decimal: Mozilla's, and Chromium's stability report."""

_MAX_TYPES = 32
_MAX_NAME = 256
_DECORATED = re.compile(r"\.(?P<pointer>P[AE]*)?\??A[UV](?P<path>[\w@$]+)@@$")

_SIZED = {ntstatus.STATUS_NO_MEMORY, ntstatus.CHROMIUM_OUT_OF_MEMORY}
"""Exceptions whose parameter 0 is the size of the failed request in bytes."""


@value_class(frozen=True, slots=True)
class StackFault:
    """A stack overflow, measured.

    Attributes:
        stack: the stack that the fault is in; None if unknown.
        address: the address that the thread touched: parameter 1, else the stack pointer.
        headroom: bytes from there down to the stack's lowest address, guard pages included; None if the map does not
            hold the whole reservation.
        guaranteed: bytes that SetThreadStackGuarantee reserves at the end.
    """

    stack: Stack | None
    address: int | None
    headroom: int | None
    guaranteed: int

    @property
    def reserve(self) -> int | None:
        """The stack's reservation."""
        return None if self.stack is None else self.stack.reserve


@value_class(frozen=True, slots=True)
class Failure:
    """The exception that caused the dump, and what it and the writer of the dump say about memory.

    Attributes:
        code: the exception code, 32 bits; None if only the writer recorded a failure.
        name: its symbol; None if it has none.
        thread_id: the thread that raised it, or the one that crashed by the writer's record.
        limit: which limit it names; None if it does not concern memory.
        how: the source: the `exception` itself, an `annotation` of the crash reporter, or the record of the `writer`.
        requested: size of the failed request; None if not recorded.
        types: the C++ types of the thrown object, most derived first; empty if the input does not hold them.
        hresult: HRESULT of a .NET exception.
        inner_status: the NTSTATUS inside an in-page error.
        stack: of a stack overflow.
    """

    code: int | None
    name: str | None
    thread_id: int | None
    limit: MemoryLimit | None = None
    how: How = "exception"
    requested: int | None = None
    types: tuple[str, ...] = ()
    hresult: int | None = None
    inner_status: int | None = None
    stack: StackFault | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "code": None if self.code is None else f"0x{self.code:x}",
            "name": self.name,
            "thread_id": self.thread_id,
            "limit": self.limit,
            "requested": self.requested,
            "cpp_types": list(self.types),
            "hresult": None if self.hresult is None else f"0x{self.hresult:x}",
            "inner_status": None if self.inner_status is None else f"0x{self.inner_status:x}",
        }


def find_failure(region_map: RegionMap) -> Failure | None:
    """Reads the exception and the writer's record; None if there is no failure.

    The exception codes are those of Windows: from another system only what the writer recorded counts.
    """
    failure = _exception_failure(region_map)
    writer = region_map.snapshot.writer
    return failure if writer is None else _with_writer(failure, writer)


def _with_writer(failure: Failure | None, writer: WriterRecord) -> Failure | None:
    """Adds what the writer recorded; an exception that itself names a limit keeps it."""
    heap = writer.heap_limit
    # A runtime names the place where it gave up only if it did.
    if not writer.out_of_memory and (heap is None or not (heap.is_oom or heap.location)):
        return failure
    requested = writer.requested or None
    if failure is None:
        return Failure(None, None, writer.crashed_thread, limit="memory", how="writer", requested=requested)
    if failure.how == "exception" and failure.limit is not None and failure.limit != "stack":
        return replace(failure, requested=failure.requested or requested)
    requested = requested or failure.requested
    thread = failure.thread_id if writer.crashed_thread is None else writer.crashed_thread
    return replace(failure, thread_id=thread, limit="memory", how="writer", requested=requested)


def _exception_failure(region_map: RegionMap) -> Failure | None:
    """The exception, and the request that a crash reporter recorded beside it."""
    snapshot = region_map.snapshot
    exception = snapshot.exception
    if exception is None or region_map.process.os.family != "windows":
        return None
    failure = _read(region_map, exception)
    attempt = _annotated_request(snapshot)
    if attempt is None or failure.requested is not None or failure.limit == "stack":
        return failure
    if failure.limit is not None:
        return replace(failure, requested=attempt)
    return replace(failure, requested=attempt, limit="memory", how="annotation")


def _read(region_map: RegionMap, exception: ExceptionRecord) -> Failure:
    """What the exception itself says: its code, then the parameters that such a code has."""
    code, parameters = exception.code & 0xFFFFFFFF, exception.parameters
    known = ntstatus.exception_code(code)
    failure = Failure(
        code=code,
        name=known.name if known else None,
        thread_id=crashed_thread(region_map),
        limit=known.limit if known else None,
    )
    if code in _SIZED and parameters:
        # Blink raises Chromium's code with size 0 after a heap limit of V8: not a size.
        known_size = parameters[0] or code != ntstatus.CHROMIUM_OUT_OF_MEMORY
        return replace(failure, requested=parameters[0] if known_size else None)
    if code == ntstatus.MSVC_CPP_EXCEPTION:
        types = thrown_types(region_map.snapshot.memory, exception)
        is_memory = any(name in ntstatus.CPP_MEMORY_TYPES for name in types)
        return replace(failure, types=types, limit="memory" if is_memory else failure.limit)
    if code == ntstatus.CLR_EXCEPTION and parameters:
        number = parameters[0] & 0xFFFFFFFF
        result = ntstatus.hresult(number)
        return replace(failure, hresult=number, limit=result.limit if result else None)
    if code == ntstatus.STATUS_IN_PAGE_ERROR and len(parameters) > 2:
        number = parameters[2] & 0xFFFFFFFF
        status = ntstatus.ntstatus(number)
        return replace(failure, inner_status=number, limit=status.limit if status else None)
    if code == ntstatus.STATUS_STACK_OVERFLOW:
        return replace(failure, stack=_stack_fault(region_map, exception))
    return failure


def _annotated_request(snapshot: Snapshot) -> int | None:
    for key in REQUEST_ANNOTATIONS:
        text = snapshot.annotations.get(key, "").strip()
        if text.isascii() and text.isdigit() and int(text):
            return int(text)
    return None


# ---------------------------------------------------------------- stacks


def _stack_fault(region_map: RegionMap, exception: ExceptionRecord) -> StackFault:
    # Parameter 0 is how the page was touched, parameter 1 where; the fault can lie below the stack pointer.
    address = exception.parameters[1] if len(exception.parameters) > 1 else exception.stack_pointer
    thread, stack = crashed_thread(region_map), None
    for one in region_map.stacks:
        if one.thread_id == thread and address is not None and one.base <= address < one.end:
            stack = one
    tebs = [teb for teb in region_map.structures.tebs if teb.thread_id == thread]
    guaranteed = max((teb.guaranteed_stack_bytes or 0 for teb in tebs), default=0)
    # Without a reserve the map holds only the captured part of the stack.
    whole = stack is not None and stack.reserve is not None
    headroom = address - stack.base if whole and stack is not None and address is not None else None
    return StackFault(stack, address, headroom, guaranteed)


# ---------------------------------------------------------------- C++ types


def thrown_types(memory: Memory, exception: ExceptionRecord) -> tuple[str, ...]:
    """Reads the types of the object that a C++ exception of Microsoft's compiler carries.

    The exception's parameter 2 points to the ThrowInfo; on 64-bit systems parameter 3 is the image that its offsets
    count from. ThrowInfo names an array of catchable types, each of them a type descriptor with its decorated name. All
    of this is in the image, so a dump without image data lacks it.

    Args:
        memory: the process.
        exception: the exception record.

    Returns:
        undecorated names, the thrown type first, then its bases; empty if they cannot be read.
    """
    if exception.code & 0xFFFFFFFF != ntstatus.MSVC_CPP_EXCEPTION or len(exception.parameters) < 3:
        return ()
    throw_info = exception.parameters[2]
    wide = len(exception.parameters) > 3
    image = exception.parameters[3] if wide else 0

    def offset(address: int | None) -> int | None:
        data = None if address is None else memory.read(address, 4)
        value = None if data is None else int.from_bytes(data, "little")
        return None if not value else image + value

    array = offset(throw_info + 12 if throw_info else None)
    head = None if array is None else memory.read(array, 4)
    if array is None or head is None:
        return ()
    count = min(int.from_bytes(head, "little"), _MAX_TYPES)
    names = []
    for index in range(count):
        catchable = offset(array + 4 + 4 * index)
        descriptor = offset(None if catchable is None else catchable + 4)
        name = None if descriptor is None else _read_name(memory, descriptor + (16 if wide else 8))
        if name is not None:
            names.append(undecorate(name))
    return tuple(names)


def _read_name(memory: Memory, address: int) -> str | None:
    """Reads a zero-terminated name, in small steps: the captured memory may end right after it."""
    data = b""
    while len(data) < _MAX_NAME:
        part = memory.read(address + len(data), 16)
        if part is None:
            byte = memory.read(address + len(data), 1)
            if byte is None:
                return None
            part = byte
        data += part
        if b"\0" in part:
            return data.split(b"\0", 1)[0].decode("ascii", "replace")
    return None


def undecorate(name: str) -> str:
    """Writes a type descriptor's name as C++ does: `.?AVbad_alloc@std@@` becomes `std::bad_alloc`; other names stay."""
    match = _DECORATED.match(name)
    if match is None:
        return name
    # `.PAVCMemoryException@@` is a pointer to the class.
    return "::".join(reversed(match["path"].split("@")))


# ---------------------------------------------------------------- last errors


@value_class(frozen=True, slots=True)
class LastError:
    """A thread whose last error or last status concerns memory.

    Attributes:
        thread_id: the thread.
        error: LastErrorValue.
        status: LastStatusValue; None if not captured.
        limit: which limit it names.
        crashing: whether the thread raised the exception of the dump.
    """

    thread_id: int
    error: int
    status: int | None
    limit: MemoryLimit
    crashing: bool

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "thread_id": self.thread_id,
            "last_error": self.error,
            "last_status": None if self.status is None else f"0x{self.status:x}",
            "limit": self.limit,
            "crashing": self.crashing,
        }


def last_errors(region_map: RegionMap) -> list[LastError]:
    """Lists the threads whose last error or status means that memory ran out, the crashing thread first."""
    crashing = crashed_thread(region_map)
    found: dict[int, LastError] = {}
    for teb, limit in _memory_errors(region_map.structures.tebs):
        known = found.get(teb.thread_id)
        if known is None or (known.limit == "memory" and limit == "commit"):
            found[teb.thread_id] = LastError(
                teb.thread_id, teb.last_error, teb.last_status, limit, teb.thread_id == crashing
            )
    return sorted(found.values(), key=lambda error: not error.crashing)


def _memory_errors(tebs: tuple[Teb, ...]) -> Iterator[tuple[Teb, MemoryLimit]]:
    for teb in tebs:
        error = ntstatus.win32_error(teb.last_error)
        if error is None or error.limit is None:
            continue
        # Allocators turn every failure into "not enough memory"; the status below it can say that it was the commit.
        status = ntstatus.ntstatus(teb.last_status) if teb.last_status else None
        yield teb, "commit" if status is not None and status.limit == "commit" else error.limit
