"""Completion in bash, zsh, and fish: names instead of files."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CASES = {
    "regions x.dmp --type he": ["heap"],
    "regions x.dmp --type pr": ["private-data"],
    "owners x.dmp --type st": ["stack"],
    "regions x.dmp --kind TE": ["TEB"],
    "regions x.dmp --state r": ["reserved"],
    "regions x.dmp --group-by type,ki": ["type,kind"],
    "regions x.dmp --sort commi": ["committed"],
    "triage dumps --where verd": ["verdict"],
    "triage dumps --sort process_co": ["process_commit"],
    "triage dumps --group-by verdict,find": ["verdict,finding"],
    "explain largest-free-block-s": ["largest-free-block-small"],
    "explain out-of-comm": ["out-of-commit"],
}


def completed(shell: str, line: str) -> list[str]:
    """What dumpmap tells a shell for a line that is not finished."""
    words = f"dumpmap {line}"
    environment = {**os.environ, "_DUMPMAP_COMPLETE": f"complete_{shell}"}
    if shell == "bash":
        environment |= {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
    else:
        environment |= {"_TYPER_COMPLETE_ARGS": words, "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    done = subprocess.run(
        [sys.executable, "-m", "dumpmap"], env=environment, capture_output=True, text=True, check=True
    )
    if shell == "zsh":
        return done.stdout.split('"')[1::2]
    return done.stdout.split()


@pytest.mark.parametrize("line", CASES)
def test_names_are_offered(line: str) -> None:
    for name in CASES[line]:
        assert name in completed("bash", line)


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_get_the_same(shell: str) -> None:
    for line in ("regions x.dmp --type he", "explain largest-free-block-s", "triage dumps --where verd"):
        assert completed(shell, line) == completed("bash", line) != []


def test_a_condition_has_the_values_of_its_column() -> None:
    assert "verdict=out-of-commit" in completed("fish", "triage dumps --where verdict=out")


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_bash_itself_offers_no_files(tmp_path: Path) -> None:
    (tmp_path / "heap-of-files.dmp").touch()
    program = tmp_path / "dumpmap"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m dumpmap "$@"\n')
    program.chmod(0o755)
    script = (
        'eval "$(_DUMPMAP_COMPLETE=source_bash dumpmap)"\n'
        "COMP_WORDS=(dumpmap regions x.dmp --type he); COMP_CWORD=4\n"
        "_dumpmap_completion dumpmap\n"
        'printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PATH": path, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["heap"]
