"""Whether a 32-bit process ran on 64-bit Windows, from the least that proves it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.scenes import MB, Scene

from dumpmap.api import map_snapshot
from dumpmap.classify.process_facts import describe_process
from dumpmap.model.process import ProcessStructures, Teb
from dumpmap.model.snapshot import Module, Snapshot, System, Thread


def snapshot(bits: int = 32, **facts: object) -> Snapshot:
    """A process of which it is unknown whether it ran under WoW64."""
    return Scene(bits).leave(64 * MB).snapshot(wow64=None, **facts)  # type: ignore[arg-type]


def wow64(one: Snapshot, **structures: object) -> bool | None:
    """What is found out."""
    return describe_process(one, replace(ProcessStructures(), **structures)).wow64  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("bits", "highest", "known"),
    [
        (32, 0x7FFEFFFF, None),
        (32, 0xBFFEFFFF, None),  # /3GB
        (32, 0xBFFFFFFF, None),
        (32, 0xC0000000, True),
        (32, 0xFFFEFFFF, True),
        (32, None, None),
        (64, 0x7FFFFFFEFFFF, None),
    ],
)
def test_addresses_above_3_gb_exist_only_on_64_bit_windows(bits: int, highest: int | None, known: bool | None) -> None:
    assert wow64(snapshot(bits, system=System(max_address=highest))) is known


def teb(pointer_size: int, other: int | None = None) -> Teb:
    """A block of thread 7."""
    return Teb(0x20000, pointer_size, 7, 100, None, None, None, 0x30000, 0, None, None, None, None, other)


def test_blocks_of_both_widths_are_wow64() -> None:
    assert wow64(snapshot(64), tebs=(teb(8), teb(4))) is True
    assert wow64(snapshot(64), tebs=(teb(8), teb(8))) is False
    assert wow64(snapshot(64)) is None
    assert wow64(snapshot(32), tebs=(teb(4),)) is None
    assert wow64(snapshot(32), tebs=(teb(4), teb(4, other=0x22000))) is True
    # The block of a 64-bit thread has the field, too: there it is no proof.
    assert wow64(snapshot(32), tebs=(teb(8, other=0x22000),)) is None


def test_a_process_of_another_system_is_left_alone() -> None:
    one = snapshot(32, system=System(max_address=0xFFFEFFFF), family="linux")
    assert wow64(one) is None


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("wow64.dll", True),
        ("WOW64CPU.DLL", True),
        ("wow64win.dll", True),
        ("wow64base.dll", True),
        ("wow64con.dll", True),
        ("mywow64.dll", None),
        ("wow64.dll.bak", None),
        ("wow6432.dll", None),
    ],
)
def test_modules_of_wow64(name: str, known: bool | None) -> None:
    assert wow64(snapshot(modules=[Module(0x10000, 0x10000, f"C:\\Windows\\System32\\{name}")])) is known


@pytest.mark.parametrize(
    ("bits", "stated", "kind", "shown"),
    [
        (32, "unknown", "vmmap", "x86"),
        (64, "unknown", "vmmap", "x64"),
        (64, "arm64", "vmmap", "arm64"),
        (64, "unknown", "minidump", "unknown"),
    ],
)
def test_only_a_file_of_addresses_leaves_the_architecture_to_their_width(
    bits: int, stated: str, kind: str, shown: str
) -> None:
    one = snapshot(bits, kind=kind)
    one = replace(one, process=replace(one.process, architecture=stated))
    assert describe_process(one, ProcessStructures()).architecture == shown


@pytest.mark.parametrize("refused", [True, False])
def test_what_a_reduced_snapshot_says_of_a_teb_is_kept(refused: bool) -> None:
    threads = [Thread(5, teb=0x100000, teb_refused=refused), Thread(6, teb_refused=refused)]
    assert map_snapshot(snapshot(64, threads=threads)).structures.refused_tebs == ({0x100000} if refused else set())
