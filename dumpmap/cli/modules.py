"""`dumpmap modules`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dumpmap.cli.common import Shown, map_command

if TYPE_CHECKING:
    from dumpmap.api import RegionMap


def _shown(region_map: RegionMap) -> Shown:
    from dumpmap.views.modules import module_document, module_table

    return Shown(document=lambda: module_document(region_map), table=lambda: module_table(region_map))


command = map_command(
    _shown,
    """List the loaded modules by address, with their committed and private memory.

    ```
    dumpmap modules crash.dmp
    dumpmap modules crash.dmp --format csv
    ```
    """,
)
