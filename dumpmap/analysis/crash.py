"""The exception of an input as data: what was accessed, by which instruction, in which thread, and what lies there."""

from __future__ import annotations

from bisect import bisect_right
from typing import Literal

from dumpmap.model import ntstatus
from dumpmap.model.file_names import file_name
from dumpmap.model.heaps import UNKNOWN_HEAP, Heap
from dumpmap.model.protection import protection_text
from dumpmap.model.region_map import RegionMap
from dumpmap.model.snapshot import ExceptionRecord
from dumpmap.model.stacks import Stack
from dumpmap.model.systems import kernel_of
from dumpmap.model.types import RegionType
from dumpmap.model.values import changed, value_class
from dumpmap.model.winnt import ALLOCATION_GRANULARITY, MemState, PageProtect

Access = Literal["read", "write", "execute"]
TargetState = Literal["free", "reserved", "committed", "outside"]

_ACCESSES: dict[int, Access] = {0: "read", 1: "write", 8: "execute"}
"""Parameter 0 of the codes of `_WITH_TARGET`; 8 is data execution prevention."""

_WITH_TARGET = {
    ntstatus.STATUS_ACCESS_VIOLATION,
    ntstatus.STATUS_IN_PAGE_ERROR,
    ntstatus.STATUS_GUARD_PAGE_VIOLATION,
    ntstatus.STATUS_STACK_OVERFLOW,
}
"""Codes whose first two parameters are how memory was accessed, and where."""

_FAULT_ADDRESS = {"linux": {7, 11}, "macos": {1}}
"""SIGBUS and SIGSEGV, EXC_BAD_ACCESS: the exception's address is the accessed one, not the instruction's."""

_NEAR = ALLOCATION_GRANULARITY
"""An address less than this far from a stack or a heap's block is worth a mention."""


@value_class(frozen=True, slots=True)
class Target:
    """What the map knows of the accessed address.

    Attributes:
        state: None if a map without a list of regions says nothing about the address.
        type: type of the region; None if it is not in use.
        protection: of the region, as text; empty if unknown.
        guard: whether it is a guard page; None if unknown.
        base: start of the region.
        size: its bytes.
        module: file name of the module at the address.
        stack: the stack that holds the address.
        heap: the heap that holds the address.
        past: the stack or heap near the address, if none holds it.
        distance: for `past`, bytes from the end of the block to the address; negative for an address below a stack.
    """

    state: TargetState | None
    type: RegionType | None = None
    protection: str = ""
    guard: bool | None = None
    base: int | None = None
    size: int | None = None
    module: str | None = None
    stack: Stack | None = None
    heap: Heap | None = None
    past: Stack | Heap | None = None
    distance: int | None = None


@value_class(frozen=True, slots=True)
class Crash:
    """The exception that the input was made for.

    Attributes:
        code: the exception code, unsigned 32 bits.
        family: operating system; it says what `code` means.
        access: how memory was accessed; None if the exception does not say.
        address: the accessed address; None if the exception has none.
        instruction: address of the instruction; None if it is not recorded.
        module: file name of the module that holds the instruction.
        module_offset: offset of the instruction in it.
        unloaded: the module was unloaded before.
        modules_known: the input lists modules, so that an instruction can be outside all of them.
        thread_id: the thread of the exception record.
        stack_thread_id: the thread whose stack holds the stack pointer of the exception's context; None if unknown.
        thread_name: name of the thread that `thread` returns.
        target: what lies at `address`.
    """

    code: int
    family: str
    access: Access | None
    address: int | None
    instruction: int | None
    module: str | None
    module_offset: int | None
    unloaded: bool
    modules_known: bool
    thread_id: int | None
    stack_thread_id: int | None
    thread_name: str | None
    target: Target | None

    @property
    def thread(self) -> int | None:
        """The thread that crashed. The context's stack is better evidence than the record's thread ID."""
        return self.thread_id if self.stack_thread_id is None else self.stack_thread_id

    @property
    def threads_disagree(self) -> bool:
        """Whether the exception record and the stack of its context name two threads."""
        return None not in (self.thread_id, self.stack_thread_id) and self.thread_id != self.stack_thread_id


def narrow(region_map: RegionMap, value: int) -> int:
    """Returns a value of an exception record without the sign extension that 32-bit values can have."""
    if region_map.process.pointer_size == 4 and value >> 32 == 0xFFFFFFFF:
        return value & 0xFFFFFFFF
    return value


def crashed_thread(region_map: RegionMap) -> int | None:
    """The thread that crashed: the one whose stack the exception's context uses, otherwise the exception record's.

    A writer that handles a failure itself can put its own thread into the record.
    """
    exception = region_map.snapshot.exception
    if exception is None:
        return None
    thread = _thread_of_stack(region_map, exception)
    return exception.thread_id if thread is None else thread


