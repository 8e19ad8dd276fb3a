"""Memory as words of the size of a pointer, in which many structures are alike in 32 and 64 bits."""

from __future__ import annotations

import struct

from dumpmap.model.memory import Memory, unrecorded
from dumpmap.model.values import value_class
from dumpmap.structures.bounds import is_user_address


@value_class(frozen=True, slots=True)
class Words:
    """The memory of a process.

    Attributes:
        memory: its bytes.
        pointer_size: 4 or 8.
    """

    memory: Memory
    pointer_size: int

    def read(self, address: int, count: int) -> tuple[int, ...]:
        """Reads `count` words; none where any is missing."""
        data = self.memory.read(address, self.pointer_size * count)
        return () if data is None else struct.unpack(f"<{count}{'Q' if self.pointer_size == 8 else 'I'}", data)

    @property
    def unrecorded(self) -> Words:
        """The same memory for a look at words that may turn out not to matter."""
        return Words(unrecorded(self.memory), self.pointer_size)

    def is_pointer(self, value: int) -> bool:
        """Whether a word may be the address of a structure."""
        return is_user_address(value, self.pointer_size) and value % self.pointer_size == 0
