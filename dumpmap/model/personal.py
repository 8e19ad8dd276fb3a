r"""Personal data in a snapshot: where it is, and a copy without it.

User names are in paths (`C:\Users\NAME`, `/home/NAME`), machine names in paths on a network (`\\MACHINE\share`). A
comment, an annotation, a command line, and the texts of a crash reporter can hold anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

import msgspec

from dumpmap.model.snapshot import Regions, Snapshot, TextColumn
from dumpmap.model.values import value_class
from dumpmap.model.writer import WriterRecord

USER, MACHINE = "<user>", "<machine>"
"""What stands for a name that was left out."""

_HOME = re.compile(
    r"(?:^|[\\/])(?:users|documents and settings|home)[\\/]+([^\\/:*?\"<>|\x00-\x1f]{1,64})", re.IGNORECASE
)
_SHARE = re.compile(
    r"(?:(?:^|[\s\"=])\\\\|\\UNC\\|\\Device\\(?:Mup|LanmanRedirector)\\)([A-Z0-9][A-Z0-9._-]{0,62})\\[^\\]",
    re.IGNORECASE,
)

_NOBODY = frozenset(("public", "default", "default user", "all users", "defaultuser0", "appdata", USER))
"""Folders beside those of users."""

_SHORTEST = 3
"""A shorter name is replaced in paths only: elsewhere it can be a part of any word."""


@value_class(frozen=True, slots=True)
class Names:
    """The names that the paths of a snapshot contain, in the order of their length, the longest first."""

    users: tuple[str, ...]
    machines: tuple[str, ...]

    def without(self, text: str) -> str:
        """Returns a text with each name replaced."""
        for names, shown in ((self.users, USER), (self.machines, MACHINE)):
            for name in names:
                text = re.sub(_pattern(name), shown, text, flags=re.IGNORECASE)
        return text


def _pattern(name: str) -> str:
    word = re.escape(name)
    if len(name) < _SHORTEST:
        return rf"(?<=[\\/]){word}(?=[\\/]|$)"
    return rf"(?<![A-Za-z0-9]){word}(?![A-Za-z0-9])"


def _texts(snapshot: Snapshot) -> Iterable[str | None]:
    """Yields every text that can hold a path."""
    process = snapshot.process
    yield from (process.path, process.command_line, snapshot.source.path)
    for module in snapshot.modules:
        yield from (module.path, module.debug_file)
    yield from (module.path for module in snapshot.unloaded_modules)
    if snapshot.regions is not None:
        for column in snapshot.regions.texts.values():
            yield from column.values


def names_in(snapshot: Snapshot, further: Iterable[str | None] = ()) -> Names:
    """Finds the names of users and machines in the paths of a snapshot, and in further texts."""
    users: dict[str, None] = {}
    machines: dict[str, None] = {}
    for text in (*_texts(snapshot), *further):
        if not text:
            continue
        users.update((name, None) for name in _HOME.findall(text) if name.lower() not in _NOBODY)
        machines.update((name, None) for name in _SHARE.findall(text))
    return Names(tuple(sorted(users, key=len, reverse=True)), tuple(sorted(machines, key=len, reverse=True)))


def redacted(snapshot: Snapshot, names: Names | None = None) -> Snapshot:
    """Returns a snapshot without names of users and machines, comments, and where the file was.

    Args:
        snapshot: what to redact.
        names: the names to replace. Default: those in its paths.
    """
    names = names or names_in(snapshot)

    def clean(text: str | None) -> str | None:
        return names.without(text) if text else text

    process, source = snapshot.process, snapshot.source
    return replace(
        snapshot,
        source=replace(source, path=None, name=names.without(source.name), original_name=clean(source.original_name)),
        process=replace(
            process, name=clean(process.name), path=clean(process.path), command_line=clean(process.command_line)
        ),
        modules=tuple(
            msgspec.structs.replace(module, path=names.without(module.path), debug_file=clean(module.debug_file))
            for module in snapshot.modules
        ),
        unloaded_modules=tuple(
            replace(module, path=names.without(module.path)) for module in snapshot.unloaded_modules
        ),
        threads=tuple(
            msgspec.structs.replace(thread, name=clean(thread.name)) if thread.name else thread
            for thread in snapshot.threads
        ),
        heaps=tuple(replace(heap, name=clean(heap.name)) for heap in snapshot.heaps),
        regions=None if snapshot.regions is None else _redacted_regions(snapshot.regions, names),
        comments=(),
        writer=None if snapshot.writer is None else _redacted_writer(snapshot.writer, names),
        pointer_owners=None
        if snapshot.pointer_owners is None
        else replace(
            snapshot.pointer_owners,
            owners=tuple(
                replace(owner, module=names.without(owner.module), place=names.without(owner.place))
                for owner in snapshot.pointer_owners.owners
            ),
        ),
        warnings=tuple(map(names.without, snapshot.warnings)),
    )


def _redacted_writer(writer: WriterRecord, names: Names) -> WriterRecord:
    return replace(
        writer,
        product=None if writer.product is None else names.without(writer.product),
        thread_names=tuple((thread, names.without(name)) for thread, name in writer.thread_names),
        annotations=tuple(
            replace(
                one,
                value=None if one.value is None else names.without(one.value),
                module=None if one.module is None else names.without(one.module),
            )
            for one in writer.annotations
        ),
    )


def _redacted_regions(regions: Regions, names: Names) -> Regions:
    texts: Mapping[str, TextColumn] = {
        name: TextColumn(column.codes, tuple(map(names.without, column.values)))
        for name, column in regions.texts.items()
    }
    return replace(regions, texts=texts)
