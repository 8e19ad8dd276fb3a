"""`dumpmap info`."""

from __future__ import annotations

from typing import Annotated

import typer

from dumpmap.cli.common import Shown, Target, chosen_format, load, show
from dumpmap.cli.options import ForceOption, FormatOption, InputFile, OutputOption, SnapshotOption, UnitsOption
from dumpmap.wording.text import Units

PrivacyOption = Annotated[
    bool, typer.Option("--privacy", help="Show the personal data that the file holds, and what removes it.")
]


def command(
    file: InputFile,
    format: FormatOption = None,
    units: UnitsOption = Units.kb,
    output: OutputOption = None,
    force: ForceOption = False,
    privacy: PrivacyOption = False,
    snapshot: SnapshotOption = None,
) -> None:
    """Show what the input contains: streams, flags, completeness, warnings, and what a better dump would add.

    CSV contains the streams; JSON contains everything.

    ```
    dumpmap info crash.dmp
    dumpmap info crash.dmp --format json | jq .advice
    dumpmap info crash.json --privacy
    ```
    """
    target = Target(chosen_format(format, output), units, output, force)
    region_map = load(file, snapshot=snapshot)
    if privacy:
        from dumpmap.views.privacy import privacy_document, privacy_table, privacy_view

        private = Shown(
            document=lambda: privacy_document(region_map),
            table=lambda: privacy_table(region_map),
            view=lambda: privacy_view(region_map),
        )
        show(private, target)
        return
    from dumpmap.views.info import info_document, info_view, stream_table

    shown = Shown(
        document=lambda: info_document(region_map),
        table=lambda: stream_table(region_map),
        view=lambda: info_view(region_map),
    )
    show(shown, target)
