"""The command line of `dumpmap-capture.pyz`: `dumpmap capture` for machines that have only Python."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any

from dumpmap._version import __version__
from dumpmap.capture.facts import CaptureOptions
from dumpmap.capture.series import capture_to_files
from dumpmap.errors import DumpmapError

_USAGE_ERROR = 2
_INTERRUPTED = 130
_BUG = 70


def main(arguments: Sequence[str] | None = None) -> int:
    """Captures a process.

    Args:
        arguments: the command line, without the program's name.

    Returns:
        the exit code: 0 success, 2 usage error, 3 the process could not be captured, 4 a file could not be written.
    """
    parser = _parser()
    options = parser.parse_args(arguments)

    def report(path: str, document: dict[str, Any]) -> None:
        if not options.quiet:
            for line in describe(path, document):
                _say(line)

    try:
        series = capture_to_files(
            options.process,
            options.output,
            count=1 if options.count is None and options.interval is None else options.count,
            interval=options.interval or 1.0,
            force=options.force,
            options=CaptureOptions(
                freeze=options.freeze,
                memory=not options.no_memory,
                working_set=not options.no_working_set,
                command_line=options.command_line,
            ),
            report=report,
        )
    except DumpmapError as error:
        if os.environ.get("DUMPMAP_DEBUG") == "1":
            raise
        _say(str(error))
        return error.exit_code
    except ValueError as error:
        _say(str(error))
        return _USAGE_ERROR
    except KeyboardInterrupt:
        _say(f"{options.process}: interrupted")
        return _INTERRUPTED
    except Exception as error:
        if os.environ.get("DUMPMAP_DEBUG") == "1":
            raise
        what = " ".join(f"{type(error).__name__}: {error}".split())
        _say(f"{options.process}: this is a bug in dumpmap ({what}); set DUMPMAP_DEBUG=1 to see the traceback")
        return _BUG
    if series.ended:
        _say(f"{series.process}: {series.ended}")
    return 0


def describe(path: str, document: dict[str, Any]) -> list[str]:
    """Returns the lines that describe a capture: one with its figures, and one for each warning."""
    size = sum(len(entry["data"]) for entry in document["memory"]) * 3 // 4
    lines = [
        f"{path}: {document['source']['name']}, {_count(len(document['regions']['rows']), 'region')}, "
        f"{_count(len(document['modules']), 'module')}, {_count(len(document['threads']), 'thread')}, "
        f"{_count(size, 'byte')} of memory"
    ]
    lines += [f"{document['source']['name']}: warning: {warning}" for warning in document["warnings"]]
    return lines


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _say(line: str) -> None:
    sys.stderr.write(f"dumpmap: {line}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dumpmap-capture",
        description="Capture the memory map of a running process into a small JSON file for dumpmap.",
        epilog="Exit codes: 0 success, 2 usage error, 3 the capture failed, 4 a file could not be written.",
    )
    parser.add_argument("process", metavar="PID|NAME", help="process id or program name")
    parser.add_argument(
        "-o", "--output", metavar="FILE", required=True, help="X.json, X.json.gz, or - for standard output"
    )
    parser.add_argument("--count", type=_positive_int, metavar="N", help="number of captures: X-0001.json and so on")
    parser.add_argument(
        "--interval",
        type=_positive,
        metavar="S",
        help="seconds between captures (default: 1); without --count, until the process exits or Ctrl-C",
    )
    parser.add_argument("--force", action="store_true", help="overwrite existing files")
    parser.add_argument("--freeze", action="store_true", help="stop the process during each capture")
    parser.add_argument("--command-line", action="store_true", help="include the command line (can contain secrets)")
    parser.add_argument("--no-memory", action="store_true", help="capture the map only, without bytes of memory")
    parser.add_argument("--no-working-set", action="store_true", help="do not read which pages are resident")
    parser.add_argument("-q", "--quiet", action="store_true", help="print errors only")
    parser.add_argument("--version", action="version", version=f"dumpmap {__version__}")
    return parser


def _positive_int(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise ValueError
    return value


if __name__ == "__main__":
    sys.exit(main())
