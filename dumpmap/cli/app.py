"""The command line: one module per command, and the place where errors become messages and exit codes."""

from __future__ import annotations

import errno
import importlib
import os
import re
import sys
from collections.abc import Collection
from enum import StrEnum
from typing import Annotated, Any

import typer

from dumpmap._version import __version__
from dumpmap.cli.common import VERBOSITY, say
from dumpmap.cli.help import Command, Group
from dumpmap.errors import DumpmapError, InputError, OutputError, reason_of
from dumpmap.model.sizes import ask_for_unit
from dumpmap.writers.csv_cells import keep_raw
from dumpmap.writers.inputs import forget_inputs

app = typer.Typer(
    name="dumpmap",
    no_args_is_help=True,
    cls=Group,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    help="""
Show where a process's address space went. dumpmap reads a Windows minidump, a live capture, or a VMMap file on any OS
and shows the map that VMMap would show.

```
dumpmap summary crash.dmp                 # memory by type
dumpmap diagnose crash.dmp                # which limit was reached, and why
dumpmap regions crash.dmp --type heap     # the allocations of one type
dumpmap triage dumps/ --group-by verdict  # one table for a folder of dumps
```

Exit codes: 0 success, 1 a gate failed, 2 wrong usage, 3 an input could not be read, 4 an output could not be written,
70 an internal error, 130 interrupted.
""",
)

GROUPS = {
    "Look": ("summary", "regions", "address", "owners", "heaps", "stacks", "modules", "free", "browse", "info"),
    "Diagnose": ("diagnose", "explain"),
    "Compare": ("diff", "timeline"),
    "Many files": ("triage", "check"),
    "Convert": ("snapshot", "export", "report", "contribute"),
    "Capture": ("capture",),
    "Serve": ("mcp",),
}
"""Modules of `dumpmap.cli` by the panel of the help text. The `command` of each is a command of the app."""

COMMANDS = tuple(name for names in GROUPS.values() for name in names)
"""The commands in the order of the help text."""


class Color(StrEnum):
    """When text has color."""

    auto = "auto"
    always = "always"
    never = "never"


_DEBUG = "DUMPMAP_DEBUG"

_UNWRITTEN = (errno.ENOSPC, errno.EIO, errno.EFBIG)

_BUG = 70
"""EX_SOFTWARE of sysexits.h, which differs from the exit code of a gate."""

_LONGEST_REASON = 200
"""An exception's message can contain a whole array."""


def _version(value: bool) -> None:
    if value:
        typer.echo(f"dumpmap {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
    verbose: Annotated[
        int,
        typer.Option("--verbose", "-v", count=True, show_default=False, help="Also write notes to standard error."),
    ] = 0,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Write only errors to standard error.")] = False,
    color: Annotated[
        Color, typer.Option("--color", help="Color of text. auto: on a terminal, unless NO_COLOR is set.")
    ] = Color.auto,
    raw: Annotated[
        bool,
        typer.Option(
            "--raw",
            help="Write texts into CSV as they are. Default: an apostrophe before what a spreadsheet would run, one "
            "line a cell, and no control characters.",
        ),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of every error, as DUMPMAP_DEBUG=1 does.")
    ] = False,
) -> None:
    del version
    VERBOSITY.level = -1 if quiet else verbose
    if color is not Color.auto:  # worker processes see it too
        os.environ.pop("FORCE_COLOR", None)
        os.environ.pop("NO_COLOR", None)
        os.environ["FORCE_COLOR" if color is Color.always else "NO_COLOR"] = "1"
    keep_raw(raw)
    if debug:
        os.environ[_DEBUG] = "1"  # worker processes see it too


_PANELS = {name: group for group, names in GROUPS.items() for name in names}


def whole_app() -> typer.Typer:
    """Returns the app with every command."""
    _add(COMMANDS)
    return app


def _add(names: Collection[str]) -> None:
    """Adds commands to the app. Each module takes time to import, and its options take as long to read."""
    known = {command.name for command in app.registered_commands}
    for name in names:
        if name not in known:
            module = importlib.import_module(f"dumpmap.cli.{name}")
            app.command(name, cls=Command, rich_help_panel=_PANELS[name])(module.command)
    app.registered_commands.sort(key=lambda command: COMMANDS.index(command.name or ""))


