"""The stacks of a process's threads, as a region map holds them."""

from __future__ import annotations

import msgspec


class Stack(msgspec.Struct, frozen=True):
    """One stack of one thread. Sizes are bytes; None is unknown.

    Attributes:
        thread_id: the thread.
        name: its name.
        teb: address of its thread environment block.
        bits: 64 or 32. A WoW64 thread has one stack of each. None if only a stack pointer is known.
        base: lowest address of the reservation.
        end: high end (exclusive). The stack grows downwards from here.
        reserve: bytes of the reservation; None if a map without a list of regions does not show its start.
        committed: committed bytes, guard pages included.
        guard: bytes of guard pages; None in a map without protections.
        stack_pointer: the stack pointer, if it is in this stack.
        headroom: bytes between the lowest address and the stack pointer: the room to grow, guard pages included. None
            with `reserve`.
        evidence: what identifies the stack.
        inferred: whether that is a guess.
        exited: whether the thread has ended.
        name_evidence: what names the thread where the input does not: the word of evidence of the runtime that does.
    """

    thread_id: int
    name: str | None
    teb: int | None
    bits: int | None
    base: int
    end: int
    reserve: int | None
    committed: int
    guard: int | None
    stack_pointer: int | None
    headroom: int | None
    evidence: str
    inferred: bool
    exited: bool
    name_evidence: str | None = None

    @property
    def in_use(self) -> int | None:
        """Bytes from the stack pointer to the high end; None without the pointer."""
        return None if self.stack_pointer is None else self.end - self.stack_pointer
