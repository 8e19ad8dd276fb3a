"""Reads the contract descriptor of a .NET runtime: its structures, their offsets, and the addresses of its variables.

The format is documented in dotnet/runtime, docs/design/datacontracts: contract-descriptor.md describes the structure in
memory, data_descriptor.md the JSON that it points to.
"""

from __future__ import annotations

import json
from dataclasses import field
from typing import Any

from dumpmap.model.memory import Memory
from dumpmap.model.values import value_class
from dumpmap.structures.layouts import gc as layouts

MAX_JSON = 4 << 20
"""Plausible size of the JSON in bytes. That of .NET 10.0.9 has 10,826."""

MAX_SUB_DESCRIPTORS = 16
"""Most sub-descriptors of a runtime that are read. Only the collector's is known."""

_DESCRIPTOR = {size: layout.part(*layout.offsets) for size, layout in layouts.CONTRACT_DESCRIPTOR.items()}


@value_class(frozen=False, slots=True)
class Contract:
    """A descriptor together with its sub-descriptors.

    Attributes:
        pointer_size: 4 or 8.
        version: of the JSON, as text.
        types: name to field to offset in bytes. `!` is the size, where it is known.
        addresses: globals that are variables of the runtime: name to address.
        values: globals whose value is in the descriptor.
    """

    pointer_size: int
    version: str
    types: dict[str, dict[str, int]] = field(default_factory=dict)
    addresses: dict[str, int] = field(default_factory=dict)
    values: dict[str, int | str] = field(default_factory=dict)


def read_contract(memory: Memory, address: int, pointer_size: int, image: tuple[int, int]) -> Contract | str:
    """Reads the descriptor at `address` and every sub-descriptor that is initialised.

    Args:
        memory: the process.
        address: of the descriptor.
        pointer_size: of the module that exports it.
        image: the module's addresses [start, end), which must contain the JSON and the pointers.

    Returns:
        the contract, or why there is none, in a few words.
    """
    contract: Contract | None = None
    waiting: list[tuple[int, tuple[int, int] | None]] = [(address, image)]
    for place, bounds in waiting:
        part = _read_one(memory, place, pointer_size, bounds)
        if isinstance(part, str):
            if contract is None:
                return part
            continue  # a part that is damaged or not initialised costs only itself
        document, pointers = part
        if contract is None:
            contract = Contract(pointer_size, str(document.get("version", "?")))
        _merge(contract, document, pointers)
        for value in list(_table(document, "subDescriptors").values())[:MAX_SUB_DESCRIPTORS]:
            variable, _ = _resolve(value, pointers)
            target = None if variable is None else memory.read(variable, pointer_size)
            if target is not None and any(target) and len(waiting) < MAX_SUB_DESCRIPTORS:
                # The collector may be a module of its own, so its part is not bound to this image.
                waiting.append((int.from_bytes(target, "little"), None))
    return contract if contract is not None else "not in the dump"


def _read_one(
    memory: Memory, address: int, pointer_size: int, bounds: tuple[int, int] | None
) -> tuple[dict[str, Any], tuple[int, ...]] | str:
    """Reads one descriptor: its JSON, and the addresses for its indirect values."""
    fields = _DESCRIPTOR[pointer_size].values(memory, address)
    if not fields:
        return "not in the dump"
    narrow = bool(fields["flags"] & layouts.DESCRIPTOR_FLAG_NARROW)
    if (
        fields["magic"] != layouts.DESCRIPTOR_MAGIC
        or not fields["flags"] & layouts.DESCRIPTOR_FLAG_ALWAYS
        or narrow != (pointer_size == 4)
    ):
        return "it has no valid header"
    size, count = fields["descriptor_size"], fields["pointer_data_count"]
    if not 2 < size < MAX_JSON or count * pointer_size > MAX_JSON:
        return "its sizes are implausible"
    for start, length in ((fields["descriptor"], size), (fields["pointer_data"], count * pointer_size)):
        if bounds is not None and length and not bounds[0] <= start <= start + length <= bounds[1]:
            return "it points outside its module"
    text = memory.read(fields["descriptor"], size)
    pointers = memory.read(fields["pointer_data"], count * pointer_size) if count else b""
    if text is None or pointers is None:
        return "not all of it is in the dump"
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return "its JSON is damaged"
    if not isinstance(document, dict) or document.get("baseline", "empty") not in ("empty", ""):
        return "it refers to a baseline that is not in the dump"
    if not isinstance(document.get("types"), dict) or not isinstance(document.get("globals"), dict):
        return "its JSON is not a descriptor"
    step = range(0, len(pointers), pointer_size)
    return document, tuple(int.from_bytes(pointers[at : at + pointer_size], "little") for at in step)


def _table(document: dict[str, Any], name: str) -> dict[str, Any]:
    found = document.get(name)
    return found if isinstance(found, dict) else {}


def _merge(contract: Contract, document: dict[str, Any], pointers: tuple[int, ...]) -> None:
    for name, fields in _table(document, "types").items():
        if isinstance(fields, dict):
            known = contract.types.setdefault(name, {})
            for member, value in fields.items():
                offset = _number(value[0] if isinstance(value, list) and value else value)
                if offset is not None and 0 <= offset < MAX_JSON:
                    known[member] = offset
    for name, value in _table(document, "globals").items():
        address, direct = _resolve(value, pointers)
        if address is not None:
            contract.addresses[name] = address
        elif direct is not None:
            contract.values[name] = direct


def _resolve(value: Any, pointers: tuple[int, ...]) -> tuple[int | None, int | str | None]:
    """Decodes one value: the address of a variable, or the value itself.

    It has one of five forms: `N`, `"text"`, `[N]` (index of a pointer), `[value, "type"]`, `[[N], "type"]`.
    """
    if isinstance(value, list) and len(value) == 2:
        value = value[0]
    if isinstance(value, list):
        index = _number(value[0]) if len(value) == 1 else None
        return (pointers[index] if index is not None and 0 <= index < len(pointers) else None), None
    number = _number(value)
    return None, number if number is not None else value if isinstance(value, str) else None


def _number(value: Any) -> int | None:
    """Reads a number, which may be text, decimal or hexadecimal; None if it is none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, str) and len(value) <= 20:
        try:
            return int(value, 0)
        except ValueError:
            return None
    return None
