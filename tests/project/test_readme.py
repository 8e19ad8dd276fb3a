"""The README's Python runs as printed, its extras are the package's, and no document has a heading twice."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "tests" / "fixtures"
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_there_is_python_in_it() -> None:
    assert BLOCKS  # without blocks, pytest would skip the test below in silence


@pytest.mark.parametrize("block", range(len(BLOCKS)))
def test_its_python_runs(block: int, tmp_path: Path) -> None:
    for name in ("crash.dmp", "before.dmp", "after.dmp"):
        shutil.copy(FIXTURES / "layout-x64.dmp.gz", tmp_path / name)
    (tmp_path / "dumps").mkdir()
    shutil.copy(FIXTURES / "fragment-x86.dmp.gz", tmp_path / "dumps")
    (tmp_path / "script.py").write_text(BLOCKS[block], encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "script.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "DUMPMAP_CACHE": str(tmp_path / "cache"), "PYTHONPATH": str(ROOT)},
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_its_extras_are_the_packages() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    (table,) = re.findall(r"\| extra \| for \|\n\|---\|---\|\n((?:\|.*\n)+)", README)
    named = [name for line in table.splitlines() for name in re.findall(r"`(\w+)`", line.split("|")[1])]
    assert set(named) == set(extras) - {"all", "dev", "bench", "fuzz", "mutation", "site"}
    assert set(named) == set(re.findall(r"\w+", extras["all"][0].removeprefix("dumpmap")))


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("*.md")) + sorted((ROOT / "docs").rglob("*.md")), ids=lambda path: path.name
)
def test_no_document_has_a_heading_twice(path: Path) -> None:
    prose = re.sub(r"^```.*?^```", "", path.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^## +(.+?) *$", prose, re.MULTILINE)
    assert len(headings) == len(set(headings)), headings
