"""Names of users and machines in paths: found, and replaced wherever they are."""

from __future__ import annotations

import dataclasses

import pytest

from dumpmap.model import snapshot as model
from dumpmap.model.personal import names_in, redacted


def snapshot(*paths: str, name: str | None = None, command_line: str | None = None) -> model.Snapshot:
    modules = tuple(model.Module(0x10000 * n, 0x1000, path) for n, path in enumerate(paths, 1))
    return model.Snapshot(
        model.Source("minidump", "x.dmp", path="/home/eve/x.dmp"),
        model.Process(name=name, command_line=command_line),
        modules=modules,
    )


@pytest.mark.parametrize(
    ("path", "users", "machines"),
    [
        ("C:\\Users\\alice\\app.exe", ("alice",), ()),
        ("c:\\users\\Alice Smith\\app.exe", ("Alice Smith",), ()),
        ("C:/Documents and Settings/bob/app.exe", ("bob",), ()),
        ("/home/carol/bin/app", ("carol",), ()),
        ("C:\\Users\\Public\\app.exe", (), ()),
        ("\\\\BUILD01\\share\\app.exe", (), ("BUILD01",)),
        ("\\??\\UNC\\BUILD02\\share\\app.exe", (), ("BUILD02",)),
        ("\\Device\\Mup\\build03.example.org\\share\\app.exe", (), ("build03.example.org",)),
        ("\\Device\\HarddiskVolume3\\Windows\\System32\\ntdll.dll", (), ()),
        ("\\\\?\\C:\\Windows\\x.dll", (), ()),
        ("C:\\Windows\\System32\\ntdll.dll", (), ()),
    ],
)
def test_names_are_found_in_paths(path: str, users: tuple[str, ...], machines: tuple[str, ...]) -> None:
    names = names_in(snapshot(path))
    assert tuple(name for name in names.users if name != "eve") == users
    assert names.machines == machines


def test_names_are_replaced_wherever_they_are() -> None:
    before = snapshot(
        "C:\\Users\\alice\\app.exe",
        "\\\\BUILD01\\x\\a.dll",
        name="alice.exe",
        command_line="app --user=ALICE --host build01 --malice",
    )
    after = redacted(before)
    assert [module.path for module in after.modules] == ["C:\\Users\\<user>\\app.exe", "\\\\<machine>\\x\\a.dll"]
    assert after.process.name == "<user>.exe"
    assert after.process.command_line == "app --user=<user> --host <machine> --malice"
    assert after.source.path is None
    assert redacted(after) == after


def test_a_short_name_is_replaced_in_paths_only() -> None:
    after = redacted(snapshot("C:\\Users\\al\\app.exe", command_line="al gore C:\\Users\\al\\x"))
    assert after.process.command_line == "al gore C:\\Users\\<user>\\x"


def test_what_people_wrote_is_left_out() -> None:
    before = dataclasses.replace(snapshot(), comments=("call me at 555",), warnings=("C:\\Users\\alice is odd",))
    after = redacted(before, names_in(snapshot("C:\\Users\\alice\\x")))
    assert after.comments == ()
    assert after.warnings == ("C:\\Users\\<user> is odd",)
