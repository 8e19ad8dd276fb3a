"""The command line: one module per command, and the one place where errors become messages and exit codes."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Annotated, Any

import typer

from dumpmap._version import __version__
from dumpmap.cli.common import VERBOSITY, say
from dumpmap.errors import DumpmapError, InputError

app = typer.Typer(
    name="dumpmap",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    help="""
Where did this process's address space go? Reads a Windows minidump, a live capture or a VMMap file, on any OS, and
shows the map that VMMap would have shown.

```
dumpmap summary crash.dmp                 # what took the memory
dumpmap diagnose crash.dmp                # what ran out, with the evidence
dumpmap regions crash.dmp --type heap     # the allocations of one type
dumpmap triage dumps/ --group-by verdict  # a folder of dumps, one table
```

Exit codes: 0 done, 1 a gate was not met, 2 wrong usage, 3 an input could not be read, 4 output could not be written,
70 a bug in dumpmap, 130 interrupted.
""",
)

COMMANDS = (
    "summary",
    "regions",
    "address",
    "heaps",
    "stacks",
    "modules",
    "free",
    "info",
    "diagnose",
    "snapshot",
    "export",
    "diff",
    "timeline",
    "triage",
    "check",
    "report",
    "capture",
)
"""Modules of `dumpmap.cli`, in the order that help lists them; each adds its command to the app."""


_DEBUG = "DUMPMAP_DEBUG"

_BUG = 70
"""EX_SOFTWARE of sysexits.h: not to be taken for a gate that was not met."""

_LONGEST_REASON = 200
"""An exception can carry a whole array in its words."""


def _version(value: bool) -> None:
    if value:
        typer.echo(f"dumpmap {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    verbose: Annotated[int, typer.Option("--verbose", "-v", count=True, help="Say more on standard error.")] = 0,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors on standard error.")] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of every error; so does DUMPMAP_DEBUG=1.")
    ] = False,
) -> None:
    del version
    VERBOSITY.level = -1 if quiet else verbose
    if debug:
        os.environ[_DEBUG] = "1"  # worker processes see it too


for _name in COMMANDS:
    app.command(_name)(importlib.import_module(f"dumpmap.cli.{_name}").command)


def run(arguments: list[str] | None = None) -> int:
    """Runs a command line and returns its exit code; errors become one line on standard error."""
    given = sys.argv[1:] if arguments is None else arguments
    VERBOSITY.begin()
    try:
        result = app(args=given, prog_name="dumpmap", standalone_mode=False)
    except SystemExit as stop:
        if isinstance(stop.__context__, BrokenPipeError):  # typer's way to take it
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
        say(" ".join(filter(None, [VERBOSITY.source and f"{VERBOSITY.source}:", "not enough memory for this input"])))
        return InputError.exit_code
    except Exception as error:
        # Typer brings its own copy of click's exceptions, or click's: told by what they can do.
        return _wrong_usage(error) if hasattr(error, "format_message") else _bug(error, given)
    return result if isinstance(result, int) else 0


def _unheard() -> int:
    """Whoever read the output has gone (`| head`): not an error."""
    from dumpmap.writers.output import silence

    silence()
    return 0


def _trace() -> bool:
    """Shows the traceback to who asked for it."""
    wanted = os.environ.get(_DEBUG) == "1"
    if wanted:
        import traceback

        traceback.print_exc()
    return wanted


def _bug(error: Exception, arguments: list[str]) -> int:
    """Says that the program is at fault, and not its user; with which command and which file."""
    command = next((argument for argument in arguments if argument in COMMANDS), None)
    where = " ".join(filter(None, [command, VERBOSITY.source]))
    what = " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")
    how = "" if _trace() else "; dumpmap --debug ... shows the traceback to report"
    say(f"{where + ': ' if where else ''}this is a bug in dumpmap ({what[:_LONGEST_REASON]}){how}")
    return _BUG


def _wrong_usage(error: Any) -> int:
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()
    else:
        context = getattr(error, "ctx", None)
        where = context.command_path if context is not None else "dumpmap"
        message = " ".join(error.format_message().split()).removeprefix("Invalid value: ").rstrip(".")
        message = message.replace(": Value error, ", ": ")
        # "Input" is a file here.
        message = message.replace("Input should be greater than or equal to ", "it must be at least ")
        if message.startswith(("No such option: -q", "No such option: -v")):
            message += ": -q and -v go before the command"
        say(f"{message} ({where} --help says more)")
    return int(error.exit_code)


def main() -> None:
    """The `dumpmap` script."""
    sys.exit(run())
