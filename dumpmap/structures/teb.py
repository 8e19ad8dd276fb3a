"""Reads thread environment blocks: the stack of each thread, and the address of the PEB."""

from __future__ import annotations

from collections.abc import Sequence

from dumpmap.model.memory import Glance, Memory, RecordingMemory
from dumpmap.model.process import Teb
from dumpmap.structures.bounds import is_page, is_user_address
from dumpmap.structures.layout import parts
from dumpmap.structures.layouts import process as layouts

_HEAD = parts(
    layouts.TEB,
    "NtTib.ExceptionList",
    "NtTib.StackBase",
    "NtTib.StackLimit",
    "NtTib.FiberData",
    "NtTib.Self",
    "ClientId.UniqueProcess",
    "ClientId.UniqueThread",
    "ProcessEnvironmentBlock",
    "LastErrorValue",
)
# Read one by one: a small dump may hold only the first page of a TEB, and the thread's own strings lie between them.
_ALLOCATION = parts(layouts.TEB, "DeallocationStack")
_GUI = parts(layouts.TEB, "Win32ThreadInfo")
_DESKTOP = parts(layouts.TEB, "Win32ClientInfo.DesktopBase")
_STATUS = parts(layouts.TEB, "LastStatusValue")
_BATCH = parts(layouts.TEB, "GdiBatchCount", "GuaranteedStackBytes")
_FLAGS = parts(layouts.TEB, "SameTebFlags")
_WOW = parts(layouts.TEB, "WowTebOffset")
_APART = (_GUI, _DESKTOP, _STATUS, _ALLOCATION, _BATCH, _FLAGS, _WOW)
_WHOLE = {
    size: layout.part(*(name for part in _APART for name in part[size].names)) for size, layout in layouts.TEB.items()
}
"""All of them at once, for a TEB that is captured whole."""


def read_teb(memory: Memory, address: int, pointer_size: int, thread_id: int | None = None) -> Teb | None:
    """Reads the TEB at `address`.

    Args:
        memory: the process.
        address: where the TEB is.
        pointer_size: 4 or 8.
        thread_id: the thread that it must belong to, if known.

    Returns:
        None if its first bytes are not in the memory, or its self-pointer or thread ID is wrong.
    """
    if not is_user_address(address, pointer_size):
        return None
    head = _HEAD[pointer_size].read(memory, address)
    if head is None:
        return None
    exceptions, stack_base, stack_limit, fiber, self_pointer, process_id, owner, peb, last_error = head
    if self_pointer != address or (thread_id is not None and owner != thread_id):
        return None
    # The base need not be a page: on Windows 7 the 64-bit stack of a WoW64 thread starts 0x2e0 bytes below its end,
    # above which the state of the emulated processor lies.
    has_stack = (
        is_page(stack_limit, pointer_size)
        and stack_limit < stack_base
        and is_user_address(stack_base - 1, pointer_size)
    )
    # A recording must not keep what lies between the fields.
    whole = None if isinstance(memory, RecordingMemory) else _WHOLE[pointer_size].read(memory, address)
    rest: Sequence[int | None] = whole or _read_apart(memory, address, pointer_size, exceptions)
    gui, desktop, status, allocation, batch, guaranteed, flags, wow = rest
    if allocation is not None and not (has_stack and is_page(allocation, pointer_size) and allocation <= stack_limit):
        allocation = None
    return Teb(
        address=address,
        pointer_size=pointer_size,
        thread_id=owner,
        process_id=process_id,
        stack_base=stack_base if has_stack else None,
        stack_limit=stack_limit if has_stack else None,
        allocation_base=allocation,
        peb=peb,
        last_error=last_error,
        last_status=status,
        guaranteed_stack_bytes=guaranteed,
        # Windows XP has the flag elsewhere. But only a fiber's data is an address; otherwise it is a version number.
        is_fiber=is_user_address(fiber, pointer_size)
        or (None if flags is None else bool(flags & layouts.TEB_HAS_FIBER_DATA)),
        desktop_heap=desktop if gui and desktop and is_user_address(desktop, pointer_size) else None,
        other_teb=_other_teb(address, _link(pointer_size, exceptions, batch), wow),
    )


def is_head_captured(memory: Memory, address: int, pointer_size: int) -> bool:
    """Whether the bytes that prove a TEB are in the memory, whatever they are."""
    return _HEAD[pointer_size].read(memory, address) is not None


def read_tebs(memory: Memory, address: int, thread_id: int | None, pointer_size: int) -> tuple[Teb, ...]:
    """Reads the TEB of a thread and, in a WoW64 process, its twin of the other width.

    Args:
        memory: the process.
        address: the TEB in the thread list: the TEB32 if the dump writer was a 32-bit program, else the TEB64.
        thread_id: the thread; None if unknown.
        pointer_size: the dump writer's, which is tried first.

    Returns:
        No, one, or two TEBs, the listed one first.
    """
    teb = read_teb(memory, address, pointer_size, thread_id)
    if teb is None:
        pointer_size = 12 - pointer_size
        teb = read_teb(memory, address, pointer_size, thread_id)
        if teb is None:
            return ()
    distance = layouts.TEB_WOW64_DISTANCE if pointer_size == 8 else -layouts.TEB_WOW64_DISTANCE
    for place in dict.fromkeys((teb.other_teb, address + distance)):
        twin = None if place is None else read_teb(memory, place, 12 - pointer_size, teb.thread_id)
        if twin is not None:
            return teb, twin
    return (teb,)


def _read_apart(memory: Memory, address: int, pointer_size: int, exceptions: int) -> Sequence[int | None]:
    """Reads the fields of `_WHOLE` one by one, and none that does not matter."""
    teb = Glance(memory, address, _WHOLE[pointer_size].offset + _WHOLE[pointer_size].size)
    allocation = _one(_ALLOCATION[pointer_size].read(teb, address))
    batch, guaranteed = _BATCH[pointer_size].read(teb, address) or (None, None)
    flags = _one(_FLAGS[pointer_size].read(teb, address))
    status = _one(_STATUS[pointer_size].read(teb, address))
    gui = _one(_GUI[pointer_size].read(teb, address))
    desktop = _one(_DESKTOP[pointer_size].read(teb, address)) if gui else None
    linked = _link(pointer_size, exceptions, batch) is not None
    wow = None if linked else _one(_WOW[pointer_size].read(teb, address))
    return gui, desktop, status, allocation, batch, guaranteed, flags, wow


def _link(pointer_size: int, exceptions: int, batch: int | None) -> int | None:
    """Returns the address that the first word of a TEB64 or GdiBatchCount of a TEB32 holds; None if it holds none."""
    link = exceptions if pointer_size == 8 else batch
    return link if link and is_user_address(link, 4) and link % 0x1000 == 0 else None


def _other_teb(address: int, link: int | None, offset: int | None) -> int | None:
    """Returns the address that a TEB gives for its twin.

    On every release, a TEB64 keeps the address of the TEB32 in its first word, and a TEB32 that of the TEB64 in
    GdiBatchCount. Windows 10 and later also have a distance in WowTebOffset. In a process that is not WoW64 these
    fields hold the exception list, a small count, and 0.
    """
    if link is not None:
        return link
    return address + offset if offset and is_page(address + offset, 4) else None


def _one(values: tuple[int, ...] | None) -> int | None:
    return None if values is None else values[0]
