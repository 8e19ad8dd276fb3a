"""Completion in bash, zsh, and fish: names instead of files."""

from __future__ import annotations

import os
import re
import select
import shutil
import subprocess
import sys
import time
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


def test_before_the_first_letter_explain_offers_what_fits_on_a_screen() -> None:
    names = completed("fish", "explain ")
    assert {"largest-free-block-small", "out-of-commit", "Private-Data", "V8"} <= set(names)
    assert len(names) < 150
    assert "TEB" in completed("fish", "explain TE")


LINES = {
    "regions x.dmp --type he": ["heap"],
    "explain largest-free-block-s": ["largest-free-block-small"],
    "triage . --where ver": ["verdict", "version"],
    "regions x.dmp --kind TE": ["TEB"],
    "regions x.dmp --sort committ": ["committed"],
}
"""What shells with files of tempting names offer for a line."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with `dumpmap` and with files whose names begin like words to complete."""
    for name in ("heap-of-files.dmp", "largest-free-block-s.dmp", "version.dmp", "TEB.dmp", "committed.dmp"):
        (tmp_path / name).touch()
    program = tmp_path / "dumpmap"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m dumpmap "$@"\n')
    program.chmod(0o755)
    return tmp_path


def environment(folder: Path) -> dict[str, str]:
    """The variables of a shell that finds `dumpmap` in the folder, and no settings of its user."""
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    kept = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    return {**kept, "PATH": path, "PYTHONPATH": os.pathsep.join(sys.path), "HOME": str(folder), "TERM": "vt100"}


def shell(folder: Path, *command: str) -> list[str]:
    """What a shell prints, line by line."""
    done = subprocess.run(
        command, cwd=folder, env=environment(folder), capture_output=True, text=True, check=True, timeout=120
    )
    return done.stdout.split("\n")[:-1]


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
@pytest.mark.parametrize("line", LINES)
def test_bash_itself_offers_no_files(folder: Path, line: str) -> None:
    words = ["dumpmap", *line.split()]
    script = (
        'eval "$(_DUMPMAP_COMPLETE=source_bash dumpmap)"\n'
        f"COMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}\n"
        "_dumpmap_completion dumpmap\n"
        'printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    assert sorted(shell(folder, "bash", "--norc", "-c", script)) == LINES[line]


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
@pytest.mark.parametrize("line", LINES)
def test_fish_itself_offers_no_files(folder: Path, line: str) -> None:
    script = f"env _DUMPMAP_COMPLETE=source_fish dumpmap | source; complete -C 'dumpmap {line}'"
    assert shell(folder, "fish", "--no-config", "-c", script) == LINES[line]


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
@pytest.mark.parametrize("line", LINES)
def test_zsh_itself_offers_no_files(folder: Path, line: str) -> None:
    """zsh completes in its line editor only, so the test types Tab on a terminal and keeps the line that results."""
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        ["zsh", "-f", "-i"], cwd=folder, env=environment(folder), stdin=theirs, stdout=theirs, stderr=theirs,
        start_new_session=True,
    ) as process:  # fmt: skip
        os.close(theirs)
        screen = Screen(ours)
        screen.type("autoload -Uz compinit; compinit -u -D; unsetopt beep; setopt glob_complete\n")
        screen.type('eval "$(_DUMPMAP_COMPLETE=source_zsh dumpmap)"\n')
        screen.type("keep() { print -r -- $BUFFER > kept; zle kill-whole-line }; zle -N keep; bindkey ^X keep\n")
        screen.type("print rea''dy\n")
        assert screen.wait("ready\r")
        screen.type(f"dumpmap {line}\t\x18")
        screen.type("print do''ne\n")
        assert screen.wait("done\r")
        process.kill()
    os.close(ours)
    typed = (folder / "kept").read_text().split()
    words = ["dumpmap", *line.split()]
    wanted = LINES[line]
    assert typed == [*words[:-1], wanted[0] if len(wanted) == 1 else words[-1]]
    offered = set(re.findall(r"[\w.-]+", screen.after()))
    assert {name for name in offered if name.endswith(".dmp")} == {word for word in words if word.endswith(".dmp")}
    if len(wanted) > 1:
        assert set(wanted) <= offered


class Screen:
    """What a terminal has shown."""

    def __init__(self, terminal: int) -> None:
        self._terminal = terminal
        self._shown = ""

    def type(self, keys: str) -> None:
        os.write(self._terminal, keys.encode())

    def wait(self, text: str, seconds: float = 120) -> bool:
        """Reads until a text is there."""
        end = time.monotonic() + seconds
        while text not in self._shown and time.monotonic() < end:
            if select.select([self._terminal], [], [], 0.1)[0]:
                self._shown += os.read(self._terminal, 65536).decode(errors="replace")
        return text in self._shown

    def after(self) -> str:
        """What was shown since the shell was ready, without escape sequences."""
        plain = re.sub(r"\x1b\[[\d;?]*[A-Za-z]|\x00", " ", self._shown)
        return plain[plain.rindex("ready\r") :]
