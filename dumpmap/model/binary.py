"""Compiles `construct` declarations of fixed size to `struct.Struct`.

`construct` states a layout readably but takes 13 to 90 microseconds a record; a precompiled `struct.Struct` takes one
or two. Both users compile here: the parsers read whole records of a file with a `Reader`, and
`dumpmap.structures.layout.Part` reads single fields of a structure in process memory.

Only the attributes of construct's fields are used, so that this module imports nothing but the standard library.
"""

from __future__ import annotations

from collections.abc import Iterable
from struct import Struct
from types import SimpleNamespace
from typing import Any


def code_of(field: Any) -> str:
    """Returns the `struct` format of a field of fixed size: a number, an array of numbers, or bytes."""
    if hasattr(field, "count"):
        return f"{field.count}{field.subcon.fmtstr[-1]}"
    return field.fmtstr[-1] if hasattr(field, "fmtstr") else f"{field.length}s"


def compile_fields(fields: Iterable[tuple[int, int, str]], start: int = 0) -> Struct:
    """Compiles fields that may have gaps between them.

    Args:
        fields: offset, size in bytes, and `struct` format of each.
        start: the offset that the result begins at.

    Returns:
        a little-endian `Struct` whose values come in order of offset.
    """
    text, position = "<", start
    for offset, size, code in sorted(fields):
        text += f"{offset - position}x{code}"
        position = offset + size
    return Struct(text)


class Reader:
    """Reads whole records of one declaration, a `construct.Struct` of fixed size.

    Understands numbers, bytes, arrays of numbers, and nested structures.

    Attributes:
        size: bytes of the record.
    """

    def __init__(self, declaration: Any) -> None:
        codes: list[str] = []
        self._plan = _plan(declaration, codes)
        self._struct = Struct("<" + "".join(codes))
        self.size = self._struct.size
        if self.size != declaration.sizeof():
            raise TypeError(f"{declaration} cannot be compiled: {self.size} bytes instead of {declaration.sizeof()}")
        # Most records are flat: their names and values go together without a detour.
        self._names = None if any(part for _, part in self._plan) else [name for name, _ in self._plan]

    def parse(self, data: bytes | memoryview) -> Any:
        """Returns the record in `data`, which has `size` bytes. Members are attributes."""
        values = self._struct.unpack(data)
        if self._names is not None:
            return SimpleNamespace(**dict(zip(self._names, values, strict=True)))
        return _assemble(self._plan, list(reversed(values)))


_Plan = list[tuple[str, Any]]
"""Member names, each with None for one value, a count for an array, or the plan of a nested structure."""


def _plan(declaration: Any, codes: list[str]) -> _Plan:
    plan: _Plan = []
    for member in declaration.subcons:
        field = member.subcon
        if hasattr(field, "subcons"):
            plan.append((member.name, _plan(field, codes)))
        else:
            codes.append(code_of(field))
            plan.append((member.name, field.count if hasattr(field, "count") else None))
    return plan


def _assemble(plan: _Plan, values: list[Any]) -> SimpleNamespace:
    """Builds a record from its values, the first of them last."""
    members: dict[str, Any] = {}
    for name, part in plan:
        if part is None:
            members[name] = values.pop()
        elif isinstance(part, int):
            members[name] = [values.pop() for _ in range(part)]
        else:
            members[name] = _assemble(part, values)
    return SimpleNamespace(**members)
