"""`dumpmap info`."""

from __future__ import annotations

from dumpmap.cli.common import chosen_format, load
from dumpmap.cli.options import ForceOption, FormatOption, InputFile, OutputOption, SnapshotOption


def command(
    file: InputFile,
    format: FormatOption = None,
    output: OutputOption = None,
    force: ForceOption = False,
    snapshot: SnapshotOption = None,
) -> None:
    """Show what the input holds: streams, flags, completeness, warnings, and what a better dump would add.

    CSV carries the streams; JSON everything.

    ```
    dumpmap info crash.dmp
    ```
    """
    from dumpmap.render.emit import emit
    from dumpmap.views.info import info_blocks, info_document
    from dumpmap.views.views import stream_table

    format = chosen_format(format, output)
    region_map = load(file, snapshot=snapshot)
    emit(
        format=format,
        document=lambda: info_document(region_map),
        table=lambda: stream_table(region_map),
        view=lambda: info_blocks(region_map),
        output=output,
        force=force,
    )
