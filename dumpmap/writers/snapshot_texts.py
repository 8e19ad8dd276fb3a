"""Which texts go into a snapshot or a report that is meant to be shared.

A program can put anything into its error message, its annotations, their names, and the name of its product: URLs,
paths, lines of scripts. What passes here is a number, a word of a closed list, or a short name or version that matches
a pattern without room for a URL, a path, an address of mail, or a token. Every other text is left out and counted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from dumpmap.model.snapshot import Snapshot
from dumpmap.model.writer import THREAD_NAME, Annotation, HeapLimitRecord, WriterRecord
from dumpmap.writers.known_annotations import CRASH_TYPES, KNOWN_ANNOTATIONS, V8_PLACES, WORDS, Content

_PLAIN = re.compile(
    r"""
      [+-]?[0-9]{1,20}(?:\.[0-9]{1,20})?     # a number
    | 0[xX][0-9a-fA-F]{1,16}
    | [0-9]{1,10}(?:\.[0-9]{1,10}){1,4}      # a version
    | true | false | True | False | yes | no
    """,
    re.VERBOSE,
)
_VERSION = re.compile(
    r"""
      v?[0-9]{1,10}(?:\.[0-9]{1,10}){0,4}(?:[-+. ]?(?:a|b|alpha|beta|rc|dev|nightly|esr|pre)[-.]?[0-9]{0,4})?
    | [0-9]{1,2}\.[0-9]{1,3}\.[0-9]{1,3}-[0-9]{1,10}\+\+\+UE[45]\+Release-[0-9]{1,2}\.[0-9]{1,3}
    | \+\+UE[45]\+Release-[0-9]{1,2}\.[0-9]{1,3}-CL-[0-9]{1,10}
    """,
    re.VERBOSE,
)
_NAME_WORD = r"(?:[A-Za-z]{1,24}[0-9]{0,4}|[0-9]{1,4})"
_PRODUCT = re.compile(rf"(?=[A-Za-z].{{0,39}}\Z){_NAME_WORD}(?:[ _-]{_NAME_WORD}){{0,3}}")
"""One to four words. Not a dot, so that no host name fits, and no run of digits that a telephone number needs."""

_WRITER = re.compile(r"Unreal Engine(?: [0-9]{1,3}\.[0-9]{1,3})?|Crashpad|Mozilla minidump-writer")
_SOURCE = re.compile(
    r"UnrealCrashContext|MozSoftErrors|Exception|CrashpadInfo(?:, (?:electron\.v8-oom\.\*|v8-oom-location))?"
)
_LIST_MODULE = re.compile(r"module [0-9]{1,10}")
_FIGURE = re.compile(r"(?:Total|Available|Used|PeakUsed)(?:Physical|Virtual)|PageSize")
_COMMENT = re.compile(r"snapshot [0-9]{1,10} of [0-9]{1,10}")
_HANDLE_TYPE = re.compile(r"(?:[A-Za-z0-9]{1,32}(?: [A-Za-z]{1,16})?)?")
_SERVICE_PACK = re.compile(
    r"(?:(?:Service Pack|SP|Release Candidate|RC|Beta) ?[0-9]{1,2}|[0-9]{1,5})(?:, (?:v\.[0-9]{1,5}|RC ?[0-9]))?"
)
"""What Windows and its editions for devices write there: words of versions, or a number of a build."""
_UNNAMED = "(left out)"
"""Stands for a text that the format requires."""


def is_plain(text: str) -> bool:
    """Tells whether a text is nothing but a number, a version, or a truth value."""
    return _PLAIN.fullmatch(text.strip()) is not None


def without_texts(snapshot: Snapshot) -> Snapshot:
    """Returns the snapshot without texts that can hold user data; `omitted_texts` counts them.

    These are comments, and texts of a crash reporter that are no number, word, name, or version which is known or
    looks harmless. The diagnosis stays the same.
    """
    keep = _Sieve()
    system = snapshot.process.os
    if system.family == "windows":
        system = replace(system, service_pack=keep.if_matches(_SERVICE_PACK, system.service_pack))
    annotated = snapshot.writer.annotations if snapshot.writer is not None else ()
    bare = replace(
        snapshot,
        process=replace(snapshot.process, os=system),
        handle_types=keep.keys(snapshot.handle_types, _matcher(_HANDLE_TYPE)),
        comments=keep.all(snapshot.comments, _matcher(_COMMENT)),
        writer=None if snapshot.writer is None else _writer(snapshot, snapshot.writer, keep),
    )
    # Crashpad's own dictionary is in the record, too: what is left out of it is counted once.
    once = {(one.name, one.value) for one in annotated}
    listed = {}
    for name, text in snapshot.annotations.items():
        if name in KNOWN_ANNOTATIONS and _shared(name, text) == text:
            listed[name] = text
        elif (name.strip(), text.strip()) not in once:
            keep.omitted += 1
    return replace(bare, annotations=listed, omitted_texts=snapshot.omitted_texts + keep.omitted)


class _Sieve:
    """Lets texts through, and counts those that it holds back."""

    def __init__(self) -> None:
        self.omitted = 0

    def one(self, text: str | None, shared: str | None) -> str | None:
        """Returns what of a text is shared, and counts it if that is not all."""
        self.omitted += bool(text) and shared != text
        return shared if text else text

    def if_matches(self, pattern: re.Pattern[str], text: str | None) -> str | None:
        """Returns a text that matches as a whole."""
        return self.one(text, text if text and pattern.fullmatch(text) else None)

    def required(self, pattern: re.Pattern[str], text: str) -> str:
        """Returns a text that matches as a whole, or what stands for another one."""
        return text if text == _UNNAMED else self.if_matches(pattern, text) or _UNNAMED

    def all(self, texts: Iterable[str], harmless: Callable[[str], bool]) -> tuple[str, ...]:
        """Returns the texts that are harmless."""
        return tuple(text for text in texts if self.one(text, text if harmless(text) else None) is not None)

    def keys(self, counts: Mapping[str, int], harmless: Callable[[str], bool]) -> dict[str, int]:
        """Returns a table of counts without the names that are not harmless."""
        return {name: counts[name] for name in self.all(counts, harmless)}


def _matcher(pattern: re.Pattern[str]) -> Callable[[str], bool]:
    return lambda text: pattern.fullmatch(text) is not None


def _writer(snapshot: Snapshot, writer: WriterRecord, keep: _Sieve) -> WriterRecord:
    modules = {module.name for module in snapshot.modules}
    before = keep.omitted
    bare = replace(
        writer,
        writer=keep.required(_WRITER, writer.writer),
        source=keep.if_matches(_SOURCE, writer.source),
        crash_type=keep.one(writer.crash_type, writer.crash_type if writer.crash_type in CRASH_TYPES else None),
        message=keep.one(writer.message, None),
        memory=keep.keys(writer.memory, lambda name: name in KNOWN_ANNOTATIONS or _FIGURE.fullmatch(name) is not None),
        heap_limit=None if writer.heap_limit is None else _heap_limit(writer.heap_limit, keep),
        thread_names=tuple(pair for pair in writer.thread_names if keep.if_matches(THREAD_NAME, pair[1])),
        product=keep.if_matches(_PRODUCT, writer.product),
        version=keep.one(writer.version, _version(writer.version or "")),
        process_type=keep.one(writer.process_type, _word(writer.process_type or "")),
        annotations=tuple(kept for one in writer.annotations if (kept := _annotation(one, modules, keep)) is not None),
        soft_errors=keep.all(writer.soft_errors, lambda _: False),
    )
    return replace(bare, texts_omitted=True) if keep.omitted > before else bare


def _annotation(annotation: Annotation, modules: set[str], keep: _Sieve) -> Annotation | None:
    """Returns the annotation without its value if that cannot be shared; None if its name cannot be, either."""
    name, module = annotation.name, annotation.module
    if name not in KNOWN_ANNOTATIONS:
        keep.omitted += 1
        return None
    known = module is None or module in modules or _LIST_MODULE.fullmatch(module) is not None
    return replace(
        annotation,
        source=keep.required(_SOURCE, annotation.source),
        value=keep.one(annotation.value, _shared(name, annotation.value or "")),
        module=module if known else keep.one(module, _UNNAMED),
    )


def _shared(name: str, text: str) -> str | None:
    """Returns what of the value of a known annotation can be shared."""
    content = KNOWN_ANNOTATIONS[name]
    if content is Content.text:
        return None
    if content is Content.place:
        return _place(text)
    if is_plain(text) or (content is Content.product and _PRODUCT.fullmatch(text)):
        return text
    if content is Content.version:
        return _version(text)
    return _word(text) if content is Content.word else None


def _version(text: str) -> str | None:
    return text if is_plain(text) or _VERSION.fullmatch(text) else None


def _word(text: str) -> str | None:
    return text if is_plain(text) or text in WORDS or text in CRASH_TYPES else None


def _place(text: str) -> str | None:
    """Returns the place where V8 gave up, without what else is in a text."""
    if is_plain(text):
        return text
    return next((place for place in V8_PLACES if place.lower() in text.lower()), None)


def _heap_limit(heap: HeapLimitRecord, keep: _Sieve) -> HeapLimitRecord:
    return replace(
        heap,
        runtime="V8" if heap.runtime == "V8" else keep.one(heap.runtime, _UNNAMED) or _UNNAMED,
        source=keep.required(_SOURCE, heap.source),
        location=keep.one(heap.location, _place(heap.location or "")),
        detail=keep.one(heap.detail, None),
    )
