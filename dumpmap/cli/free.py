"""`dumpmap free`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from dumpmap.cli.common import chosen_format, load, say
from dumpmap.cli.options import ForceOption, FormatOption, InputFile, OutputOption, SnapshotOption, UnitsOption
from dumpmap.wording.text import Units
from dumpmap.writers.formats import Format


def command(
    file: InputFile,
    fit: Annotated[
        list[str] | None,
        typer.Option(
            "--fit",
            metavar="SIZE",
            help="Would an allocation of this size fit? Exit code 1 if not, or if the input cannot tell; repeatable.",
        ),
    ] = None,
    align: Annotated[
        str | None,
        typer.Option(
            "--align",
            metavar="SIZE",
            help="What such an allocation is aligned to: 64KB unless told; only with --fit.",
            show_default=False,
        ),
    ] = None,
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="How many of the largest blocks to show.")] = 10,
    format: FormatOption = None,
    units: UnitsOption = Units.kb,
    output: OutputOption = None,
    force: ForceOption = False,
    snapshot: SnapshotOption = None,
) -> None:
    """Show the free address space: how much, in what pieces, between what, and what would still fit.

    CSV carries the free blocks by size; JSON everything.

    ```
    dumpmap free crash.dmp
    dumpmap free crash.dmp --fit 64MB
    ```
    """
    from dumpmap.analysis.free import fits
    from dumpmap.analysis.free_blocks import free_report
    from dumpmap.model.sizes import parse_size
    from dumpmap.render.emit import emit
    from dumpmap.views.diagnosis import fit_text, free_blocks, histogram_table
    from dumpmap.views.documents import head

    format = chosen_format(format, output)
    if align is not None and not fit:
        raise typer.BadParameter("--align is of use only with --fit")
    try:
        sizes, alignment = [parse_size(text) for text in fit or []], parse_size(align or "64KB")
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    region_map = load(file, snapshot=snapshot)
    try:
        answers = [answer for size in sizes if (answer := fits(region_map, size, alignment)) is not None]
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None

    def document() -> dict[str, Any]:
        return {
            **head("dumpmap.free/1", region_map),
            **(free_report(region_map, count) or {"free": None, "largest_free_block": None}),
            "fits": [answer.to_dict() for answer in answers],
        }

    emit(
        format=format,
        document=document,
        table=lambda: histogram_table(region_map),
        view=lambda: free_blocks(region_map, answers, count),
        units=units,
        output=output,
        force=force,
    )
    if format is Format.csv:
        # The table has no place for the answers.
        for size in sizes if not answers else ():
            say(f"{file}: whether {size:,} bytes fit cannot be known: the input has no list of memory regions")
        for answer in answers:
            say(f"{file}: {fit_text(answer)}")
    if sizes and (len(answers) < len(sizes) or not all(answer.fits for answer in answers)):
        raise typer.Exit(1)
