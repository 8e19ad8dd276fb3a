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
    from dumpmap.views.info import info_document, info_markdown, info_view
    from dumpmap.views.views import stream_table

    format = chosen_format(format, output)
    region_map = load(file, snapshot=snapshot)
    emit(
        format=format,
        document=info_document(region_map),
        table=stream_table(region_map),
        view=info_view(region_map),
        markdown=info_markdown(region_map),
        output=output,
        force=force,
    )
