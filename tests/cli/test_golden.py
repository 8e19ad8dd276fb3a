"""What the commands print at 80 columns, reviewed in the diff; `--refresh-golden` writes it anew."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.cli import run

FIXTURES = "tests/fixtures"
GOLDEN = Path(__file__).parent / "golden"
ROOT = Path(__file__).parents[2]

CASES = {
    "summary-fragment.txt": ["summary", f"{FIXTURES}/fragment-x86.dmp.gz"],
    "summary-fragment.json": ["summary", f"{FIXTURES}/fragment-x86.dmp.gz", "--format", "json"],
    "summary-partial.txt": ["summary", f"{FIXTURES}/layout-x86-plain.dmp"],
    "summary-leak.csv": ["summary", f"{FIXTURES}/leak-x64-after.dmp.gz", "--format", "csv"],
    "summary-leak.md": ["summary", f"{FIXTURES}/leak-x64-after.dmp.gz", "--format", "markdown"],
    "diagnose-exhaust.txt": ["diagnose", f"{FIXTURES}/exhaust-x86.dmp.gz"],
    "stacks-wow64.txt": ["stacks", f"{FIXTURES}/layout-wow64.dmp.gz"],
    "heaps-layout.csv": ["heaps", f"{FIXTURES}/layout-x64.dmp.gz", "--format", "csv"],
    "address-layout.txt": ["address", f"{FIXTURES}/layout-x64.dmp.gz", "ntdll.dll+0x1234", "7ffe0000"],
    "regions-leak.csv": ["regions", f"{FIXTURES}/leak-x64-after.dmp.gz", "--format", "csv"],
    "info-plain.txt": ["info", f"{FIXTURES}/layout-x86-plain.dmp"],
    "diff-leak.txt": ["diff", f"{FIXTURES}/leak-x64-before.dmp.gz", f"{FIXTURES}/leak-x64-after.dmp.gz"],
    "free-fragment.txt": ["free", f"{FIXTURES}/fragment-x86.dmp.gz"],
}


@pytest.mark.parametrize("name", CASES)
def test_output_is_as_reviewed(name: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    monkeypatch.chdir(ROOT)
    ran = run("-q", *CASES[name], apart=True, COLUMNS="80")
    assert ran.code == 0, ran.err
    path = GOLDEN / name
    if request.config.getoption("--refresh-golden"):
        path.write_text(ran.out, encoding="utf-8")
    assert ran.out == path.read_text(encoding="utf-8")
