"""The option `--owners`, and the search for pointers with its progress."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dumpmap.cli.common import VERBOSITY

if TYPE_CHECKING:
    from dumpmap.analysis.pointer_scan import Progress
    from dumpmap.api import RegionMap

_PATIENCE = 1.0
"""Seconds before progress is shown."""


class OwnersFrom(StrEnum):
    """How owners are found."""

    structure = "structure"
    full = "full"


OwnersOption = Annotated[
    OwnersFrom,
    typer.Option(
        "--owners",
        help="How to find owners. `structure` uses the data of runtimes, heaps, and Windows; `full` also searches "
        "memory for pointers to allocations without an owner.",
    ),
]


ShownOwnersOption = Annotated[
    OwnersFrom | None,
    typer.Option(
        "--owners",
        help="Show the owner of each row, as --owner does. `structure` reads what runtimes, heaps, and Windows state; "
        "`full` also searches memory for pointers to allocations without an owner.",
        show_default=False,
    ),
]


def search_pointers(
    region_map: RegionMap, owners: OwnersFrom | None = OwnersFrom.full, image_path: Path | None = None
) -> RegionMap:
    """Searches for pointers if that is asked for, with progress on a terminal. See `with_pointers`."""
    if owners is not OwnersFrom.full:
        return region_map
    from dumpmap.analysis.pointers import with_pointers
    from dumpmap.classify.image_files import FilledMemory

    snapshot = region_map.snapshot
    names = None if image_path is None else FilledMemory(snapshot.memory, snapshot.modules, image_path)
    with _progress() as progress:
        return with_pointers(region_map, progress, names)


@contextlib.contextmanager
def _progress() -> Iterator[Progress | None]:
    """Shows progress on standard error if that is a terminal and the search takes long."""
    if VERBOSITY.level < 0 or sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    from dumpmap.render.progress import ByteProgress

    began = time.monotonic()
    with ByteProgress("searching for pointers") as bar:

        def update(done: int, total: int) -> None:
            if time.monotonic() - began > _PATIENCE:
                bar.update(done, total)

        yield update
