"""`dumpmap triage`."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dumpmap.cli.common import VERBOSITY, say
from dumpmap.cli.options import FORMAT_HELP, FailOn, ForceOption, OutputOption, UnitsOption
from dumpmap.errors import InputError
from dumpmap.wording.text import Units

if TYPE_CHECKING:
    from dumpmap.triage import Options, Progress, Row, Selection, State
    from dumpmap.triage.progress import Remembered


class TriageFormatName(StrEnum):
    """Output formats of triage."""

    table = "table"
    json = "json"
    jsonl = "jsonl"
    csv = "csv"
    markdown = "markdown"
    parquet = "parquet"


class EngineName(StrEnum):
    """What runs a batch."""

    processes = "processes"
    serial = "serial"
    dask = "dask"


def command(
    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH...", help="Files, folders, globs or URLs (s3://...).", show_default=False),
    ],
    group_by: Annotated[
        str | None,
        typer.Option(
            "--group-by",
            "-g",
            metavar="COLUMNS",
            help="Count by process, verdict, finding, os_build or any other column; a comma between.",
        ),
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            "--where",
            "-w",
            metavar="COLUMN=VALUE",
            help="Show only rows of which this holds: also with !=, <, <=, >, >= (sizes as 64MB) and ~ "
            "(a part or a pattern); repeatable.",
        ),
    ] = None,
    severity: Annotated[
        FailOn | None, typer.Option("--severity", help="Show only files with a finding of this severity or worse.")
    ] = None,
    sort: Annotated[
        str | None,
        typer.Option(
            "--sort",
            "-s",
            metavar="COLUMN",
            help="Sort by a column instead of the worst first; -COLUMN is descending, +COLUMN ascending.",
        ),
    ] = None,
    top: Annotated[int | None, typer.Option("--top", min=1, help="Show only so many rows or groups.")] = None,
    format: Annotated[
        TriageFormatName | None, typer.Option("--format", "-f", help=FORMAT_HELP, show_default=False)
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", "-n", min=0, help="At most this many rows in the table.")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, help="Worker processes; one per processor by default.")
    ] = None,
    time_limit: Annotated[
        float | None, typer.Option("--time-limit", metavar="SECONDS", help="For one file, 60 by default; 0 for none.")
    ] = None,
    memory_limit: Annotated[
        str | None,
        typer.Option(
            "--memory-limit",
            metavar="SIZE",
            help="Of a worker for one file, 1GB by default and at least 64MB; 0 for none.",
        ),
    ] = None,
    cache: Annotated[
        Path | None, typer.Option("--cache", metavar="FILE", help="Keep results here instead of in the user's cache.")
    ] = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Analyse every file, and keep nothing.")] = False,
    engine: Annotated[EngineName, typer.Option("--engine", help="What runs the batch.")] = EngineName.processes,
    scheduler: Annotated[
        str | None,
        typer.Option("--scheduler", metavar="ADDRESS", help="Dask's scheduler; a local cluster without it."),
    ] = None,
    storage_option: Annotated[
        list[str] | None, typer.Option("--storage-option", metavar="KEY=VALUE", help="For URLs: fsspec's options.")
    ] = None,
    flat: Annotated[bool, typer.Option("--flat", help="Do not look into folders below the named ones.")] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on with dumps as they arrive, one JSON line each.")
    ] = False,
    fail_on: Annotated[
        FailOn | None,
        typer.Option("--fail-on", help="Exit with 1 if a file has a finding of this severity or worse."),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 3 if any file could not be read.")] = False,
    units: UnitsOption = Units.kb,
    output: OutputOption = None,
    force: ForceOption = False,
) -> None:
    """Read what ran out in each of many dumps: one table, the worst first.

    Files are read by worker processes with a time and a memory limit each; a broken one costs its own row. Results are
    kept, so that the next run reads only what is new; a run that was killed loses nothing that was finished.

    ```
    dumpmap triage dumps/ --group-by process,verdict
    dumpmap triage dumps/ --where 'committed>1.5GB' --sort -committed --top 20
    dumpmap triage 'crashes/**/*.dmp.zst' -o triage.csv
    dumpmap triage s3://bucket/dumps --engine dask --scheduler tcp://head:8786
    dumpmap triage incoming/ --watch
    ```
    """
    from dumpmap.triage import Options, select
    from dumpmap.triage.batch import check_groupable
    from dumpmap.triage.engines import start_helpers
    from dumpmap.triage.output import GROUP_FIGURES
    from dumpmap.triage.progress import Remembered
    from dumpmap.views.filters import parse_size
    from dumpmap.writers.suffixes import choose_format

    if not all(paths):
        raise typer.BadParameter("a PATH is empty")
    names = group_by.split(",") if group_by is not None else []
    columns = list(dict.fromkeys(name.strip() for name in names if name.strip()))
    if group_by is not None and not columns:
        raise typer.BadParameter("--group-by names no column")
    try:
        check_groupable(columns)
        selection = select(
            where or (),
            severity=severity.value if severity else None,
            sort=sort,
            top=top,
            group_by=columns,
            figures=[figure.name for figure in GROUP_FIGURES],
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    if watch and (columns or strict or any(one is not None for one in (sort, top, limit, fail_on))):
        raise typer.BadParameter(
            "--group-by, --sort, --top, --limit, --fail-on and --strict need all rows, and --watch has no end"
        )
    if watch and (format not in (None, TriageFormatName.jsonl) or output not in (None, "-")):
        raise typer.BadParameter("--watch writes JSON lines to standard output, nothing else")
    try:
        format = choose_format(output, format, list(TriageFormatName), TriageFormatName.table)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    if scheduler is not None and engine is not EngineName.dask:
        raise typer.BadParameter("--scheduler goes with --engine dask")
    if engine is EngineName.serial and jobs is not None:
        raise typer.BadParameter("--engine serial has no worker processes for --jobs")
    if engine is EngineName.serial and (time_limit or memory_limit):
        raise typer.BadParameter("--engine serial works in this process, which has no limits")
    if cache is not None and no_cache:
        raise typer.BadParameter("--cache and --no-cache contradict each other")
    limits: dict[str, Any] = {}
    try:
        if time_limit is not None:
            limits["time_limit"] = time_limit or None
        if memory_limit is not None:
            limits["memory_limit"] = parse_size(memory_limit) or None
        options = Options(
            jobs=jobs,
            cache=False if no_cache else (cache or True),
            engine=engine.value,
            scheduler=scheduler,
            storage_options=_pairs(storage_option or []) or None,
            recursive=not flat,
            **limits,
        )
    except ValueError as error:
        text = str(error).replace("above 0 seconds", "above 0 seconds, or 0 for none")
        text = text.replace("time_limit", "--time-limit").replace("memory_limit", "--memory-limit")
        raise typer.BadParameter(text) from None
    remembered = Remembered()
    try:
        with _ended_by_signals():
            if engine is not EngineName.serial:
                start_helpers()
            if watch:
                _watch(paths, options, selection, remembered)
                return
            code = _batch(
                paths,
                options,
                columns,
                selection,
                format,
                remembered=remembered,
                limit=limit,
                units=units,
                output=output,
                force=force,
                gate=fail_on,
                strict=strict,
            )
    except _Ended as ended:
        code = _say_ended(ended, remembered.state, options)
    raise typer.Exit(code)


def _pairs(texts: list[str]) -> dict[str, str]:
    pairs = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise ValueError(f"{text!r} is not KEY=VALUE")
        pairs[key] = value
    return pairs


class _Ended(BaseException):
    """A signal asks the program to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Has SIGINT, SIGTERM and SIGHUP raise `_Ended`, so that the workers are ended first; a second one ends at once."""
    from dumpmap.triage.engines import ENDING_SIGNALS

    def end(number: int, _: object) -> None:
        for signum in before:
            signal.signal(signum, lambda number, _: os._exit(128 + number))
        raise _Ended(number)

    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for name in ENDING_SIGNALS:
            signum = getattr(signal, name, None)
            # What is ignored stays so: nohup, or a shell's background job.
            if signum is not None and signal.getsignal(signum) is not signal.SIG_IGN:
                before[signum] = signal.getsignal(signum)
    for signum in before:
        signal.signal(signum, end)
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def _say_ended(ended: _Ended, state: State, options: Options) -> int:
    """Says how far a run was that a signal ended; returns the exit code."""
    how = "interrupted" if ended.number == signal.SIGINT else f"ended by {signal.Signals(ended.number).name}"
    text = f"{how} after {state.done:,} of {state.found:,} files{'' if state.listed else ' found so far'}"
    if options.cache is False:
        say(f"{text}; nothing is kept, as --no-cache says")
    else:
        going_on = ": the same command goes on from there" if state.kept else ""
        say(f"{text}; {state.kept:,} results are kept{going_on}")
    return 128 + ended.number


@contextlib.contextmanager
def _progress() -> Iterator[Progress | None]:
    """A bar on a terminal, a line now and then elsewhere, nothing with -q."""
    from dumpmap.triage.progress import LineProgress, RichProgress

    if VERBOSITY.level < 0:
        yield None
    elif sys.stderr is not None and sys.stderr.isatty():
        with RichProgress() as bar:
            yield bar
    else:
        yield LineProgress(say)


def _batch(
    paths: list[str],
    options: Options,
    columns: list[str],
    selection: Selection,
    format: TriageFormatName,
    *,
    remembered: Remembered,
    limit: int | None,
    units: Units,
    output: str | None,
    force: bool,
    gate: FailOn | None,
    strict: bool,
) -> int:
    from dumpmap.render.terminal import terminal
    from dumpmap.sources.remote_errors import shown_url
    from dumpmap.triage import run
    from dumpmap.triage.output import print_json_line, summary_line, write_result
    from dumpmap.writers.output import STANDARD_OUTPUT, check_target, is_standard_output

    if format is TriageFormatName.parquet and output is None:
        raise typer.BadParameter("Parquet needs --output (- is standard output)")
    target = STANDARD_OUTPUT if output is None else output
    for path in paths:
        with contextlib.suppress(OSError, ValueError):
            if not is_standard_output(target) and Path(path).samefile(target):
                raise typer.BadParameter(f"{target}: is one of the files to read")
    # Before the hours that a large batch takes.
    check_target(target, force=force, binary=format is TriageFormatName.parquet)
    live = (
        format is TriageFormatName.jsonl
        and is_standard_output(target)
        and not columns
        and selection.sort is None
        and selection.top is None
    )
    chosen = 0

    def on_row(row: Row) -> None:
        nonlocal chosen
        if selection.keeps(row):
            chosen += 1
            if live:
                print_json_line(row)

    with _progress() as remembered.display:
        result = run(paths, options, progress=remembered, on_row=on_row)
    with result:
        color, width = terminal(target)
        if not live:
            write_result(
                result,
                format.value,
                target,
                group_by=columns,
                selection=selection,
                force=force,
                limit=limit,
                units=units,
                color=color,
                width=width,
            )
        if VERBOSITY.level >= 0:
            for note in result.notes:
                say(note)
            rate = result.state.done / result.seconds if result.seconds else 0.0
            say(f"{summary_line(result.state)}; {result.seconds:.1f} s, {rate:,.0f} files a second")
            if selection.filters:
                say(f"{chosen:,} of these are selected")
        if not result.state.found:
            say("no dump was found in " + ", ".join(map(shown_url, paths)))
        # A gate that looked at nothing has not passed.
        if not result.state.found:
            return InputError.exit_code
        return result.exit_code(fail_on=gate.value if gate else None, strict=strict)


def _watch(paths: list[str], options: Options, selection: Selection, remembered: Remembered) -> None:
    from dumpmap.triage import watch
    from dumpmap.triage.output import print_json_line

    for row in watch(paths, options, progress=remembered):
        if selection.keeps(row):
            print_json_line(row)
