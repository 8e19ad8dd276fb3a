"""`modules` and `stacks`: third-party modules, and threads without a stack."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.cli import run
from synth.minidump import MinidumpBuilder

from dumpmap.model.snapshot import Module
from dumpmap.views.modules import is_third_party


@pytest.mark.parametrize(
    ("path", "third_party"),
    [
        ("C:\\Windows\\System32\\ntdll.dll", False),
        ("c:/windows/SysWOW64/user32.dll", False),
        ("\\??\\C:\\WINNT\\system32\\a.dll", False),
        ("\\\\?\\D:\\Windows\\WinSxS\\x\\comctl32.dll", False),
        ("\\Device\\HarddiskVolume3\\Windows\\System32\\a.dll", False),
        ("\\SystemRoot\\System32\\a.dll", False),
        ("C:\\Windows\\System32\\DriverStore\\FileRepository\\nv.inf_amd64\\nvwgf2umx.dll", True),
        ("C:\\Program Files\\Overlay\\hook64.dll", True),
        ("C:\\Users\\me\\windows\\evil.dll", True),
        ("D:\\game\\Windows\\game.exe", True),
        ("ntdll.dll", True),
        ("", True),
    ],
)
def test_third_party_is_told_by_path(path: str, third_party: bool) -> None:
    assert is_third_party(Module(0x1000, 0x1000, path)) is third_party


def test_only_third_party_modules(tmp_path: Path) -> None:
    dump = MinidumpBuilder("x64").system_info()
    dump.module(0x400000, 0x1000, "C:\\app\\app.exe", version=(1, 2, 3, 4))
    dump.module(0x500000, 0x1000, "C:\\Windows\\System32\\ntdll.dll", version=(10, 0, 1, 2))
    path = tmp_path / "modules.dmp"
    path.write_bytes(dump.build())
    out = run("-q", "modules", str(path), "--third-party", COLUMNS="80").out
    assert "app.exe" in out
    assert "1.2.3.4" in out
    assert "ntdll.dll" not in out
    assert "ntdll.dll" in run("-q", "modules", str(path)).out
    document = json.loads(run("-q", "modules", str(path), "--third-party", "-f", "json").out)
    assert [module["name"] for module in document["modules"]] == ["app.exe"]


def test_a_thread_without_stack_or_context_is_listed(tmp_path: Path) -> None:
    dump = MinidumpBuilder("x64").system_info().module(0x400000, 0x1000, "a.exe")
    dump.thread(7, stack=(0x10000, b"\1" * 64)).thread(8, context=b"", teb=0x7000).thread_name(8, "lonely")
    path = tmp_path / "threads.dmp"
    path.write_bytes(dump.build())
    first, second = json.loads(run("-q", "stacks", str(path), "-f", "json").out)["stacks"]
    assert first["thread_id"] == 7
    assert first["base"] is None  # the start of the reservation is not known
    assert (second["thread_id"], second["name"], second["teb"]) == (8, "lonely", "0x7000")
    blanks = ("base", "end", "reserve", "committed", "guard", "stack_pointer", "headroom", "evidence", "inferred")
    assert all(second[name] is None for name in blanks)
    assert "lonely" in run("-q", "stacks", str(path), COLUMNS="80").out
