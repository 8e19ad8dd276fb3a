"""What `stacks` shows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from dumpmap.model.region_map import RegionMap
from dumpmap.model.stacks import Stack
from dumpmap.views.documents import head
from dumpmap.views.table import Column, Table, to_records

IN_USE = Column("in_use", "size", "In use", shown=False)
"""People see it only where the reservation is not known."""

STACK_COLUMNS: tuple[Column, ...] = (
    Column("thread_id", "number", "Thread"),
    Column("name"),
    Column("bits", "number", optional=2),
    Column("base", "address"),
    Column("end", "address", optional=4),
    Column("reserve", "size"),
    Column("committed", "size"),
    IN_USE,
    Column("guard", "size", optional=1),
    Column("stack_pointer", "address", optional=3),
    Column("headroom", "size", left=True),
    Column("teb", "address", "TEB", optional=5),
    Column("evidence", optional=6),
    Column("inferred", "flag"),
    Column("exited", "flag", shown=False),
    Column("name_evidence", shown=False),
)


def stack_table(region_map: RegionMap) -> Table:
    """Returns one row per stack; a WoW64 thread has two, and a thread without a known stack has a row of blanks."""
    rows = [[_value(stack, column.name) for column in STACK_COLUMNS] for stack in region_map.stacks]
    names = region_map.structures.thread_names
    with_stack = {stack.thread_id for stack in region_map.stacks}
    for thread in region_map.snapshot.threads:
        if thread.id not in with_stack:
            runtime = None if thread.name else names.get(thread.id)
            known = {
                "thread_id": thread.id,
                "name": region_map.thread_names.get(thread.id),
                "name_evidence": None if runtime is None else runtime.evidence,
                "teb": thread.teb,
                "exited": thread.exited,
            }
            rows.append([known.get(column.name) for column in STACK_COLUMNS])
    columns = STACK_COLUMNS
    if any(stack.reserve is None for stack in region_map.stacks):
        columns = tuple(replace(column, shown=True) if column is IN_USE else column for column in columns)
    return Table(columns, rows, region_map.address_width)


def _value(stack: Stack, name: str) -> Any:
    """Returns a cell. Where only captured bytes are known, the lowest of them is not the base of the stack."""
    return None if name == "base" and stack.reserve is None else getattr(stack, name)


def stack_document(region_map: RegionMap) -> dict[str, Any]:
    """Returns `dumpmap.stacks/1`."""
    return {**head("dumpmap.stacks/1", region_map), "stacks": to_records(stack_table(region_map))}
