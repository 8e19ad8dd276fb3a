"""One input of every kind that the command line reads."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable
from pathlib import Path

from synth.minidump import MEM_COMMIT, MEM_PRIVATE, MinidumpBuilder

FIXTURES = Path(__file__).parents[1] / "fixtures"
MAPS = "10000-11000 r-xp 00000000 08:01 7 /bin/app\n20000-30000 rw-p 00000000 00:00 0 [heap]\n"


def arm64() -> bytes:
    dump = MinidumpBuilder("arm64").thread(7, teb=0x50000, stack=(0x60000, b"\0" * 64), context_sp=0x60010)
    return dump.region(0x60000, 0x1000, MEM_COMMIT, 4, MEM_PRIVATE).build()


def linux() -> bytes:
    return MinidumpBuilder("x64").system_info(platform_id=0x8201).linux_maps(MAPS).build()


def macos() -> bytes:
    builder = MinidumpBuilder("x64").system_info(platform_id=0x8101)
    return builder.module(0x100000000, 0x5000, "/Applications/App").build()


def truncated() -> bytes:
    whole = gzip.decompress((FIXTURES / "fragment-x86.dmp.gz").read_bytes())
    return whole[: len(whole) // 3]


INPUTS: dict[str, str | Callable[[], bytes]] = {
    "x86": "layout-x86.dmp.gz",
    "x64": "layout-x64.dmp.gz",
    "wow64": "layout-wow64.dmp.gz",
    "zst": "layout-x64-private.dmp.zst",
    "partial": "layout-x86-plain.dmp",
    "arm64": arm64,
    "linux": linux,
    "macos": macos,
    "truncated": truncated,
}
"""A recorded dump by its file name, or a function that makes one."""


def write_inputs(folder: Path) -> dict[str, Path]:
    """Writes every input into a folder; returns their paths."""
    paths = {}
    for name, source in INPUTS.items():
        paths[name] = folder / f"{name}.dmp"
        if isinstance(source, str):
            shutil.copy(FIXTURES / source, paths[name])
        else:
            paths[name].write_bytes(source())
    return paths
