"""What every command does before and after its own work."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dumpmap.analysis.rules import RuleSet
    from dumpmap.api import RegionMap
    from dumpmap.views.table import Table
    from dumpmap.wording.text import Units
    from dumpmap.writers.formats import Format


_SHOWN_WARNINGS = 3
"""More than this before the answer only hides it."""


@dataclass
class Verbosity:
    """How much is said on standard error; -v and -q set it.

    Attributes:
        level: -1 errors only, 0 warnings as well, 1 and more notes too.
        source: the input that was opened last, for a message about a fault of the program's own.
    """

    level: int = 0
    source: str | None = None

    def begin(self) -> None:
        """Forgets the command line before."""
        self.source = None


VERBOSITY = Verbosity()


def say(text: str) -> None:
    """Writes a line to standard error."""
    if sys.stderr is not None:
        shown = "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)
        with contextlib.suppress(OSError, ValueError):  # nobody is there to read it
            sys.stderr.write(f"dumpmap: {shown}\n")


def load(source: str, *, image_path: Path | None = None, snapshot: int | None = None) -> RegionMap:
    """Opens an input and says its warnings on standard error, unless -q.

    Raises:
        DumpmapError: it cannot be read.
    """
    import dumpmap

    VERBOSITY.source = source
    region_map = dumpmap.open(source, image_path=image_path, snapshot=snapshot)
    warn(region_map, source)
    return region_map


def load_rules(path: str | Path) -> RuleSet:
    """Reads a rules file.

    Raises:
        RulesError: it cannot be read or is not valid; the error names the file and the key.
    """
    from dumpmap.analysis.rules import RulesError
    from dumpmap.analysis.rules_file import parse_rules

    try:
        text = Path(path).read_text("utf-8")
    except OSError as error:
        raise RulesError(error.strerror or "cannot be read", source=str(path)) from None
    except UnicodeDecodeError:
        raise RulesError("not UTF-8 text", source=str(path)) from None
    return parse_rules(text, name=str(path))


def warn(region_map: RegionMap, source: str) -> None:
    """Says a map's warnings on standard error; with -v also its notes."""
    if VERBOSITY.level < 0:
        return
    shown = region_map.warnings if VERBOSITY.level > 0 else region_map.warnings[:_SHOWN_WARNINGS]
    for warning in shown:
        say(f"{source}: warning: {warning}")
    if len(region_map.warnings) > len(shown):
        say(f"{source}: {len(region_map.warnings) - len(shown)} more warnings: dumpmap info shows them")
    if VERBOSITY.level > 0:
        for note in region_map.notes:
            say(f"{source}: note: {note}")


def chosen_format(format: Format | None, output: str | None) -> Format:
    """The format to write: what was asked for, else what the output's suffix says.

    Raises:
        BadParameter: the suffix says something else than what was asked for, or what is not written.
    """
    import typer

    from dumpmap.writers.formats import Format
    from dumpmap.writers.suffixes import choose_format

    try:
        return choose_format(output, format, list(Format), Format.table)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def show_rows(
    name: str,
    region_map: RegionMap,
    table: Table,
    *,
    format: Format,
    units: Units,
    output: str | None,
    force: bool,
) -> None:
    """Writes a table in the format that was asked for; its JSON is `dumpmap.NAME/1` with the rows under `name`.

    Raises:
        OutputError: it cannot be written.
    """
    from dumpmap.render.emit import emit
    from dumpmap.views.documents import head
    from dumpmap.views.table import to_records

    emit(
        format=format,
        document=lambda: {**head(f"dumpmap.{name}/1", region_map), name: to_records(table)},
        table=lambda: table,
        units=units,
        output=output,
        force=force,
    )
