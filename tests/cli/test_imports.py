"""What each command loads: start-up costs more than the work on a small dump, and most of it is imports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dumpmap.cli.app import COMMANDS

DUMP = str(Path(__file__).parents[1] / "fixtures" / "layout-x86-plain.dmp")

PACKAGES = frozenset(
    (
        "asyncio",
        "construct",
        "defusedxml",
        "distributed",
        "fsspec",
        "jinja2",
        "markdown_it",
        "matplotlib",
        "minidump",
        "msgspec",
        "numpy",
        "pandas",
        "pebble",
        "psutil",
        "pyarrow",
        "pydantic",
        "rich",
        "sqlite3",
        "textual",
        "typer",
        "zstandard",
    )
)
"""Packages that take milliseconds to import."""

MAP = {"construct", "msgspec", "numpy", "typer"}
"""What reading a minidump takes."""


def loaded(*arguments: str) -> tuple[set[str], set[str]]:
    """Runs a command; returns the packages of `PACKAGES` that it loaded, and the commands."""
    code = (
        "import sys\n"
        "from dumpmap.cli.app import run\n"
        f"assert run({list(arguments)!r}) == 0\n"
        "print('@', *sys.modules, file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
    )
    names = set(done.stderr.rpartition("@")[2].split())
    return names & PACKAGES, {name for name in COMMANDS if f"dumpmap.cli.{name}" in names}


@pytest.mark.parametrize(
    ("arguments", "packages"),
    [
        (["--help"], {"typer"}),
        (["--version"], {"typer"}),
        (["summary", DUMP], MAP | {"rich"}),
        (["summary", DUMP, "--format", "json"], MAP),
        (["-q", "diagnose", DUMP, "--format", "json"], MAP),
        (["heaps", DUMP, "--format", "json"], MAP),
        (["info", DUMP, "--format", "json"], MAP),
        (["browse", DUMP, "--plain"], MAP),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_command_loads_what_it_shows(arguments: list[str], packages: set[str]) -> None:
    found, commands = loaded(*arguments)
    assert found == packages
    named = {argument for argument in arguments if argument in COMMANDS}
    assert commands == (named or set(COMMANDS))


def test_a_batch_in_this_process_loads_no_pool(tmp_path: Path) -> None:
    found, commands = loaded("triage", DUMP, "--engine", "serial", "--cache", str(tmp_path / "c"), "--format", "json")
    assert not found & {"distributed", "fsspec", "markdown_it", "minidump", "pandas", "pebble", "pyarrow"}
    assert commands == {"triage"}
