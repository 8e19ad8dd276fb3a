"""Unreal Engine's crash context: an XML text with what the engine knew when it crashed.

Reference: Engine/Source/Runtime/Core/Private/Windows/WindowsPlatformCrashContext.cpp and
GenericPlatform/GenericPlatformCrashContext.cpp. The engine writes its whole buffer: behind the closing root tag comes
what the buffer held before. It never declares a document type, so a text that does is refused.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass, field
from typing import Any
from xml.sax import SAXParseException
from xml.sax.handler import ContentHandler

from defusedxml import DefusedXmlException
from defusedxml.expatreader import DefusedExpatParser

from dumpmap.model.writer import Annotation, WriterRecord
from dumpmap.parsers.minidump.texts import LONGEST_TEXT, clean, flag, number, positive, seconds

SOURCE = "UnrealCrashContext"
ROOT = "FGenericCrashContext"
MAX_SIZE = 16 << 20
"""Bytes of the stream that are read. The engine's buffer has less than 1 MB; the stacks of all threads are in it, and a
message has as many letters as the program gave it. A text is cut, and what stands behind it is read."""

_MOST_THREADS = 4096
_MOST_VALUES = 512
_DEEPEST = 16
_PIECE = 1 << 16
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")

_SECTIONS = frozenset(("RuntimeProperties", "PlatformProperties", "EngineData", "GameData"))
_MEMORY = "MemoryStats."
_FIGURES = (
    "TotalPhysical",
    "TotalVirtual",
    "PageSize",
    "AvailablePhysical",
    "AvailableVirtual",
    "UsedPhysical",
    "PeakUsedPhysical",
    "UsedVirtual",
    "PeakUsedVirtual",
)
_ENGINE = re.compile(r"\s*(\d{1,3}\.\d{1,3})")
_OUT_OF_MEMORY = re.compile(r"\b(?:ran )?out of memory\b", re.IGNORECASE)
_REQUEST = re.compile(r"allocating ([0-9]{1,20}) bytes(?: with alignment ([0-9]{1,20}))?", re.IGNORECASE)

_IN_FIELDS = frozenset(
    (
        "CrashType", "IsEnsure", "IsAssert", "ErrorMessage", "GameName", "SecondsSinceStart", "ProcessId",
        "MemoryStats.bIsOOM", "MemoryStats.OOMAllocationSize", "MemoryStats.OOMAllocationAlignment",
        *(_MEMORY + name for name in _FIGURES),
    )
)  # fmt: skip
"""Values that have fields of their own; the others become annotations."""


class UnrealContextError(Exception):
    """The text is not a crash context."""


@dataclass
class Context:
    """The parts of a crash context that are read, as texts.

    Attributes:
        values: the leaves of the four sections: name to text.
        threads: the threads: name of an element to its text.
        problem: why the text ended early; None if it was read to its end.
    """

    values: dict[str, str] = field(default_factory=dict)
    threads: list[dict[str, str]] = field(default_factory=list)
    problem: str | None = None


def decode(data: bytes) -> str:
    """Decodes the stream, which is UTF-16 in the versions seen, and UTF-8 or ASCII in others."""
    if data.startswith(codecs.BOM_UTF8):
        return data[3:].decode("utf-8", "replace")
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "replace")
    if data[1:2] == b"\0":
        return data.decode("utf-16-le", "replace")
    if data[:1] == b"\0":
        return data.decode("utf-16-be", "replace")
    return data.decode("utf-8", "replace")


def parse(data: bytes) -> Context:
    """Reads a crash context as far as it is sound.

    Raises:
        UnrealContextError: no value could be read, or the text declares a document type.
    """
    text = decode(data[:MAX_SIZE])
    start = text.find(f"<{ROOT}")
    if start < 0:
        raise UnrealContextError(f"has no element {ROOT}")
    # Behind an XML declaration, which can name an encoding other than the one that the text has.
    if "<!" in text[:start].replace("<!--", ""):
        raise UnrealContextError("declares a document type, which no crash context does")
    end = text.find(f"</{ROOT}>", start)
    closed = end >= 0
    text = text[start : end + len(ROOT) + 3] if closed else text[start:].partition("\0")[0]
    handler = _Handler()
    parser: Any = DefusedExpatParser(forbid_dtd=True, forbid_entities=True, forbid_external=True)
    parser.setContentHandler(handler)
    context = handler.context
    text = _NOT_XML.sub("", text)
    try:
        for position in range(0, len(text), _PIECE):
            parser.feed(text[position : position + _PIECE])
    except DefusedXmlException:
        raise UnrealContextError("declares entities, which no crash context does") from None
    except SAXParseException as error:
        context.problem = f"the XML is damaged: {error.getMessage()}"
    except UnrealContextError as error:
        context.problem = str(error)
    if context.problem is None and not closed:
        cut = len(data) >= MAX_SIZE
        context.problem = (
            f"has no </{ROOT}> in the first {MAX_SIZE >> 20} MB, and dumpmap reads no more"
            if cut
            else f"ends before </{ROOT}>"
        )
    if not context.values and not context.threads:
        raise UnrealContextError(context.problem or "has no values")
    return context


class _Handler(ContentHandler):
    """Collects leaves of the sections and of threads."""

    def __init__(self) -> None:
        super().__init__()
        self.context = Context()
        self._path: list[str] = []
        self._parts: list[str] = []
        self._room: int | None = None  # outside of leaves
        self._thread: dict[str, str] | None = None

    def startElement(self, name: str, attrs: Any) -> None:
        if len(self._path) >= _DEEPEST:
            raise UnrealContextError("nests its elements too deeply")
        self._path.append(name)
        self._parts, self._room = [], LONGEST_TEXT
        if name == "Thread" and self._path[-2:-1] == ["Threads"]:
            self._thread = {}

    def characters(self, content: str) -> None:
        if self._room is None:
            return
        if self._room > 0:
            self._parts.append(content[: self._room])
        self._room -= len(content)

    def endElement(self, name: str) -> None:
        text = clean("".join(self._parts))
        if self._room is not None and self._room < 0:
            more = f"... ({LONGEST_TEXT - self._room:,} letters)"
            text = text[: LONGEST_TEXT - len(more)] + more
        self._parts, self._room = [], None  # a parent is no leaf
        self._path.pop()
        threads = self.context.threads
        if self._thread is not None:
            if name == "Thread":
                if len(threads) < _MOST_THREADS:
                    threads.append(self._thread)
                self._thread = None
            elif name in ("IsCrashed", "ThreadID", "ThreadName"):
                self._thread.setdefault(name, text)
        elif text and len(self._path) == 2 and self._path[1] in _SECTIONS:
            values = self.context.values
            if len(values) < _MOST_VALUES:
                values.setdefault(name[:256], text)


def make_record(context: Context) -> WriterRecord:
    """Makes the record of a crash context."""
    values = context.values
    memory, filled = _memory(values)
    message = values.get("ErrorMessage")
    said_size, said_alignment = request_in(message or "")
    crash_type = _crash_type(values)
    names, crashed = _threads(context)
    engine = _ENGINE.match(values.get("EngineVersion", ""))
    return WriterRecord(
        writer=f"Unreal Engine {engine[1]}" if engine else "Unreal Engine",
        source=SOURCE,
        crash_type=crash_type,
        message=message,
        out_of_memory=_out_of_memory(values, crash_type, message, filled),
        requested=positive(values.get("MemoryStats.OOMAllocationSize")) or said_size,
        alignment=positive(values.get("MemoryStats.OOMAllocationAlignment")) or said_alignment,
        memory=memory,
        crashed_thread=crashed,
        thread_names=names,
        product=values.get("GameName"),
        version=values.get("BuildVersion") or values.get("EngineVersion"),
        uptime=seconds(values.get("SecondsSinceStart")),
        annotations=tuple(Annotation(SOURCE, name, text) for name, text in values.items() if name not in _IN_FIELDS),
    )


def says_out_of_memory(message: str) -> bool:
    """Tells whether a message of the engine states that memory ran out."""
    return _OUT_OF_MEMORY.search(message) is not None


def request_in(message: str) -> tuple[int | None, int | None]:
    """Returns the size and the alignment of the allocation that a message names; None for what it does not name."""
    request = _REQUEST.search(message)
    return (None, None) if request is None else (positive(request[1]), positive(request[2]))


def process_id(context: Context) -> int | None:
    """Returns the process ID, if it is one."""
    value = positive(context.values.get("ProcessId"))
    return value if value is not None and value < 1 << 32 else None


def _memory(values: dict[str, str]) -> tuple[dict[str, int], bool]:
    """Returns the figures that are filled in, and whether the writer filled in more than the totals.

    4.22 wrote the totals and 0 for the rest. No running process has any of these figures at 0, so 0 is not known.
    """
    figures = {name: positive(values.get(_MEMORY + name)) for name in _FIGURES}
    known = {name: value for name, value in figures.items() if value is not None}
    return known, any(name not in ("TotalPhysical", "TotalVirtual", "PageSize") for name in known)


def _crash_type(values: dict[str, str]) -> str | None:
    stated = values.get("CrashType")
    if stated:
        return stated[:64]
    if flag(values.get("IsEnsure")):
        return "Ensure"
    return "Assert" if flag(values.get("IsAssert")) else None


def _out_of_memory(values: dict[str, str], crash_type: str | None, message: str | None, filled: bool) -> bool | None:
    if crash_type == "OutOfMemory" or says_out_of_memory(message or ""):
        return True
    if positive(values.get("MemoryStats.OOMAllocationSize")):
        return True  # the engine sets the size together with the flag, and nowhere else
    stated = flag(values.get("MemoryStats.bIsOOM"))
    # A 0 between figures that are not filled in is not filled in either.
    return None if stated is False and not filled else stated


def _threads(context: Context) -> tuple[tuple[tuple[int, str], ...], int | None]:
    """Returns the names of the threads, and the one that crashed; None unless it is exactly one."""
    names: dict[int, str] = {}
    crashed: set[int] = set()
    for thread in context.threads:
        identity = number(thread.get("ThreadID"))
        if not identity or identity >= 1 << 32:
            continue
        name = thread.get("ThreadName", "")
        if name:
            names.setdefault(identity, name[:256])
        if flag(thread.get("IsCrashed")):
            crashed.add(identity)
    return tuple(names.items()), crashed.pop() if len(crashed) == 1 else None
