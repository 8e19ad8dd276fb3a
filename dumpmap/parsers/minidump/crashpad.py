"""Crashpad's annotations: keys and values that a program and its modules set for its crash reports.

The client has a dictionary of simple annotations. Each module can have a list of texts without names, a dictionary of
its own, and annotation objects, which carry a type. Reference: crashpad/minidump/minidump_extensions.h.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from dumpmap.model.writer import Annotation
from dumpmap.parsers.minidump import layout, records
from dumpmap.parsers.minidump.draft import Draft
from dumpmap.parsers.minidump.file import NotReadError
from dumpmap.parsers.minidump.stream import StreamData
from dumpmap.parsers.minidump.texts import clean

SOURCE = "CrashpadInfo"

MOST_ANNOTATIONS = 4096
"""Most annotations of a dump that are read; Chromium sets some two hundred."""

_MOST_MODULES = 4096
_MOST_ERRORS = 256
_LONGEST_JSON = 1 << 20
_LONGEST_NAME = 256
_LONGEST_RAW = 64

_STRING_TYPE = 1
"""crashpad::Annotation::Type::kString."""

_MODULE_INFO = records.Reader(layout.CRASHPAD_MODULE_INFO)

_FOR_THE_MAP = ("OOMAllocationSize", "BreakpadReserveAddress", "BreakpadReserveSize")
"""Annotations that the diagnosis takes from `Snapshot.annotations`, whichever module set them."""


def read_annotations(data: StreamData, draft: Draft, simple: Any, modules: Any) -> None:
    """Reads the annotations of the client and of its modules.

    Args:
        data: the stream.
        draft: what gets the annotations.
        simple: where the client's dictionary is, a location descriptor.
        modules: where the list of modules with annotations is, a location descriptor.
    """
    for name, value in _dictionary(data, simple):
        draft.annotations[name] = value
        draft.noted.append(Annotation(SOURCE, clean(name, _LONGEST_NAME), clean(value)))
    try:
        for index, where in _modules(data, modules):
            if len(draft.noted) > MOST_ANNOTATIONS:
                break
            _read_module(data, draft, index, where)
    except NotReadError as error:
        data.note(f"annotations of modules: {error.reason}")
    if len(draft.noted) > MOST_ANNOTATIONS:
        data.note(f"has more than {MOST_ANNOTATIONS:,} annotations; the others are not read")
    del draft.noted[MOST_ANNOTATIONS:]
    for annotation in draft.noted:
        if annotation.name in _FOR_THE_MAP and annotation.value is not None:
            draft.annotations.setdefault(annotation.name, annotation.value)


def _counted(data: StreamData, where: Any, dtype: Any, most: int) -> list[Any]:
    """Reads a list of at most `most` records that begins with a count and lies at a location descriptor."""
    if where.DataSize < 4:
        return []
    count = int.from_bytes(data.file.data(where.Rva, 4), "little")
    rows: list[Any] = data.array(dtype, where.Rva + 4, count, most=most, limit=where.Rva + where.DataSize).tolist()
    return rows


def _dictionary(data: StreamData, where: Any) -> Iterator[tuple[str, str]]:
    for key_rva, value_rva in _counted(data, where, layout.CRASHPAD_ANNOTATION, MOST_ANNOTATIONS):
        key = data.file.utf8(key_rva)
        if key:
            yield key, data.file.utf8(value_rva) or ""


def _modules(data: StreamData, where: Any) -> Iterator[tuple[int, int]]:
    """Yields the index of each module in the module list, and where its annotations are."""
    for index, size, rva in _counted(data, where, layout.CRASHPAD_MODULE_LINK, _MOST_MODULES):
        if size >= _MODULE_INFO.size:
            yield index, rva


def _read_module(data: StreamData, draft: Draft, index: int, rva: int) -> None:
    module = _module_name(draft, index)
    try:
        draft.noted.extend(_of_module(data, rva, module))
    except NotReadError as error:
        data.note(f"annotations of {module}: {error.reason}")


def _module_name(draft: Draft, index: int) -> str:
    if index < len(draft.modules) and not draft.impossible_modules:
        name = clean(draft.modules[index].name, _LONGEST_NAME)
        if name:
            return name
    return f"module {index}"


def _of_module(data: StreamData, rva: int, module: str) -> Iterator[Annotation]:
    info = data.file.record(_MODULE_INFO, rva, limit=_MODULE_INFO.size)
    for (text_rva,) in _counted(data, info.ListAnnotations, layout.CRASHPAD_RVA, MOST_ANNOTATIONS):
        text = clean(data.file.utf8(text_rva) or "")
        if text:
            yield Annotation(SOURCE, "", text, module)
    for name, value in _dictionary(data, info.SimpleAnnotations):
        yield Annotation(SOURCE, clean(name, _LONGEST_NAME), clean(value), module)
    objects = _counted(data, info.AnnotationObjects, layout.CRASHPAD_ANNOTATION_OBJECT, MOST_ANNOTATIONS)
    for name_rva, kind, _, value_rva in objects:
        name = clean(data.file.utf8(name_rva) or "", _LONGEST_NAME)
        if name:
            yield Annotation(SOURCE, name, _object_value(data, kind, value_rva), module)


def _object_value(data: StreamData, kind: int, rva: int) -> str:
    """Reads the value of an annotation object: a text, or bytes, which are written in hexadecimal."""
    if kind == _STRING_TYPE:
        return clean(data.file.utf8(rva) or "")
    try:
        size = int.from_bytes(data.file.data(rva, 4), "little")
        return bytes(data.file.data(rva + 4, min(size, _LONGEST_RAW))).hex()
    except NotReadError:
        return ""


def soft_errors(data: StreamData) -> list[str]:
    """Reads Mozilla's soft errors: a JSON list, or an object; each entry becomes a text.

    Raises:
        NotReadError: the stream is not JSON.
    """
    if data.size > _LONGEST_JSON:
        raise NotReadError("malformed", f"has {data.size:,} bytes of JSON; dumpmap reads up to {_LONGEST_JSON:,}")
    if data.offset + data.size > data.file.size:
        raise NotReadError("unreadable", "the file ends inside the JSON text")
    try:
        value = msgspec.json.decode(data.start(_LONGEST_JSON).rstrip(b"\0 \r\n\t").removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise NotReadError("malformed", "is not JSON") from None
    if isinstance(value, dict):
        value = [{name: item} for name, item in value.items()]
    entries = value if isinstance(value, list) else [value]
    if len(entries) > _MOST_ERRORS:
        data.note(f"has {len(entries):,} entries; {_MOST_ERRORS:,} are read")
    try:
        texts = [
            item if isinstance(item, str) else msgspec.json.encode(item).decode() for item in entries[:_MOST_ERRORS]
        ]
    except RecursionError:
        raise NotReadError("malformed", "is nested too deeply") from None
    return [text for text in map(clean, texts) if text]
