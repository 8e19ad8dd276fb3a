"""Which texts of a crash reporter go into a snapshot that is meant to be shared.

A program can put anything into its error message and its annotations: URLs, paths, lines of scripts. Numbers, versions,
identifiers, and the fixed words of runtimes are needed for the diagnosis and say nothing about the user.
"""

from __future__ import annotations

import re
from dataclasses import replace

from dumpmap.model.snapshot import Snapshot
from dumpmap.model.writer import EXECUTABLE, HeapLimitRecord, WriterRecord

_PLAIN = re.compile(
    r"""
      [+-]?[0-9]{1,20}(?:\.[0-9]{1,20})?     # a number
    | 0[xX][0-9a-fA-F]{1,16}
    | [0-9]{1,10}(?:\.[0-9]{1,10}){1,4}      # a version
    | true | false | True | False | yes | no
    """,
    re.VERBOSE,
)
_WORDS = re.compile(r"[A-Za-z][A-Za-z0-9_,() :-]{0,119}")

_ENUMERATED = frozenset(
    (
        "ptype", "process_type", "VSCODE_CRASH_REPORTER_PROCESS_TYPE", "ProcessType", "plat", "platform", "prod",
        "_productName", "ProductName", "ver", "_version", "Version", "channel", "ReleaseChannel",
        EXECUTABLE, "electron.v8-oom.location", "v8-oom-location", "CrashType", "EngineMode", "BuildConfiguration",
    )
)  # fmt: skip
"""Annotations with words from a fixed list, which the program's authors chose."""


def is_plain(text: str) -> bool:
    """Tells whether a text is nothing but a number, a version, or a truth value."""
    return _PLAIN.fullmatch(text.strip()) is not None


def without_texts(snapshot: Snapshot) -> Snapshot:
    """Returns the snapshot without the texts of a crash reporter that can hold user data."""
    annotations = {name: text for name, text in snapshot.annotations.items() if _is_known(name, text)}
    writer = None if snapshot.writer is None else _without_texts(snapshot.writer)
    return replace(snapshot, annotations=annotations, writer=writer)


def _is_known(name: str, text: str | None) -> bool:
    if text is None or is_plain(text):
        return True
    return name in _ENUMERATED and _WORDS.fullmatch(text) is not None


def _words(text: str | None) -> str | None:
    return text if text is not None and (is_plain(text) or _WORDS.fullmatch(text)) else None


def _without_texts(writer: WriterRecord) -> WriterRecord:
    bare = replace(
        writer,
        crash_type=_words(writer.crash_type),
        message=None,
        heap_limit=None if writer.heap_limit is None else _without_detail(writer.heap_limit),
        process_type=_words(writer.process_type),
        annotations=tuple(
            annotation if _is_known(annotation.name, annotation.value) else replace(annotation, value=None)
            for annotation in writer.annotations
        ),
        soft_errors=(),
    )
    return bare if bare == writer else replace(bare, texts_omitted=True)


def _without_detail(heap: HeapLimitRecord) -> HeapLimitRecord:
    return replace(heap, location=_words(heap.location), detail=None)