def _wanted(given: list[str]) -> Collection[str]:
    """The commands that a command line needs: its own; all for the list of commands, and where none is clear."""
    first = next((argument for argument in given if not argument.startswith("-")), None)
    is_completed = any(name.endswith("_COMPLETE") for name in os.environ)
    return (first,) if first in _PANELS and not is_completed else COMMANDS


def run(arguments: list[str] | None = None) -> int:
    """Runs a command line and returns its exit code; errors become one line on standard error."""
    given = sys.argv[1:] if arguments is None else arguments
    VERBOSITY.begin()
    ask_for_unit(None)
    forget_inputs()
    try:
        _add(_wanted(given))
        result = app(args=given, prog_name="dumpmap", standalone_mode=False)
    except SystemExit as stop:
        if isinstance(stop.__context__, BrokenPipeError):  # typer turns it into an exit
            return _unheard()
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except (typer.Abort, KeyboardInterrupt):
        say("interrupted")
        return 130
    except BrokenPipeError:
        return _unheard()
    except DumpmapError as error:
        _trace()
        say(" ".join(str(error).split()))
        return error.exit_code
    except MemoryError:
        _trace()
        source = f"{VERBOSITY.source}: " if VERBOSITY.source else ""
        say(f"{source}not enough memory to read this input")
        return InputError.exit_code
    except Exception as error:
        if isinstance(error, OSError) and error.filename is None and error.errno in _UNWRITTEN:
            return _unwritten(error)  # help, a version, or a script for a shell, which the library writes
        # Typer raises click's exceptions or its own copies; both have this method.
        return _wrong_usage(error) if hasattr(error, "format_message") else _bug(error, given)
    return result if isinstance(result, int) else 0


def _unheard() -> int:
    """Ends quietly if the reader of the output has gone (`| head`)."""
    from dumpmap.writers.output import silence

    silence()
    return 0


def _unwritten(error: OSError) -> int:
    """Reports that standard output takes no more."""
    from dumpmap.writers.output import silence

    silence()
    say(f"standard output: cannot be written: {reason_of(error)}")
    return OutputError.exit_code


def _trace() -> bool:
    """Writes the traceback if it was requested."""
    wanted = os.environ.get(_DEBUG) == "1"
    if wanted:
        import traceback

        traceback.print_exc()
    return wanted


def _bug(error: Exception, arguments: list[str]) -> int:
    """Reports an internal error with the command and the file."""
    command = next((argument for argument in arguments if argument in COMMANDS), None)
    where = " ".join(filter(None, [command, VERBOSITY.source]))
    what = " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")
    how = "" if _trace() else ". Please report it with the traceback that dumpmap --debug shows"
    say(f"{where + ': ' if where else ''}this is a bug in dumpmap ({what[:_LONGEST_REASON]}){how}")
    return _BUG


_LIBRARY_WORDS = (
    (r"is not a valid (?:int|integer)(?: range)?$", "is not a whole number"),
    (r"\S+ is not in the range x>=(\S+)$", r"it must be at least \1"),
    (r"\S+ is not in the range x<=(\S+)$", r"it must be at most \1"),
    (r"is not in the range (\S+?)<=x<=(\S+)$", r"is not from \1 to \2"),
    (r"^Got unexpected extra argument\S* \((\S+)\)$", r"unexpected argument \1"),
    (r"^Got unexpected extra argument\S* \((.+)\)$", r"unexpected arguments \1"),
)
"""What the library under Typer says of wrong values, and plain words for it."""


def _in_words(message: str) -> str:
    """Says what the library under Typer says as dumpmap says it. dumpmap's own sentences stay as they are."""
    own = message.removeprefix("Invalid value: ")
    if own != message:
        return own
    for said, plain in _LIBRARY_WORDS:
        message = re.sub(said, plain, message)
    return message[:1].lower() + message[1:]


def _wrong_usage(error: Any) -> int:
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()
    else:
        context = getattr(error, "ctx", None)
        where = context.command_path if context is not None else "dumpmap"
        message = _in_words(" ".join(error.format_message().split()).rstrip("."))
        if message.startswith(("no such option: -q", "no such option: -v")):
            message += ". Put -q and -v before the command"
        end = "" if message.endswith("?") else "."
        say(f"{message}{end} Run {where} --help for help")
    return int(error.exit_code)


def main() -> None:
    """The `dumpmap` script."""
    sys.exit(run())
