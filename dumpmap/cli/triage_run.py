"""Runs a batch or a watch for `dumpmap triage`, writes its result, and reports on standard error."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import typer

from dumpmap.cli.common import VERBOSITY, say
from dumpmap.cli.signals import Ended, ended_by_signals
from dumpmap.cli.triage_options import TriageSettings
from dumpmap.errors import InputError
from dumpmap.render.progress import LineProgress, RichProgress
from dumpmap.render.terminal import terminal
from dumpmap.render.triage import write_result
from dumpmap.sources.remote_errors import shown_url
from dumpmap.triage.batch import run
from dumpmap.triage.columns import TriageRow
from dumpmap.triage.earlier import read_result
from dumpmap.triage.options import TriageOptions
from dumpmap.triage.processes import start_helpers
from dumpmap.triage.progress import BatchState, Progress, RememberedProgress
from dumpmap.triage.result import TriageResult
from dumpmap.triage.watch import watch
from dumpmap.views.triage import summary_line, undecided_line
from dumpmap.wording.text import part_words, rate_words
from dumpmap.writers.formats import TriageFormat
from dumpmap.writers.output import STANDARD_OUTPUT, check_target, is_standard_output
from dumpmap.writers.records import print_json_line


def run_batch(settings: TriageSettings) -> int:
    """Triages the paths and writes the result; returns the exit code."""
    return _until_ended(settings, _batch)


def run_earlier(settings: TriageSettings) -> int:
    """Writes the rows of an earlier run in another form; returns the exit code."""
    _check_output(settings)
    with read_result(settings.paths[0]) as result:
        return _finished(result, settings)


def run_watch(settings: TriageSettings) -> int:
    """Triages the dumps in folders as they arrive, until a signal ends it; returns the exit code."""
    return _until_ended(settings, _watch)


def _until_ended(settings: TriageSettings, work: Callable[[TriageSettings, RememberedProgress], int]) -> int:
    progress = RememberedProgress()
    try:
        with ended_by_signals():
            if settings.options.engine != "serial":
                start_helpers()
            return work(settings, progress)
    except Ended as ended:
        return say_ended(ended, progress.state, settings.options)


def say_ended(ended: Ended, state: BatchState, options: TriageOptions) -> int:
    """Reports how far a run came before a signal ended it; returns the exit code."""
    how = "interrupted" if ended.number == signal.SIGINT else f"ended by {signal.Signals(ended.number).name}"
    text = f"{how} after {part_words(state.done, state.found, 'file')}{'' if state.listed else ' found so far'}"
    if options.cache is False:
        say(f"{text}; no results are kept because of --no-cache")
    else:
        results = "1 result is kept" if state.kept == 1 else f"{state.kept:,} results are kept"
        say(f"{text}; {results}{'; run the same command again to continue' if state.kept else ''}")
    return 128 + ended.number


def _watch(settings: TriageSettings, progress: RememberedProgress) -> int:
    for row in watch(settings.paths, settings.options, progress=progress):
        if settings.selection.keeps(row):
            print_json_line(row)
    return 0


def _batch(settings: TriageSettings, progress: RememberedProgress) -> int:
    _check_output(settings)
    live = _is_live(settings)

    def print_row(row: TriageRow) -> None:
        if settings.selection.keeps(row):
            print_json_line(row)

    with _display() as progress.display:
        result = run(settings.paths, settings.options, progress=progress, on_row=print_row if live else None)
    with result:
        return _finished(result, settings, written=live)


def _finished(result: TriageResult, settings: TriageSettings, *, written: bool = False) -> int:
    """Writes a result, unless its rows are written, and reports on it; returns the exit code."""
    if not written:
        _write(result, settings)
    _report(result, settings)
    # A gate that has seen no file has not passed.
    if not result.state.found:
        return InputError.exit_code
    return result.exit_code(fail_on=settings.gate.value if settings.gate else None, strict=settings.strict)


def _check_output(settings: TriageSettings) -> None:
    """Checks the output before the hours that a large batch takes.

    Raises:
        BadParameter: the output is one of the inputs.
        OutputError: the output cannot be written.
    """
    target = settings.output.file or STANDARD_OUTPUT
    for path in settings.paths:
        with contextlib.suppress(OSError, ValueError):
            if not is_standard_output(target) and Path(path).samefile(target):
                raise typer.BadParameter(f"{target} is one of the input files; choose another output")
    check_target(target, force=settings.output.force, binary=settings.output.format is TriageFormat.parquet)


def _is_live(settings: TriageSettings) -> bool:
    """Returns whether rows are printed as files finish."""
    selection = settings.selection
    return (
        settings.output.format is TriageFormat.jsonl
        and is_standard_output(settings.output.file or STANDARD_OUTPUT)
        and not settings.group_by
        and selection.sort is None
        and selection.top is None
    )


@contextlib.contextmanager
def _display() -> Iterator[Progress | None]:
    """A bar on a terminal, a line now and then elsewhere, nothing with -q."""
    if VERBOSITY.level < 0:
        yield None
    elif sys.stderr is not None and sys.stderr.isatty():
        with RichProgress() as bar:
            yield bar
    else:
        yield LineProgress(say)


def _write(result: TriageResult, settings: TriageSettings) -> None:
    output = settings.output
    target = output.file or STANDARD_OUTPUT
    color, width = terminal(target)
    write_result(
        result,
        output.format,
        target,
        group_by=settings.group_by,
        selection=settings.selection,
        force=output.force,
        limit=output.limit,
        units=output.units,
        color=color,
        width=width,
    )


def _pace(result: TriageResult) -> list[str]:
    """Returns how long a run took and its rate, as one text; nothing for rows of an earlier run."""
    if not result.seconds:
        return []
    rate = rate_words(result.state.done, result.seconds)
    return [", ".join(filter(None, [f"{result.seconds:.1f} s", rate]))]


def _report(result: TriageResult, settings: TriageSettings) -> None:
    """Reports on standard error what became of the files."""
    if VERBOSITY.level >= 0:
        for note in result.notes:
            say(note)
        say("; ".join([summary_line(result.state), *_pace(result)]))
        if settings.selection.filters:
            say(f"{result.count(settings.selection):,} of them selected")
            if undecided := result.count_undecided(settings.selection):
                say(undecided_line(undecided, result.state.done, result.undecided(settings.selection)))
    if not result.state.found:
        say("found no dumps in " + ", ".join(map(shown_url, settings.paths)))
