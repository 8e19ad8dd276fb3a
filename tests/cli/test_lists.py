"""`modules` and `stacks`: third-party modules, and threads without a stack."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.cli import run
from synth.minidump import MinidumpBuilder

from dumpmap.analysis.module_origin import module_origin


@pytest.mark.parametrize(
    ("path", "vendor"),
    [
        ("C:\\Windows\\System32\\ntdll.dll", "Microsoft"),
        ("c:/windows/SysWOW64/user32.dll", "Microsoft"),
        ("\\??\\C:\\WINNT\\system32\\a.dll", "Microsoft"),
        ("\\\\?\\D:\\Windows\\WinSxS\\x\\comctl32.dll", "Microsoft"),
        ("\\Device\\HarddiskVolume3\\Windows\\System32\\a.dll", "Microsoft"),
        ("\\SystemRoot\\System32\\a.dll", "Microsoft"),
        ("C:\\Windows\\System32\\DriverStore\\FileRepository\\nv.inf_amd64\\nvwgf2umx.dll", "third party"),
        ("C:\\Program Files (x86)\\EMET 5.2\\EMET_CE.dll", "Microsoft"),
        ("C:\\Program Files\\Microsoft Office\\root\\Office16\\mso.dll", "Microsoft"),
        ("C:\\Program Files\\Common Files\\Microsoft Shared\\ink\\tiptsf.dll", "Microsoft"),
        ("C:\\Program Files\\dotnet\\shared\\Microsoft.NETCore.App\\8.0.0\\coreclr.dll", "Microsoft"),
        ("C:\\Users\\me\\AppData\\Local\\Microsoft\\OneDrive\\FileSyncShell64.dll", "Microsoft"),
        ("C:\\Program Files\\Overlay\\Microsoft\\hook64.dll", "third party"),
        ("C:\\Program Files\\Microsofty\\hook64.dll", "third party"),
        ("C:\\Program Files\\Overlay\\hook64.dll", "third party"),
        ("C:\\Users\\me\\windows\\evil.dll", "third party"),
        ("D:\\game\\Windows\\game.exe", "third party"),
        ("ntdll.dll", None),
        ("", None),
    ],
)
def test_the_vendor_is_told_by_path(path: str, vendor: str | None) -> None:
    assert module_origin(path, None) == (vendor, None if vendor is None else "path")


def test_the_company_outranks_the_path() -> None:
    assert module_origin("D:\\tools\\EMET.dll", "Microsoft Corporation") == ("Microsoft", "company")
    assert module_origin("C:\\Windows\\System32\\hook.dll", "Overlay Ltd.") == ("third party", "company")
    assert module_origin("EMET.dll", "Microsoft Corporation") == ("Microsoft", "company")


def test_a_module_without_company_and_folder_is_not_guessed(tmp_path: Path) -> None:
    dump = MinidumpBuilder("x64").system_info().module(0x400000, 0x1000, "C:\\app\\app.exe")
    dump.module(0x500000, 0x1000, "EMET.dll")
    path = tmp_path / "modules.dmp"
    path.write_bytes(dump.build())
    out = run("-q", "modules", str(path), "--third-party", COLUMNS="200").out
    assert "does not hold the company of the version resource: 1 of 1 module." in out
    assert "Not listed, because the input holds neither company nor folder: 1 module (EMET.dll)." in out
    document = json.loads(run("-q", "modules", str(path), "-f", "json").out)
    assert document["unknown_vendor"] == ["EMET.dll"]
    assert [(module["vendor"], module["vendor_source"]) for module in document["modules"]] == [
        ("third party", "path"),
        (None, None),
    ]


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


def test_modules_of_another_system_have_no_vendor(tmp_path: Path) -> None:
    path = tmp_path / "linux.dmp"
    path.write_bytes(MinidumpBuilder("x64").system_info(platform_id=0x8201).module(0x400000, 0x1000, "/bin/a").build())
    document = json.loads(run("-q", "modules", str(path), "-f", "json").out)
    assert document["unknown_vendor"] == []
    assert document["modules"][0]["vendor"] is None


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
