"""Writes snapshot documents to files, completely or not at all."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import secrets
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO, cast

from dumpmap.errors import OutputError, reason_of

SUFFIXES = (".json", ".json.gz", ".json.zst")
"""Suffixes of snapshot files; the last part names the compression."""

STANDARD_OUTPUT = "-"

_GZIP_LEVEL = 6
_ZSTD_LEVEL = 10


def check_output(path: str | os.PathLike[str], *, force: bool = False) -> None:
    """Checks before a capture that its result can be written.

    Raises:
        OutputError: the file exists, its directory does not or cannot be searched, or its compression is missing.
        ValueError: the name ends in none of `SUFFIXES`.
    """
    target = os.fspath(path)
    if target == STANDARD_OUTPUT:
        return
    suffix = split_name(target)[1]
    if suffix == ".json.zst" and find_spec("zstandard") is None:
        raise OutputError(".json.zst needs the Python package zstandard; install it or use .json.gz", source=target)
    place = Path(target)
    try:
        if place.is_dir():
            raise OutputError("is a directory", source=target)
        if not place.parent.is_dir():
            raise OutputError("the directory does not exist", source=target)
    except OSError as error:  # a directory that may not be searched
        raise OutputError(f"cannot write the file: {reason_of(error)}", source=target) from error
    if not force and os.path.lexists(place):
        raise OutputError("already exists; use --force to overwrite it", source=target)


def check_series(path: str | os.PathLike[str], *, force: bool = False) -> None:
    """Checks before a series without a count that its files can be written.

    Raises:
        OutputError: see `check_output`; or a file of a series of this name exists.
        ValueError: the name ends in none of `SUFFIXES`.
    """
    check_output(series_path(path, 1), force=force)
    if force:
        return
    stem, suffix = split_name(path)
    start = f"{Path(stem).name}-"
    for there in sorted(Path(stem).parent.iterdir()):
        name = there.name
        if name.startswith(start) and name.lower().endswith(suffix) and name[len(start) : -len(suffix)].isdigit():
            raise OutputError("already exists; use --force to overwrite it", source=os.fspath(there))


def split_name(path: str | os.PathLike[str]) -> tuple[str, str]:
    """Splits the name of a snapshot file into its stem and one of `SUFFIXES`.

    Raises:
        ValueError: the name ends in none of them.
    """
    text = os.fspath(path)
    for suffix in SUFFIXES:
        if text.lower().endswith(suffix) and len(Path(text).name) > len(suffix):
            return text[: -len(suffix)], suffix
    raise ValueError(f"{text}: the name of a snapshot must end in .json, .json.gz or .json.zst")


def series_path(path: str | os.PathLike[str], number: int) -> str:
    """Returns the name of one file of a series: `app.json.gz` becomes `app-0001.json.gz`."""
    stem, suffix = split_name(path)
    return f"{stem}-{number:04d}{os.fspath(path)[-len(suffix) :]}"


def write_document(document: dict[str, Any], path: str | os.PathLike[str], force: bool = False) -> None:
    """Writes a snapshot document.

    Args:
        document: the result of `capture_process`.
        path: a name that ends in one of `SUFFIXES`, or `-` for plain JSON on standard output.
        force: overwrite an existing file. It stays complete until the new one is complete.

    Raises:
        OutputError: the file could not be written. No part of it remains.
        ValueError: the name ends in none of `SUFFIXES`.
    """
    target = os.fspath(path)
    try:
        if target == STANDARD_OUTPUT:
            for chunk in encode(document):
                sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()
            return
        check_output(target, force=force)
        _write_file(document, Path(target), split_name(target)[1], force)
    except OSError as error:
        name = "standard output" if target == STANDARD_OUTPUT else target
        raise OutputError(f"cannot write the file: {reason_of(error)}", source=name) from error


def _write_file(document: dict[str, Any], path: Path, suffix: str, force: bool) -> None:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with temporary.open("xb") as file:
            _write_stream(document, file, suffix)
        if force:
            temporary.replace(path)
        else:
            publish(temporary, path)
    except FileExistsError:
        _remove(temporary)
        raise OutputError("already exists; use --force to overwrite it", source=os.fspath(path)) from None
    except BaseException:
        _remove(temporary)
        raise


def publish(temporary: Path, path: Path) -> None:
    """Gives a file its name, unless a file of that name appeared meanwhile."""
    if os.name == "nt":
        temporary.rename(path)  # fails on Windows if the name is taken
        return
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        temporary.rename(path)
    else:
        temporary.unlink()


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()


def _write_stream(document: dict[str, Any], file: BinaryIO, suffix: str) -> None:
    with contextlib.ExitStack() as stack:
        stream = file
        if suffix == ".json.gz":
            # Without name and time: the same document gives the same bytes.
            packed = gzip.GzipFile(filename="", mode="wb", compresslevel=_GZIP_LEVEL, fileobj=file, mtime=0)
            stream = stack.enter_context(cast("BinaryIO", packed))
        elif suffix == ".json.zst":
            import zstandard

            compressor = zstandard.ZstdCompressor(level=_ZSTD_LEVEL)
            stream = stack.enter_context(compressor.stream_writer(file, closefd=False))
        for chunk in encode(document):
            stream.write(chunk)


def encode(document: dict[str, Any]) -> Iterator[bytes]:
    """Yields the text of a document: a line for each key, and one for each region, module, thread and excerpt.

    With lines, any text tool can compare two captures, and a million regions are never one text in memory.
    """
    before = "{\n"
    for key, value in document.items():
        yield f"{before}{_json(key)}: ".encode()
        before = ",\n"
        if key == "regions" and isinstance(value, dict):
            yield f'{{"columns": {_json(value["columns"])},\n"rows": '.encode()
            yield from _list_lines(value["rows"])
            yield b"}"
        elif isinstance(value, list):
            yield from _list_lines(value)
        else:
            yield _json(value).encode()
    yield b"\n}\n"


def _list_lines(values: list[Any]) -> Iterator[bytes]:
    if not values:
        yield b"[]"
        return
    step = 4096
    for start in range(0, len(values), step):
        lines = ",\n".join(map(_json, values[start : start + step]))
        yield f"{'[' if start == 0 else ','}\n{lines}".encode()
    yield b"\n]"


_json = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
