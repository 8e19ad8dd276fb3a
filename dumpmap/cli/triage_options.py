"""The options of `dumpmap triage`, and the checks that turn them into settings."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dumpmap.cli.common import listed_columns
from dumpmap.cli.completion import triage_columns, triage_conditions, triage_groups
from dumpmap.cli.options import FORMAT_HELP, FailOn
from dumpmap.cli.owners_search import OwnersFrom
from dumpmap.model.values import value_class
from dumpmap.wording.text import Units
from dumpmap.writers.formats import TriageFormat

if TYPE_CHECKING:
    from dumpmap.triage.options import TriageOptions
    from dumpmap.triage.selection import Selection


class EngineChoice(StrEnum):
    """What runs a batch."""

    processes = "processes"
    serial = "serial"
    dask = "dask"


PathsArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="PATH...", help="Files, folders, glob patterns, or URLs (s3://...).", show_default=False),
]
FromOption = Annotated[
    Path | None,
    typer.Option(
        "--from",
        metavar="FILE",
        help="Analyze nothing: take the rows that an earlier run wrote (.csv, .jsonl, .json, .parquet).",
        show_default=False,
    ),
]
GroupByOption = Annotated[
    list[str] | None,
    typer.Option(
        "--group-by",
        "-g",
        metavar="COLUMNS",
        autocompletion=triage_groups,
        help="Count the files by one column or several, separated by commas: process, verdict, finding, ... "
        "Repeatable.",
    ),
]
WhereOption = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        "-w",
        metavar="COLUMN=VALUE",
        autocompletion=triage_conditions,
        help="Show only the rows that meet this condition. Operators: = and !=; <, <=, >, and >= for numbers, times, "
        "and sizes (64MB); ~ and !~ for part of a text or a pattern. Repeatable.",
    ),
]
SeverityOption = Annotated[
    FailOn | None, typer.Option("--severity", help="Show only files with a finding of this severity or worse.")
]
SortOption = Annotated[
    str | None,
    typer.Option(
        "--sort",
        "-s",
        metavar="COLUMN",
        autocompletion=triage_columns,
        help="Sort by this column; -COLUMN sorts in descending order. Default: by severity, the worst first.",
    ),
]
TopOption = Annotated[int | None, typer.Option("--top", metavar="N", min=1, help="Maximum number of rows or groups.")]
TriageFormatOption = Annotated[
    TriageFormat | None, typer.Option("--format", "-f", help=FORMAT_HELP, show_default=False)
]
LimitOption = Annotated[
    int | None,
    typer.Option("--limit", "-n", metavar="N", min=0, help="Maximum number of rows in the table and in Markdown only."),
]
JobsOption = Annotated[
    int | None,
    typer.Option("--jobs", "-j", metavar="N", min=1, help="Number of worker processes. Default: one per processor."),
]
TimeLimitOption = Annotated[
    float | None,
    typer.Option("--time-limit", metavar="SECONDS", help="Time limit for one file; 0 means none. Default: 60."),
]
MemoryLimitOption = Annotated[
    str | None,
    typer.Option(
        "--memory-limit",
        metavar="SIZE",
        help="Memory limit of a worker for one file, at least 64MB; 0 means none. Default: 1GB.",
    ),
]
CacheOption = Annotated[
    Path | None,
    typer.Option("--cache", metavar="FILE", help="File to keep results in. Default: a file in your cache folder."),
]
NoCacheOption = Annotated[bool, typer.Option("--no-cache", help="Analyze every file and keep no results.")]
EngineOption = Annotated[
    EngineChoice,
    typer.Option("--engine", help="What runs the analysis: worker processes, this process, or a Dask cluster."),
]
SchedulerOption = Annotated[
    str | None,
    typer.Option(
        "--scheduler", metavar="ADDRESS", help="Address of the Dask scheduler. Default: a cluster on this machine."
    ),
]
StorageOption = Annotated[
    list[str] | None,
    typer.Option("--storage-option", metavar="KEY=VALUE", help="fsspec option for URLs. Repeatable."),
]
FlatOption = Annotated[bool, typer.Option("--flat", help="Don't search subfolders.")]
WatchOption = Annotated[
    bool, typer.Option("--watch", help="Keep running and triage dumps as they arrive; prints JSON lines.")
]
GateOption = Annotated[
    FailOn | None,
    typer.Option("--fail-on", help="Exit with 1 if a file has a finding of this severity or worse."),
]
StrictOption = Annotated[bool, typer.Option("--strict", help="Exit with 3 if any file could not be read.")]


@value_class(frozen=True, slots=True)
class TriageOutput:
    """Where and how the result is written.

    Attributes:
        format: the format.
        file: the output file; None or `-` is standard output.
        force: overwrite the file.
        limit: the maximum number of rows in the table and in Markdown.
        units: the units of sizes there.
    """

    format: TriageFormat
    file: str | None
    force: bool
    limit: int | None
    units: Units


@value_class(frozen=True, slots=True)
class TriageSettings:
    """A command line, checked.

    Attributes:
        paths: what to triage.
        options: how to run the batch.
        group_by: the columns to group by.
        selection: which rows to show.
        output: where and how to write them.
        gate: the severity of `--fail-on`.
        strict: whether an unreadable file fails the run.
    """

    paths: list[str]
    options: TriageOptions
    group_by: list[str]
    selection: Selection
    output: TriageOutput
    gate: FailOn | None
    strict: bool


_OF_ANALYSIS = [
    "--jobs",
    "--time-limit",
    "--memory-limit",
    "--cache",
    "--no-cache",
    "--engine",
    "--scheduler",
    "--storage-option",
    "--flat",
    "--owners",
    "--watch",
]
_DEFAULTS = (None, False, EngineChoice.processes, OwnersFrom.structure)
"""The options that say how files are found and analysed, and their values where they are not given."""


def checked_paths(paths: list[str] | None, earlier: Path | None, analysis: tuple[object, ...]) -> list[str]:
    """Returns the paths, or the file of `--from`.

    Args:
        paths: the paths.
        earlier: the file.
        analysis: the values of `_OF_ANALYSIS`.

    Raises:
        BadParameter: there is no path, one is empty, or something contradicts `--from`.
    """
    if earlier is None:
        if not paths:
            raise typer.BadParameter("give PATH..., or --from FILE with the rows of an earlier run")
        if not all(paths):
            raise typer.BadParameter("PATH is empty")
        return paths
    given = ["PATH"] * bool(paths)
    for name, value in zip(_OF_ANALYSIS, analysis, strict=True):
        given += [name] * all(value is not default for default in _DEFAULTS)
    if given:
        raise typer.BadParameter(f"--from analyzes no files, so {given[0]} does not apply")
    return [str(earlier)]


def chosen_cache(file: Path | None, none: bool) -> Path | bool:
    """Returns the cache: a file, True for the user's own, or False for none.

    Raises:
        BadParameter: a file and no cache exclude each other.
    """
    if file is not None and none:
        raise typer.BadParameter("--cache and --no-cache exclude each other")
    return False if none else (file or True)


def batch_options(
    jobs: int | None,
    limits: tuple[float | None, str | None],
    engine: EngineChoice,
    scheduler: str | None,
    storage: list[str] | None,
    *,
    cache: Path | bool,
    recursive: bool,
    owners: OwnersFrom,
) -> TriageOptions:
    """Returns how to run the batch; `limits` are those of time and memory.

    Raises:
        BadParameter: an option has a wrong value, or two options exclude each other.
    """
    from dumpmap.triage.options import TriageOptions

    if scheduler is not None and engine is not EngineChoice.dask:
        raise typer.BadParameter("--scheduler requires --engine dask")
    if engine is EngineChoice.serial and jobs is not None:
        raise typer.BadParameter("--engine serial has no worker processes, so --jobs does not apply")
    if engine is EngineChoice.serial and any(limits):
        raise typer.BadParameter("--engine serial runs in this process, which has no limits")
    return TriageOptions(
        jobs=jobs,
        cache=cache,
        engine=engine.value,
        scheduler=scheduler,
        storage_options=_pairs(storage or []) or None,
        recursive=recursive,
        owners=owners.value,
        **_limits(*limits),
    )


def _limits(seconds: float | None, memory: str | None) -> dict[str, Any]:
    from dumpmap.model.sizes import parse_size
    from dumpmap.triage.options import LEAST_MEMORY
    from dumpmap.wording.text import size_words

    limits: dict[str, Any] = {}
    if seconds is not None:
        if not seconds >= 0:  # NaN is neither
            raise typer.BadParameter("--time-limit must be above 0 seconds, or 0 for no limit")
        limits["time_limit"] = seconds or None
    if memory is not None:
        try:
            size = parse_size(memory)
        except ValueError as error:
            raise typer.BadParameter(f"--memory-limit: {error}") from None
        if 0 < size < LEAST_MEMORY:
            raise typer.BadParameter(f"--memory-limit must be at least {size_words(LEAST_MEMORY)}, or 0 for no limit")
        limits["memory_limit"] = size or None
    return limits


def _pairs(texts: list[str]) -> dict[str, str]:
    pairs = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise typer.BadParameter(f"--storage-option: {text!r} is not KEY=VALUE")
        pairs[key] = value
    return pairs


def grouping_columns(texts: list[str] | None) -> list[str]:
    """Returns the columns of `--group-by`.

    Raises:
        BadParameter: there is none, or one cannot be grouped by.
    """
    from dumpmap.triage.groups import check_groupable

    columns = listed_columns(texts)
    if texts and not columns:
        raise typer.BadParameter("--group-by needs at least one column")
    try:
        check_groupable(columns)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    return columns


def chosen_rows(
    where: list[str] | None, severity: FailOn | None, sort: str | None, top: int | None, group_by: list[str]
) -> Selection:
    """Returns which rows to show.

    Raises:
        BadParameter: a condition is malformed, or a column does not exist.
    """
    from dumpmap.triage.selection import select
    from dumpmap.views.triage import GROUP_FIGURES

    try:
        return select(
            where or (),
            severity=severity.value if severity else None,
            sort=sort,
            top=top,
            group_by=group_by,
            figures=[figure.name for figure in GROUP_FIGURES],
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def chosen_output(
    format: TriageFormat | None, file: str | None, force: bool, limit: int | None, units: Units
) -> TriageOutput:
    """Returns where and how to write the result.

    Raises:
        BadParameter: the suffix of the file contradicts the format, or means a format that triage does not write.
    """
    from dumpmap.writers.suffixes import choose_format

    try:
        chosen = choose_format(file, format, list(TriageFormat), TriageFormat.table)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    if chosen is TriageFormat.parquet and file is None:
        raise typer.BadParameter("Parquet needs --output; - means standard output")
    return TriageOutput(chosen, file, force, limit, units)


def check_watch(settings: TriageSettings, format: TriageFormat | None) -> None:
    """Checks that nothing contradicts `--watch`.

    Args:
        settings: the settings.
        format: the format that the user asked for.

    Raises:
        BadParameter: an option needs all rows, or another output.
    """
    selection, output = settings.selection, settings.output
    final = (selection.sort, selection.top, output.limit, settings.gate)
    if settings.group_by or settings.strict or any(option is not None for option in final):
        raise typer.BadParameter(
            "--watch never ends, and --group-by, --sort, --top, --limit, --fail-on, and --strict need all rows"
        )
    if format not in (None, TriageFormat.jsonl) or output.file not in (None, "-"):
        raise typer.BadParameter("--watch only writes JSON lines to standard output")
