"""`dumpmap stacks`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dumpmap.cli.common import Shown, map_command

if TYPE_CHECKING:
    from dumpmap.api import RegionMap


def _shown(region_map: RegionMap) -> Shown:
    from dumpmap.views.stacks import stack_document, stack_table

    return Shown(document=lambda: stack_document(region_map), table=lambda: stack_table(region_map))


command = map_command(
    _shown,
    """List the stack of every thread: reserved, committed, and guard sizes, and the room left to grow.

    ```
    dumpmap stacks crash.dmp
    dumpmap stacks crash.dmp --format csv | sort -t, -k7 -n
    ```
    """,
)
