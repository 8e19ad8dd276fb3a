"""What every command does before and after its own work."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from dumpmap.cli.options import (
    ForceOption,
    FormatOption,
    ImagePathOption,
    InputFile,
    OutputOption,
    SnapshotOption,
    UnitsOption,
)
from dumpmap.wording.text import Units, printable
from dumpmap.writers.formats import Format, PageFormat
from dumpmap.writers.inputs import keep_input

if TYPE_CHECKING:
    from dumpmap.analysis.rules import RuleSet
    from dumpmap.api import RegionMap
    from dumpmap.views.blocks import View
    from dumpmap.views.table import Table


_SHOWN_WARNINGS = 3
"""More warnings than this would hide the answer."""


@dataclass
class Verbosity:
    """How much goes to standard error; -v and -q set it.

    Attributes:
        level: -1 for errors only, 0 for warnings as well, 1 or more for notes too.
        source: the input that was opened last, for the message about an internal error.
    """

    level: int = 0
    source: str | None = None

    def begin(self) -> None:
        """Forgets the previous command line."""
        self.source = None


VERBOSITY = Verbosity()


def say(text: str) -> None:
    """Writes a line to standard error."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError, ValueError):  # nobody is there to read it
            sys.stderr.write(f"dumpmap: {printable(text)}\n")


def note(text: str) -> None:
    """Writes a remark to standard error, unless -q is given."""
    if VERBOSITY.level >= 0:
        say(f"note: {text}")


@contextlib.contextmanager
def usage_errors() -> Iterator[None]:
    """Reports a ValueError as wrong usage."""
    try:
        yield
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def listed_columns(texts: Iterable[str] | None) -> list[str]:
    """Returns the names in lists that are separated by commas, each once."""
    names = (name.strip() for text in texts or () for name in text.split(","))
    return list(dict.fromkeys(filter(None, names)))


def load(source: str, *, image_path: Path | None = None, snapshot: int | None = None, **options: Any) -> RegionMap:
    """Opens an input and writes its warnings to standard error, unless -q is given.

    Args:
        source: the input.
        image_path: as for `dumpmap.open`.
        snapshot: as for `dumpmap.open`.
        options: as for `dumpmap.api.open_map`.

    Raises:
        DumpmapError: the input cannot be read.
    """
    from dumpmap.api import open_map

    VERBOSITY.source = source
    keep_input(source.partition("::")[0])
    region_map = open_map(source, image_path=image_path, snapshot=snapshot, **options)
    warn(region_map, source)
    return region_map


def load_rules(path: str | Path) -> RuleSet:
    """Reads a rules file.

    Raises:
        RulesError: it cannot be read or is not valid; the error names the file and the key.
    """
    from dumpmap.analysis.rules import RulesError
    from dumpmap.analysis.rules_file import parse_rules
    from dumpmap.errors import reason_of

    keep_input(path)
    try:
        text = Path(path).read_text("utf-8")
    except OSError as error:
        raise RulesError(reason_of(error), source=str(path)) from None
    except UnicodeDecodeError:
        raise RulesError("not UTF-8 text", source=str(path)) from None
    return parse_rules(text, name=str(path))


def warn(region_map: RegionMap, source: str) -> None:
    """Writes a map's warnings to standard error; with -v also its notes."""
    if VERBOSITY.level < 0:
        return
    shown = region_map.warnings if VERBOSITY.level > 0 else region_map.warnings[:_SHOWN_WARNINGS]
    for warning in shown:
        say(f"{source}: warning: {warning}")
    if more := len(region_map.warnings) - len(shown):
        say(f"{source}: {more} more warning{'s' if more > 1 else ''}; run dumpmap info to see all")
    if VERBOSITY.level > 0:
        for note in region_map.notes:
            say(f"{source}: note: {note}")


def chosen_format(format: Format | None, output: str | None) -> Format:
    """Returns the format to write: the requested one, otherwise the one of the output's suffix.

    Raises:
        BadParameter: the suffix contradicts the request, or names a format that the command does not write.
    """
    from dumpmap.writers.suffixes import choose_format

    with usage_errors():
        return choose_format(output, format, list(Format), Format.table)


def chosen_page_format(format: PageFormat | None, output: str | None) -> PageFormat:
    """Returns the format to write as `chosen_format` does, for a command that also writes a page."""
    from dumpmap.writers.suffixes import choose_format

    with usage_errors():
        return choose_format(output, format, list(PageFormat), PageFormat.table)


@dataclass(frozen=True)
class Target:
    """Where a result goes, and how.

    Attributes:
        format: the format.
        units: of sizes, for people.
        output: a file; standard output if None or `-`.
        force: overwrite the file.
        pager: show a long text on a terminal in the pager.
    """

    format: Format
    units: Units = Units.kb
    output: str | None = None
    force: bool = False
    pager: bool = False


@dataclass(frozen=True)
class Shown:
    """The makers of a result; see `dumpmap.render.emit.emit`."""

    document: Callable[[], Any]
    table: Callable[[], Table]
    view: Callable[[], View] | None = None


def show(shown: Shown, target: Target) -> None:
    """Writes a result.

    Raises:
        OutputError: the output cannot be written.
    """
    from dumpmap.render.emit import emit

    emit(
        format=target.format,
        document=shown.document,
        table=shown.table,
        view=shown.view,
        units=target.units,
        output=target.output,
        force=target.force,
        pager=target.pager,
    )


def map_command(make: Callable[[RegionMap], Shown], help: str) -> Callable[..., None]:
    """Returns a command that opens one input and shows one thing of its map.

    Args:
        make: returns what to show.
        help: the command's help text.
    """

    def command(
        file: InputFile,
        format: FormatOption = None,
        units: UnitsOption = Units.kb,
        output: OutputOption = None,
        force: ForceOption = False,
        image_path: ImagePathOption = None,
        snapshot: SnapshotOption = None,
    ) -> None:
        target = Target(chosen_format(format, output), units, output, force)
        show(make(load(file, image_path=image_path, snapshot=snapshot)), target)

    command.__doc__ = help
    return command
