"""Windows programs under Wine: what is set up, runs of the driver, and a live capture beside a dump.

`tests/fixtures/record/wine.sh setup` and `build` prepare it; `setup32` as well for 32-bit processes.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import dumpmap
from dumpmap.api import RegionMap

TESTS = Path(__file__).parents[1]
RECORD = TESTS / "fixtures" / "record"
WINE_HOME = Path(os.environ.get("DUMPMAP_WINE_HOME", Path.home() / ".cache" / "dumpmap-wine"))
WINE_ROOT = Path(os.environ.get("DUMPMAP_WINE32", Path.home() / ".cache" / "dumpmap-wine32"))
DRIVER = TESTS / "capture" / "wine_driver.py"

# What Wine 8 does not do for another process than the caller's own.
NO_WORKING_SET = "warning: cannot read the working set: Invalid parameter (error 87)"


@dataclass(frozen=True)
class Recorded:
    """The results of one run of the driver."""

    result: Mapping[str, Any]
    output: Path

    def truth(self, scene: str) -> Any:
        text = (self.output / f"{scene}.truth.json").read_text(encoding="utf-8")
        return json.JSONDecoder().raw_decode(text)[0]


def wine(command: str, *arguments: str, home: Path = WINE_HOME) -> None:
    """Runs wine.sh. If that takes too long, everything that it started is ended, or the next run would wait for it."""
    process = subprocess.Popen(
        ["bash", str(RECORD / "wine.sh"), command, *arguments],
        stdin=subprocess.DEVNULL,
        env={**os.environ, "DUMPMAP_WINE_HOME": str(home)},
        start_new_session=True,
    )
    try:
        code = process.wait(timeout=600)
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    assert code == 0, f"wine.sh {command} ended with {code}"


def windows_path(path: Path) -> str:
    return "Z:" + str(path).replace("/", "\\")


def require_wine(*programs: str) -> None:
    if not (WINE_HOME / "python" / ".complete").exists():
        pytest.skip("Wine is not set up: tests/fixtures/record/wine.sh setup")
    for program in programs:
        if not (WINE_HOME / "build" / program).exists():
            pytest.skip("the Windows programs are not built: tests/fixtures/record/wine.sh build")


def record(folder: Path, commands: Mapping[str, Sequence[str]], pyz: Path | None = None) -> Recorded:
    """Has the driver capture a 64-bit process on 64-bit Windows by every command.

    Args:
        folder: for the files.
        commands: the start of a command line by the label of its captures.
        pyz: the one-file capture; with it, the driver carries out the rest of its plan by the first command too.
    """
    require_wine("layout64.exe", "dumper64.exe", "layoutdll64.dll")
    plan = {
        "commands": commands,
        "programs": windows_path(WINE_HOME / "build"),
        "output": windows_path(folder),
        "scenes": ["layout64"],
        "more": pyz is not None,
        "pyz": windows_path(pyz) if pyz else "",
    }
    (folder / "plan.json").write_text(json.dumps(plan))
    wine("run", windows_path(DRIVER), windows_path(folder / "plan.json"), windows_path(folder / "result.json"))
    return Recorded(json.loads((folder / "result.json").read_text()), folder)


@contextmanager
def record_wow64(home: Path, commands: Mapping[str, Sequence[str]], *files: Path) -> Iterator[Recorded]:
    """Has the driver capture a 32-bit and a 64-bit process on 64-bit Windows by every command.

    Args:
        home: an empty folder, which is removed at the end. The commands see its folder `build` as C:\\dumpmap.
        commands: the start of a command line by the label of its captures.
        files: files and folders that the commands need in C:\\dumpmap.
    """
    require_wine("layout32.exe", "dumper32.exe", "layoutdll32.dll", "layout64.exe", "dumper64.exe", "layoutdll64.dll")
    if not (WINE_ROOT / ".complete").exists():
        pytest.skip("Wine for 32-bit programs is not set up: tests/fixtures/record/wine.sh setup32")
    if os.getuid() != 0:
        pytest.skip("32-bit programs run in a Debian root of their own, which needs root")
    folder = home / "build"
    shutil.copytree(WINE_HOME / "build", folder, ignore=shutil.ignore_patterns("*.dmp", "*.json"))
    for path in (WINE_HOME / "python", DRIVER, *files):
        (shutil.copytree if path.is_dir() else shutil.copy)(path, folder / path.name)
    plan = {
        "commands": commands,
        "programs": "C:\\dumpmap",
        "output": "C:\\dumpmap",
        "scenes": ["layout32", "layout64"],
        "more": False,
    }
    (folder / "plan.json").write_text(json.dumps(plan))
    subprocess.run(["chmod", "-R", "a+rwX", str(folder)], check=True)
    try:
        wine("execwow", "python\\python.exe", DRIVER.name, "plan.json", "result.json", home=home)
        yield Recorded(json.loads((folder / "result.json").read_text()), folder)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def says(outcome: Mapping[str, Any]) -> list[str]:
    """The lines of an outcome, without what is always said under Wine."""
    return [line for line in outcome["err"].splitlines() if not line.endswith(NO_WORKING_SET)]


def rows(region_map: RegionMap, *, files: bool) -> list[tuple[int, str, int, int]]:
    """Allocations as address, type, size and committed bytes; without the knowledge of files if so asked."""
    return [
        (
            int(row["address"]),
            "Shareable" if row["type"] == "Mapped File" and not files else str(row["type"]),
            int(row["size"]),
            -1 if row["committed"] is None else int(row["committed"]),
        )
        for row in region_map.allocations.to_dict("records")
    ]


def compare(recorded: Recorded, scene: str, label: str) -> None:
    live = dumpmap.open(recorded.output / f"{scene}.{label}.json")
    dumped = dumpmap.open(recorded.output / f"{scene}.dmp")
    truth = recorded.truth(scene)
    # The dump has a heap stream besides, in which the program names the arenas of an allocator of its own.
    arenas = {int(part["base"], 16) for heap in truth["heaps"] if heap["kind"] == "custom" for part in heap["ranges"]}
    assert arenas
    expected = [
        (address, "Private Data" if address in arenas else kind, size, committed)
        for address, kind, size, committed in rows(dumped, files=False)
    ]
    assert rows(live, files=False) == expected
    assert live.end == dumped.end
    assert live.largest_free_block == dumped.largest_free_block

    blocks = ["allocation", "address", "size", "committed", "private", "protection"]
    assert live.regions[blocks].equals(dumped.regions[blocks])
    assert [(m.base, m.size, m.timestamp, m.checksum, m.name.lower()) for m in live.snapshot.modules] == [
        (m.base, m.size, m.timestamp, m.checksum, m.name.lower()) for m in dumped.snapshot.modules
    ]
    # Of a WoW64 thread's two stacks that of the listed TEB comes first, and the two list different ones.
    stacks, expected_stacks = (
        sorted((s.base, s.end, s.thread_id, s.name or "", s.committed or 0, s.guard or 0) for s in one.stacks)
        for one in (live, dumped)
    )
    assert stacks == expected_stacks
    heaps = {heap.info.address: heap.info.kind for heap in live.heaps}
    assert heaps == {heap.info.address: heap.info.kind for heap in dumped.heaps if heap.info.address not in arenas}