def find_crash(region_map: RegionMap) -> Crash | None:
    """Reads the exception; None if the input has none."""
    exception = region_map.snapshot.exception
    if exception is None:
        return None
    family, code = region_map.process.os.family, exception.code & 0xFFFFFFFF
    if kernel_of(family) == "macos" and code == 0 and exception.parameters[:1] == (ntstatus.EXC_CRASH,):
        code = ntstatus.EXC_CRASH  # Crashpad: an abort() has no exception of its own
    access, address = _access(region_map, exception, family, code)
    instruction = _instruction(region_map, exception, family, code, access)
    module, offset, unloaded = _module_of(region_map, instruction)
    stack_thread = _thread_of_stack(region_map, exception)
    thread = exception.thread_id if stack_thread is None else stack_thread
    return Crash(
        code=code,
        family=family,
        access=access,
        address=address,
        instruction=instruction,
        module=module,
        module_offset=offset,
        unloaded=unloaded,
        modules_known=bool(region_map.snapshot.modules),
        thread_id=exception.thread_id,
        stack_thread_id=stack_thread,
        thread_name=None if thread is None else region_map.thread_names.get(thread),
        target=None if address is None else _target(region_map, address),
    )


def _access(
    region_map: RegionMap, exception: ExceptionRecord, family: str, code: int
) -> tuple[Access | None, int | None]:
    """How memory was accessed, and where."""
    if family == "windows" and code in _WITH_TARGET and len(exception.parameters) > 1:
        how, where = exception.parameters[:2]
        return _ACCESSES.get(how), narrow(region_map, where)
    if code in _FAULT_ADDRESS.get(kernel_of(family), ()) and exception.address is not None:
        return None, narrow(region_map, exception.address)
    return None, None


def _instruction(
    region_map: RegionMap, exception: ExceptionRecord, family: str, code: int, access: Access | None
) -> int | None:
    """The address of the instruction: the exception's own, otherwise the one of its context."""
    address = exception.address
    elsewhere = kernel_of(family) == "linux" or code in _FAULT_ADDRESS.get(kernel_of(family), ())
    if elsewhere or address is None or (address == 0 and access != "execute"):
        address = exception.instruction_pointer
    return None if address is None else narrow(region_map, address)


def _module_of(region_map: RegionMap, address: int | None) -> tuple[str | None, int | None, bool]:
    """The module that holds an address, the offset in it, and whether it was unloaded before."""
    snapshot = region_map.snapshot
    if address is not None:
        for module in snapshot.modules:
            if module.base <= address < module.base + module.size:
                return module.name or None, address - module.base, False
        for gone in snapshot.unloaded_modules:
            if gone.base <= address < gone.base + gone.size:
                return file_name(gone.path) or None, address - gone.base, True
    return None, None, False


def _thread_of_stack(region_map: RegionMap, exception: ExceptionRecord) -> int | None:
    """The thread whose stack holds the stack pointer of the exception's context."""
    pointer = exception.stack_pointer
    if pointer is None:
        return None
    owners = [
        stack.thread_id for stack in region_map.stacks if not stack.inferred and stack.base <= pointer < stack.end
    ]
    return owners[0] if len(set(owners)) == 1 else None


# ---------------------------------------------------------------- the accessed address


def _target(region_map: RegionMap, address: int) -> Target | None:
    pieces = region_map.pieces
    index = -1
    if address < 1 << 64:
        index = bisect_right(pieces.base.data, address) - 1
    if index < 0 or address >= int(pieces.base[index]) + int(pieces.size[index]):
        return _unused(region_map, address)
    protect, state = pieces.protection_at(index)
    return Target(
        state="committed" if state == MemState.MEM_COMMIT else "reserved",
        type=RegionType(int(pieces.type[index])),
        protection=protection_text(protect, state),
        guard=None if region_map.partial else bool(protect & PageProtect.PAGE_GUARD),
        base=int(pieces.base[index]),
        size=int(pieces.size[index]),
        module=_module_of(region_map, address)[0],
        stack=next((stack for stack in region_map.stacks if stack.base <= address < stack.end), None),
        heap=next((h for h in region_map.heaps if any(at <= address < at + n for at, n in h.allocations)), None),
    )


def _unused(region_map: RegionMap, address: int) -> Target | None:
    """An address that no region holds: free, outside the space, or not known."""
    end = region_map.end
    if end is None:
        target = Target(None)
    elif address < end:
        target = Target("free")
    elif region_map.snapshot.regions_complete:
        target = Target("outside")
    else:
        target = Target(None)
    past, distance = _neighbour(region_map, address)
    if past is None and target.state is None:
        return None
    return changed(target, past=past, distance=distance)


def _neighbour(region_map: RegionMap, address: int) -> tuple[Stack | Heap | None, int | None]:
    """The stack or heap that ends, or for a stack begins, less than 64 KB from an address."""
    found: list[tuple[int, Stack | Heap]] = []
    for stack in region_map.stacks:
        if 0 <= address - stack.end < _NEAR:
            found.append((address - stack.end, stack))
        elif stack.reserve is not None and 0 < stack.base - address < _NEAR:
            found.append((address - stack.base, stack))
    for heap in region_map.heaps:
        if region_map.partial and heap.info.kind == UNKNOWN_HEAP:
            continue  # where it ends is not known
        ends = [address - at - size for at, size in heap.allocations if 0 <= address - at - size < _NEAR]
        if ends:
            found.append((min(ends), heap))
    if not found:
        return None, None
    distance, nearest = min(found, key=lambda pair: abs(pair[0]))
    return nearest, distance
