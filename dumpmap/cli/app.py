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
dumpmap summary crash.dmp                 # what took the memory, the largest free block
dumpmap diagnose crash.dmp                # what ran out, with the evidence
dumpmap regions crash.dmp --type heap     # the allocations of one type
dumpmap triage dumps/ --group-by verdict  # a folder of dumps as one table
```

Exit codes: 0 done, 1 a gate was not met, 2 wrong usage, 3 an input could not be read, 4 output could not be written.
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
) -> None:
    del version
    VERBOSITY.level = -1 if quiet else verbose


for _name in COMMANDS:
    app.command(_name)(importlib.import_module(f"dumpmap.cli.{_name}").command)


def run(arguments: list[str] | None = None) -> int:
    """Runs a command line and returns its exit code; errors become one line on standard error."""
    debug = os.environ.get("DUMPMAP_DEBUG") == "1"
    try:
        result = app(args=arguments, prog_name="dumpmap", standalone_mode=False)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except (typer.Abort, KeyboardInterrupt):
        say("interrupted")
        return 130
    except DumpmapError as error:
        if debug:
            raise
        say(" ".join(str(error).split()))
        return error.exit_code
    except MemoryError:
        if debug:
            raise
        say("not enough memory for this input")
        return InputError.exit_code
    except Exception as error:
        # Typer brings its own copy of click's exceptions, or click's: told by what they can do.
        if not hasattr(error, "format_message"):
            raise
        return _wrong_usage(error)
    return result if isinstance(result, int) else 0


def _wrong_usage(error: Any) -> int:
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()
    else:
        context = getattr(error, "ctx", None)
        where = context.command_path if context is not None else "dumpmap"
        message = " ".join(error.format_message().split()).removeprefix("Invalid value: ").rstrip(".")
        if message.startswith(("No such option: -q", "No such option: -v")):
            message += ": -q and -v go before the command"
        say(f"{message} ({where} --help says more)")
    return int(error.exit_code)


def main() -> None:
    """The `dumpmap` script."""
    sys.exit(run())
