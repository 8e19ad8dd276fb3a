"""The recorded fixtures beside what their programs printed of themselves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import dumpmap
from dumpmap.api import RegionMap

FOLDER = Path(__file__).parents[1] / "fixtures"

_VARIANTS = ("-plain", "-private")
"""Endings of dumps that one process wrote of itself besides: without a memory list, with all private memory."""


def stem(dump: Path) -> str:
    """A dump's name without its suffixes."""
    return dump.name.split(".", 1)[0]


def truth_path(dump: Path) -> Path:
    """The ground truth of a dump."""
    name = stem(dump)
    for variant in _VARIANTS:
        name = name.removesuffix(variant)
    return dump.with_name(f"{name}.truth.json")


DUMPS = {stem(path): path for path in sorted(FOLDER.glob("*.dmp*"))}
"""Every recorded dump by name."""

PLAIN = [name for name in DUMPS if name.endswith("-plain")]
"""Dumps without a list of regions."""

COMPLETE = [name for name in DUMPS if name not in PLAIN]
"""Dumps with one."""


@cache
def truth(name: str) -> dict[str, Any]:
    """What the program printed."""
    loaded: dict[str, Any] = json.loads(truth_path(DUMPS[name]).read_text(encoding="utf-8"))
    return loaded


@cache
def region_map(name: str) -> RegionMap:
    """The map of a recorded dump; nothing changes it, so all tests share one."""
    return dumpmap.open(DUMPS[name])


def opened(name: str) -> tuple[RegionMap, dict[str, Any]]:
    """The map of a recorded runtime, and what the runtime said of itself."""
    folder = FOLDER / "runtimes"
    said = json.loads((folder / f"{name}.truth.json").read_text(encoding="utf-8"))
    return dumpmap.open(folder / f"{name}.dmp.gz"), said


def number(text: str | int) -> int:
    """An address as the truth writes it."""
    return text if isinstance(text, int) else int(text, 16)


def allocations(name: str) -> Iterator[dict[str, Any]]:
    """Every allocation that the program declared one by one."""
    yield from truth(name)["allocations"]


def stacks(name: str) -> Iterator[dict[str, Any]]:
    """Every stack: of a WoW64 thread the 32-bit one, then the 64-bit one."""
    for thread in truth(name)["threads"]:
        wow64 = thread.get("stack64")
        yield {**thread, "bits": 8 * truth(name)["process"]["pointer_size"]}
        if wow64:
            yield {**wow64, "tid": thread["tid"], "name": thread["name"], "bits": 64}
