"""What `stacks` shows."""

from __future__ import annotations

from typing import Any

from dumpmap.model.region_map import RegionMap
from dumpmap.views.documents import head
from dumpmap.views.table import Column, Table, to_records

STACK_COLUMNS = (
    Column("thread_id", "number", "Thread"),
    Column("name"),
    Column("bits", "number", optional=2),
    Column("base", "address"),
    Column("end", "address", optional=4),
    Column("reserve", "size"),
    Column("committed", "size"),
    Column("guard", "size", optional=1),
    Column("stack_pointer", "address", optional=3),
    Column("headroom", "size", left=True),
    Column("teb", "address", "TEB", optional=5),
    Column("evidence", optional=6),
    Column("inferred", "flag"),
    Column("exited", "flag", shown=False),
)


def stack_table(region_map: RegionMap) -> Table:
    """Returns one row per stack; a WoW64 thread has two, and a thread without a known stack has a row of blanks."""
    rows: list[list[Any]] = []
    for stack in region_map.stacks:
        rows.append([getattr(stack, column.name) for column in STACK_COLUMNS])
    with_stack = {stack.thread_id for stack in region_map.stacks}
    for thread in region_map.snapshot.threads:
        if thread.id not in with_stack:
            known = {"thread_id": thread.id, "name": thread.name, "teb": thread.teb, "exited": thread.exited}
            rows.append([known.get(column.name) for column in STACK_COLUMNS])
    return Table(STACK_COLUMNS, rows, region_map.address_width)


def stack_document(region_map: RegionMap) -> dict[str, Any]:
    """Returns `dumpmap.stacks/1`."""
    return {**head("dumpmap.stacks/1", region_map), "stacks": to_records(stack_table(region_map))}
