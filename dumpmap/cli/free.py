"""`dumpmap free`."""

from __future__ import annotations

from typing import Annotated

import typer

from dumpmap.cli.common import Shown, Target, chosen_format, load, say, show, usage_errors
from dumpmap.cli.options import ForceOption, FormatOption, InputFile, OutputOption, SnapshotOption, UnitsOption
from dumpmap.wording.text import Units
from dumpmap.writers.formats import Format

FitOption = Annotated[
    list[str] | None,
    typer.Option(
        "--fit",
        metavar="SIZE",
        help="Size of an allocation to test. The exit code is 1 if it does not fit, or if the input does not show "
        "whether it fits. Repeatable.",
    ),
]
AlignOption = Annotated[
    str | None,
    typer.Option("--align", metavar="SIZE", help="Alignment for --fit. Default: 64KB.", show_default=False),
]
CountOption = Annotated[
    int, typer.Option("--count", "-n", metavar="N", min=1, help="Number of largest free blocks to show.")
]


def command(
    file: InputFile,
    fit: FitOption = None,
    align: AlignOption = None,
    count: CountOption = 10,
    format: FormatOption = None,
    units: UnitsOption = Units.kb,
    output: OutputOption = None,
    force: ForceOption = False,
    snapshot: SnapshotOption = None,
) -> None:
    """Show the free address space: its size, its blocks and their neighbours, and which allocations would fit.

    CSV contains the free blocks by size; JSON contains everything. Without a list of memory regions, a size that is
    larger than any free block can be does not fit, and any other is unknown.

    ```
    dumpmap free crash.dmp
    dumpmap free crash.dmp --fit 64MB
    ```
    """
    from dumpmap.analysis.fit_answers import fit_answer
    from dumpmap.model.sizes import parse_size
    from dumpmap.views.free import fit_text, free_document, free_view, histogram_table

    target = Target(chosen_format(format, output), units, output, force)
    if align is not None and not fit:
        raise typer.BadParameter("--align requires --fit")
    with usage_errors():
        sizes, alignment = [parse_size(text) for text in fit or []], parse_size(align or "64KB")
    region_map = load(file, snapshot=snapshot)
    with usage_errors():
        answers = [fit_answer(region_map, size, alignment) for size in sizes]
    shown = Shown(
        document=lambda: free_document(region_map, answers, count),
        table=lambda: histogram_table(region_map),
        view=lambda: free_view(region_map, answers, count),
    )
    show(shown, target)
    if target.format is Format.csv:  # the table has no place for the answers
        for text in map(fit_text, answers):
            say(f"{file}: {text}")
    if not all(answer.fits for answer in answers):
        raise typer.Exit(1)
