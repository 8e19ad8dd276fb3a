"""`dumpmap summary`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dumpmap.cli.common import Shown, map_command

if TYPE_CHECKING:
    from dumpmap.api import RegionMap


def _shown(region_map: RegionMap) -> Shown:
    from dumpmap.views.summary import summary_document, summary_table, summary_view

    return Shown(
        document=lambda: summary_document(region_map, region_map.findings()),
        table=lambda: summary_table(region_map),
        view=lambda: summary_view(region_map, region_map.findings()),
    )


command = map_command(
    _shown,
    """Show what uses the address space, by type, as VMMap does.

    The output has bars for committed and private memory (and for the working set, if the input records it), the table
    of types, the largest free block, and one line per finding.

    ```
    dumpmap summary crash.dmp
    dumpmap summary crash.dmp.zst --format json | jq .largest_free_block.size
    dumpmap summary capture.json -o summary.md
    ```
    """,
)
