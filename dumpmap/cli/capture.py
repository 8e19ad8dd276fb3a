"""`dumpmap capture`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from dumpmap.cli.common import VERBOSITY, say
from dumpmap.cli.options import ForceOption, SnapshotFileOption

ProcessArgument = Annotated[
    str, typer.Argument(metavar="PID|NAME", help="Process ID or program name.", show_default=False)
]
IntervalOption = Annotated[
    float | None,
    typer.Option("--interval", metavar="SECONDS", help="Capture repeatedly, with this much time between starts."),
]
CountOption = Annotated[
    int | None,
    typer.Option(
        "--count",
        metavar="N",
        min=1,
        help="Number of captures. Default with --interval: until the process exits or Ctrl-C.",
    ),
]
FreezeOption = Annotated[bool, typer.Option("--freeze", help="Stop the process during each capture.")]
NoMemoryOption = Annotated[
    bool, typer.Option("--no-memory", help="Capture the map only, without bytes of the process's memory.")
]
NoWorkingSetOption = Annotated[
    bool, typer.Option("--no-working-set", help="Do not read which pages are resident; faster for huge processes.")
]
CommandLineOption = Annotated[
    bool, typer.Option("--command-line", help="Include the command line, which can contain secrets.")
]


def command(
    process: ProcessArgument,
    output: SnapshotFileOption,
    interval: IntervalOption = None,
    count: CountOption = None,
    freeze: FreezeOption = False,
    no_memory: NoMemoryOption = False,
    no_working_set: NoWorkingSetOption = False,
    command_line: CommandLineOption = False,
    force: ForceOption = False,
) -> None:
    """Capture a running process into a JSON snapshot, on Windows or Linux.

    A series is written to FILE-0001.json, FILE-0002.json and so on; `dumpmap timeline` reads it. Without --count, the
    series ends when the process exits or you press Ctrl-C.

    ```
    dumpmap capture 4242 -o app.json
    dumpmap capture app.exe -o app.json.gz --interval 10 --count 30
    dumpmap capture app.exe -o leak.json.gz --interval 600
    ```
    """
    from dumpmap.capture.facts import CaptureOptions
    from dumpmap.capture.series import capture_to_files
    from dumpmap.capture.standalone import describe

    if interval is None and count is not None and count > 1:
        raise typer.BadParameter("a series needs --interval as well as --count")
    target: int | str = int(process) if process.isdigit() else process

    def report(path: str, document: dict[str, Any]) -> None:
        for line in describe(path, document) if VERBOSITY.level >= 0 else ():
            say(line)

    try:
        series = capture_to_files(
            target,
            output,
            count=1 if count is None and interval is None else count,
            interval=1.0 if interval is None else interval,
            force=force,
            options=CaptureOptions(freeze, not no_memory, not no_working_set, command_line),
            report=report,
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    if series.ended and VERBOSITY.level >= 0:
        say(f"{series.process}: {series.ended}")
