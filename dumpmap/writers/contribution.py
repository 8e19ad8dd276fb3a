"""A contribution: a redacted snapshot with structures only, which a user can give away to improve dumpmap."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from msgspec.structs import replace as replace_members

from dumpmap.model.file_names import file_name
from dumpmap.model.snapshot import Regions, Snapshot, TextColumn
from dumpmap.writers.snapshot_file import save_snapshot

if TYPE_CHECKING:
    from dumpmap.model.memory import RecordingMemory
    from dumpmap.model.region_map import RegionMap

NAME = "contribution"
"""What the input is called in the file, whatever its own name was."""

_FOLDER = "<folder>"
_IN_FOLDER = re.compile(r"(?:[A-Z]:)?[\\/].*[\\/].|[A-Z]:[\\/]", re.IGNORECASE)
_OF_THE_SYSTEM = re.compile(
    r"""
      (?:[A-Z]:|\\\?\?\\[A-Z]:|\\Device\\HarddiskVolume[0-9]+)?[\\/]Windows[\\/]
    | \\SystemRoot\\
    | /(?:usr|lib[0-9a-z]*|dev|proc|sys|system|apex)/
    """,
    re.IGNORECASE | re.VERBOSE,
)
"""Paths whose folders belong to the system."""


def save_contribution(
    region_map: RegionMap,
    path: str | os.PathLike[str],
    *,
    recording: RecordingMemory | None = None,
    force: bool = False,
) -> None:
    """Writes the contribution.

    Args:
        region_map: the map.
        path: the file: .json, .json.gz, or .json.zst.
        recording: what the classification read; see `needed_excerpts`.
        force: overwrite the file.

    Raises:
        OutputError: the file exists and `force` is not set, or it cannot be written.
        ValueError: the suffix is not that of a snapshot.
    """
    process = replace(region_map.process, path=_short_or_none(region_map.process.path))
    bare = replace(region_map, snapshot=structures_only(region_map.snapshot), process=process)
    save_snapshot(bare, path, recording=recording, redact=True, pointers=False, force=force)


def structures_only(snapshot: Snapshot) -> Snapshot:
    """Returns a snapshot without the names that a program or a user chose, where the map does not need them.

    These are the name of the file, names of threads, folders that are not the system's, and what a search for pointers
    found. `save_snapshot` leaves out and replaces the rest.
    """
    writer = snapshot.writer
    return replace(
        snapshot,
        source=replace(snapshot.source, name=NAME, original_name=None, path=None),
        process=replace(snapshot.process, path=_short_or_none(snapshot.process.path)),
        modules=tuple(
            replace_members(module, path=_short(module.path), debug_file=None) for module in snapshot.modules
        ),
        unloaded_modules=tuple(replace(module, path=_short(module.path)) for module in snapshot.unloaded_modules),
        threads=tuple(replace_members(thread, name=None) for thread in snapshot.threads),
        regions=None if snapshot.regions is None else _short_regions(snapshot.regions),
        writer=None if writer is None else replace(writer, thread_names=()),
        pointer_owners=None,
    )


def _short_regions(regions: Regions) -> Regions:
    texts = {}
    for name, column in regions.texts.items():
        texts[name] = TextColumn(column.codes, tuple(map(_short, column.values)))
    return replace(regions, texts=texts)


def _short(path: str) -> str:
    """Returns a path without its folders, unless they are the system's."""
    if _OF_THE_SYSTEM.match(path) or not _IN_FOLDER.match(path):
        return path
    mark = "\\" if "\\" in path else "/"
    return f"{_FOLDER}{mark}{file_name(path)}"


def _short_or_none(path: str | None) -> str | None:
    return None if path is None else _short(path)
