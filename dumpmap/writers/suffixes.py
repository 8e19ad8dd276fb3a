"""What the suffix of an output's name says about its format, in every command alike."""

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
    # Nothing of these kinds is written anywhere: no file that goes by such a name would be what it says.
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
"""The kind of file that a suffix stands for. Any other suffix, and none, says nothing."""

_KINDS = {"table": "text", "vmmap-csv": "csv", "vmmap-txt": "text"}
"""Formats that are called other than the kind of file that they are."""

_NO_TEXT = ("parquet", "json.gz", "json.zst")

_ALSO = (("mmp", "xml"), ("json.gz", "gz"), ("json.zst", "zst"))
"""Kinds of file that are also called less exactly."""

_Format = TypeVar("_Format", bound=str)


def kind_named(path: str | os.PathLike[str]) -> str | None:
    """The kind of file that a name's suffix stands for, one of the values of `SUFFIXES`; None where it says nothing."""
    suffixes = [suffix.lower() for suffix in Path(path).suffixes]
    return SUFFIXES.get("".join(suffixes[-2:])) or SUFFIXES.get("".join(suffixes[-1:]))


def check_name(path: str | os.PathLike[str], format: str, option: str = "--format") -> None:
    """Refuses a name whose suffix stands for something else than what was asked for. A `.txt` may be any text.

    Args:
        path: the output.
        format: what was asked for.
        option: by which option.

    Raises:
        ValueError: the two contradict each other.
    """
    named, kind = kind_named(path), _kind(format)
    if named in (None, kind) or (named == "text" and kind not in _NO_TEXT) or (kind, named) in _ALSO:
        return
    suffix = next(suffix for suffix, known in SUFFIXES.items() if known == kind)
    raise ValueError(
        f"{os.fspath(path)}: the suffix says {named}, but {option} {format} was given; change the suffix to {suffix}, "
        f"or change {option}"
    )


def choose_format(
    path: str | os.PathLike[str] | None, given: _Format | None, formats: Sequence[_Format], default: _Format
) -> _Format:
    """Tells the format of an output: what was asked for, else what the suffix of its name says.

    Args:
        path: the output; None is standard output.
        given: what was asked for.
        formats: what can be written.
        default: the format where neither says anything.

    Raises:
        ValueError: the suffix is that of something else than what was asked for, or of what is not written.
    """
    if given is not None:
        if path is not None:
            check_name(path, given)
        return given
    named = None if path is None else kind_named(path)
    if named is None:
        return default
    chosen = next((format for format in formats if _kind(format) == named), None)
    if chosen is None:
        kinds = [_kind(format) for format in formats]
        known = ", ".join(suffix for suffix, kind in SUFFIXES.items() if kind in kinds)
        raise ValueError(f"{path}: the suffix says {named}, which is not written here; the suffixes are {known}")
    return chosen


def _kind(format: str) -> str:
    return _KINDS.get(str(format), str(format))
