"""Texts for people: CommentStreamA, CommentStreamW."""

from __future__ import annotations

import re
from collections.abc import Iterable

from dumpmap.parsers.minidump.draft import Draft
from dumpmap.parsers.minidump.file import MAX_STRING
from dumpmap.parsers.minidump.stream import KnownStream, StreamData

_TRIGGER = re.compile(r"exception\b.*\bSystem\.OutOfMemoryException\b", re.IGNORECASE)
"""ProcDump names the exception that triggered it by code and type: `E0434352.System.OutOfMemoryException`."""


def states_failure(comments: Iterable[str]) -> bool:
    """Tells whether a comment of ProcDump names a failure for want of memory as the reason of the dump.

    The line with ProcDump's own command can name the exception too: as a filter, which says nothing about the reason.
    """
    lines = (line for comment in comments for line in comment.splitlines())
    return any("procdump" not in line.lower() and _TRIGGER.search(line) is not None for line in lines)


def read_comment_a(data: StreamData, draft: Draft) -> None:
    """Reads an 8-bit comment; writers use UTF-8."""
    _read_comment(data, draft, "utf-8")


def read_comment_w(data: StreamData, draft: Draft) -> None:
    """Reads a UTF-16 comment."""
    _read_comment(data, draft, "utf-16-le")


def _read_comment(data: StreamData, draft: Draft, encoding: str) -> None:
    content = bytes(data.file.data(data.offset, min(data.size, MAX_STRING)))
    text = content.decode(encoding, "replace").rstrip("\0").strip()
    if text:
        draft.comments.append(text)


STREAMS = (
    KnownStream(
        10,
        "CommentStreamA",
        "A comment of the writer in 8-bit letters.",
        "MINIDUMP_STREAM_TYPE",
        "comments, which `info` shows; the writer's record",
        read_comment_a,
    ),
    KnownStream(
        11,
        "CommentStreamW",
        "A comment of the writer in UTF-16: ProcDump, for example, states why it wrote the dump.",
        "MINIDUMP_STREAM_TYPE",
        "comments, which `info` shows; the writer's record",
        read_comment_w,
    ),
)
