"""Every platform that Breakpad has a number for is named as what it is, wherever a person or a program reads it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.cli_inputs import MAPS
from synth.minidump import MinidumpBuilder
from typer.testing import CliRunner

from dumpmap.cli.app import whole_app

# Breakpad's MD_OS_*; the spelling is the maker's.
PLATFORMS = {
    0x8000: ("unix", "Unix"),
    0x8101: ("macos", "macOS"),
    0x8102: ("ios", "iOS"),
    0x8201: ("linux", "Linux"),
    0x8202: ("solaris", "Solaris"),
    0x8203: ("android", "Android"),
    0x8204: ("ps3", "PlayStation 3"),
    0x8205: ("nacl", "Native Client"),
    0x8206: ("fuchsia", "Fuchsia"),
}
EXCEPTIONS = {"ios": (1, "EXC_BAD_ACCESS"), "macos": (1, "EXC_BAD_ACCESS"), "android": (11, "SIGSEGV")}


def run(*arguments: str) -> str:
    ran = CliRunner().invoke(whole_app(), list(arguments))
    assert ran.exit_code == 0, ran.output
    return ran.stdout


def dump_of(platform: int, folder: Path, code: int) -> str:
    builder = MinidumpBuilder("arm64").system_info(platform_id=platform, major=17, minor=4, build=21)
    builder = builder.module(0x100000000, 0x5000, "/app/App").exception(7, code, 0x40)
    path = folder / f"{platform:x}.dmp"
    path.write_bytes(builder.build())
    return str(path)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_platform_is_named_as_what_it_is(platform: int, tmp_path: Path) -> None:
    family, name = PLATFORMS[platform]
    code, exception = EXCEPTIONS.get(family, (11, None))
    path = dump_of(platform, tmp_path, code)
    others = {other for _, other in PLATFORMS.values()} - {name}
    for command in ("info", "summary"):
        text = run(command, path)
        assert f"{name} 17.4.21" in text
        assert not any(f"{other} 17" in text for other in others)
    assert json.loads(run("info", path, "--format", "json"))["process"]["os"]["family"] == family
    (row,) = json.loads(run("triage", path, "--format", "json"))["rows"]
    assert row["os"] == f"{family} 17.4.21"
    if exception:
        assert row["exception"] == exception
        assert exception in run("info", path)
        assert "accessing 0x40" in row["exception_line"]


def test_android_is_mapped_like_linux(tmp_path: Path) -> None:
    documents = []
    for platform in (0x8201, 0x8203):
        path = tmp_path / f"{platform:x}.dmp"
        path.write_bytes(MinidumpBuilder("x64").system_info(platform_id=platform).linux_maps(MAPS).build())
        documents.append(json.loads(run("regions", str(path), "--format", "json")))
    linux, android = documents
    assert linux["regions"] == android["regions"]
    assert [row["type"] for row in android["regions"]] == [row["type"] for row in linux["regions"]]
    assert any("linux-maps" in row["evidence"] for row in android["regions"])


def test_ios_reads_an_abort_like_macos(tmp_path: Path) -> None:
    path = tmp_path / "abort.dmp"
    builder = MinidumpBuilder("arm64").system_info(platform_id=0x8102).module(0x100000000, 0x5000, "/app/App")
    path.write_bytes(builder.exception(7, 0, 0x40, (10,)).build())
    assert "Mach exception 10 (EXC_CRASH): abnormal process exit" in run("info", str(path))
