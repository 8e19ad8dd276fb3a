"""How a process is called."""

from __future__ import annotations

from dumpmap.model.region_map import RegionMap


def process_name(region_map: RegionMap) -> str | None:
    """Returns the name of the process; where only the writer of the dump names it, with the writer's name."""
    name, writer = region_map.process.name, region_map.snapshot.writer
    if name or writer is None or writer.executable is None:
        return name
    return f"{writer.executable} (named by {writer.writer})"
