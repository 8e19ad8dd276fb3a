"""The output format that a file name's suffix asks for: one table for all commands."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

SUFFIXES = {
    ".txt": "text",
    ".csv": "csv",
    ".json": "json",
    ".json.gz": "json.gz",
    ".json.zst": "json.zst",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".md": "markdown",
    ".markdown": "markdown",
    ".parquet": "parquet",
    ".mmp": "mmp",
    ".html": "html",
    ".htm": "html",
    # No command writes these. They are listed so that no file gets a name that belies its contents.
    ".gz": "gz",
    ".zst": "zst",
    ".zip": "zip",
    ".dmp": "dump",
    ".pdf": "pdf",
    ".png": "png",
    ".svg": "svg",
    ".tsv": "tsv",
    ".xls": "xls",
    ".xlsx": "xlsx",
    ".xml": "xml",
    ".yaml": "yaml",
    ".yml": "yaml",
}
"""Kind of file by suffix. Other names do not ask for a format."""

_KINDS = {"table": "text", "vmmap-csv": "csv", "vmmap-txt": "text"}
"""Formats whose name is not their kind of file."""

_NO_TEXT = ("parquet", "json.gz", "json.zst")

_ALSO = (("mmp", "xml"), ("json.gz", "gz"), ("json.zst", "zst"))
"""Kinds of file, each with a less exact suffix that it may have too."""

_Format = TypeVar("_Format", bound=str)


def kind_named(path: str | os.PathLike[str]) -> str | None:
    """Returns the kind of file that a name's suffix stands for, a value of `SUFFIXES`; None for other names."""
    suffixes = [suffix.lower() for suffix in Path(path).suffixes]
    return SUFFIXES.get("".join(suffixes[-2:])) or SUFFIXES.get("".join(suffixes[-1:]))


def check_name(path: str | os.PathLike[str], format: str, option: str = "--format") -> None:
    """Rejects a name whose suffix contradicts the requested format. A `.txt` may be any text.

    Args:
        path: the output.
        format: the requested format.
        option: the option that requested it.

    Raises:
        ValueError: the two contradict each other.
    """
    named, kind = kind_named(path), _kind(format)
    if named in (None, kind) or (named == "text" and kind not in _NO_TEXT) or (kind, named) in _ALSO:
        return
    suffix = next(suffix for suffix, known in SUFFIXES.items() if known == kind)
    raise ValueError(
        f"{os.fspath(path)}: the suffix means {named}, but {option} is {format}. Change the suffix to {suffix}, or "
        f"change {option}"
    )


def choose_format(
    path: str | os.PathLike[str] | None,
    given: _Format | None,
    formats: Sequence[_Format],
    default: _Format | None = None,
    option: str = "--format",
) -> _Format:
    """Returns the format of an output: the requested one, otherwise the one of its suffix.

    Args:
        path: the output; None is standard output.
        given: the requested format.
        formats: the formats that can be written; of two with one suffix, the first has it.
        default: the format of names that do not ask for one; None if they must.
        option: the option that requests a format.

    Raises:
        ValueError: the suffix contradicts the request, names a format that cannot be written, or names none although
            there is no default.
    """
    if given is not None:
        if path is not None:
            check_name(path, given, option)
        return given
    named = None if path is None else kind_named(path)
    if named is None and default is not None:
        return default
    chosen = next((format for format in formats if _kind(format) == named), None)
    if chosen is not None:
        return chosen
    kinds = [_kind(format) for format in formats]
    known = ", ".join(suffix for suffix, kind in SUFFIXES.items() if kind in kinds)
    if path is None or os.fspath(path) == "-":
        raise ValueError(f"standard output has no suffix: name a file ({known}) or use {option}")
    what = f"the suffix means {named}, which this command does not write" if named else "unknown suffix"
    raise ValueError(f"{os.fspath(path)}: {what}. Supported suffixes: {known}")


def _kind(format: str) -> str:
    return _KINDS.get(str(format), str(format))
