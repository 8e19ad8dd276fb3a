"""What the system refuses is said in the same words everywhere: as the rest of a sentence, without Python's number."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.triage import small_dump

from dumpmap.capture.build import write
from dumpmap.cli.app import run
from dumpmap.errors import OutputError

MISSING = "no such file or directory"


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    path = tmp_path / "one.dmp"
    path.write_bytes(small_dump())
    return path


def said(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str]:
    code = run([str(argument) for argument in arguments])
    return code, capsys.readouterr().err.removeprefix("dumpmap: ").rstrip("\n")


def test_inputs_rules_and_folders_that_are_missing(
    dump: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    none = tmp_path / "none"
    assert said(capsys, "summary", none) == (3, f"{none}: {MISSING}")
    code, text = said(capsys, "check", dump, "--rules", none)
    assert code != 0
    assert text == f"{none}: {MISSING}"
    with pytest.raises(OutputError, match=f"cannot write the file: {MISSING}$"):
        write(none / "capture.pyz")


def test_a_summary_of_a_ci_step_that_cannot_be_written(
    dump: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = tmp_path / "rules.toml"
    assert said(capsys, "-q", "check", dump, "--init", rules)[0] == 0
    summary = tmp_path / "none" / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    code, text = said(capsys, "-q", "check", dump, "--rules", rules, "--github")
    assert (code, text.splitlines()[-1]) == (4, f"{summary}: {MISSING}")


def test_a_cache_whose_folder_is_a_file(dump: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cache = dump / "cache.sqlite"
    code, text = said(capsys, "triage", tmp_path, "--engine", "serial", "--cache", cache)
    assert (code, text) == (4, f"{cache}: cannot use this file as the result cache: file exists")
