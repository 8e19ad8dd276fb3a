"""dumpmap.pyz: one file that runs on a Python without packages, with workers and all data files."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
from support.recorded import DUMPS, region_map

from release import pyz

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("shiv") is None, reason="shiv is not installed: `make pyz` installs it for itself"
    ),
]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pyz") / "dumpmap.pyz"
    try:
        pyz.build(path)
    except SystemExit as failed:
        if any(word in str(failed) for word in ("Could not find a version", "Connection", "timed out")):
            pytest.skip("cannot reach a package registry")
        raise
    return path


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that has neither packages nor pip."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, with_pip=False)
    return folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def started(python: Path, program: Path, folder: Path, *arguments: str) -> str:
    """Runs the file in an empty folder, without settings of this user."""
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "TEMP") if name in os.environ}
    done = subprocess.run(
        [python, "-I", program, *arguments],
        env={**kept, "SHIV_ROOT": str(program.parent / "unpacked"), "HOME": str(folder)},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_holds_no_tests_of_its_packages(program: Path) -> None:
    with zipfile.ZipFile(program) as archive:
        names = archive.namelist()
    assert not [
        name for name in names if "/tests/" in name and name.startswith(("site-packages/pandas", "site-packages/numpy"))
    ]
    assert "site-packages/dumpmap/py.typed" in names
    assert program.stat().st_size < 60 << 20


def test_it_makes_the_map_on_a_bare_python(program: Path, bare: Path, tmp_path: Path) -> None:
    assert started(bare, program, tmp_path, "--version").startswith("dumpmap ")
    shown = json.loads(started(bare, program, tmp_path, "summary", str(DUMPS["layout-x64"]), "--format", "json"))
    assert shown["total"]["size"] == region_map("layout-x64").total.size
    started(bare, program, tmp_path, "report", str(DUMPS["fragment-x86"]), "-o", "report.html")
    assert "<html" in (tmp_path / "report.html").read_text("utf-8")
    assert "Textual" in started(bare, program, tmp_path, "browse", "--help")


def test_its_workers_start(program: Path, bare: Path, tmp_path: Path) -> None:
    rows = json.loads(
        started(
            bare,
            program,
            tmp_path,
            "triage",
            *(str(DUMPS[name]) for name in ("fragment-x86", "layout-x64")),
            "--no-cache",
            "--format",
            "json",
        )
    )["rows"]
    assert [(row["status"], row["verdict"]) for row in rows] == [
        ("ok", "out-of-address-space"),
        ("ok", "no-memory-problem-seen"),
    ]
