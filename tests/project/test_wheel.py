"""The wheel: built, inspected, installed into an empty environment, and used there."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from support.recorded import DUMPS, region_map

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def pip(python: Path | str, *arguments: str) -> None:
    """Runs pip; skips the test if no package registry can be reached."""
    done = subprocess.run(
        [str(python), "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode and ("Could not find a version" in done.stderr or "Connection" in done.stderr):
        pytest.skip("cannot reach a package registry")
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip(sys.executable, "wheel", "--no-deps", "--wheel-dir", str(folder), str(ROOT))
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def program(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the programs in an environment that has only the wheel and its requirements."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    programs = folder / ("Scripts" if sys.platform == "win32" else "bin")
    pip(programs / "python", "install", str(wheel))
    return programs


def test_it_is_pure_python_for_any_system(wheel: Path) -> None:
    assert wheel.name.endswith("-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (record,) = [name for name in names if name.endswith("/WHEEL")]
        assert "Root-Is-Purelib: true" in archive.read(record).decode()
    assert not [name for name in names if name.endswith((".so", ".pyd", ".dll", ".dylib"))]


def test_it_holds_every_file_of_the_package(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    source = ROOT / "dumpmap"
    for path in source.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            assert f"dumpmap/{path.relative_to(source).as_posix()}" in names
    assert not [name for name in names if name.startswith(("tests/", "docs/"))]


def test_summary_in_an_empty_environment(program: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [program / "dumpmap", "summary", DUMPS["layout-x64"], "--format", "json"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    document = json.loads(done.stdout)
    assert done.stderr == ""
    assert document["total"]["size"] == region_map("layout-x64").total.size
    assert document["types"][0]["type"] == "Image"


def test_the_report_finds_its_templates(program: Path, tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    subprocess.run([program / "dumpmap", "report", DUMPS["fragment-x86"], "-o", target], check=True, cwd=tmp_path)
    assert "<html" in target.read_text(encoding="utf-8")
