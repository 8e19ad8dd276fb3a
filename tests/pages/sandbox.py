"""A folder in which the commands of the pages run: the fixtures, and a file for each name that the pages use.

Commands run in this process where they are plain, and in a shell where they have pipes or patterns. What a test cannot
do as written (wait for a process to end, a screen, a program of the reader) is replaced as `SUBSTITUTES` lists.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .blocks import ROOT
from .running import run_here, variables

FIXTURES = ROOT / "tests" / "fixtures"
WIDTH = 96
"""Columns of every output that a page shows."""

_NAMED = {
    "crash.dmp": "fragment-x86.dmp.gz",
    "crash.dmp.zst": "layout-x64-private.dmp.zst",
    "app.dmp": "layout-x64.dmp.gz",
    "full.dmp": "layout-x64-private.dmp.zst",
    "before.dmp": "leak-x64-before.dmp.gz",
    "new.dmp": "leak-x64-before.dmp.gz",
    "after.dmp": "leak-x64-after.dmp.gz",
    "monday.dmp": "leak-x64-before.dmp.gz",
    "friday.dmp": "leak-x64-after.dmp.gz",
    "dumps/one.dmp": "fragment-x86.dmp.gz",
    "dumps/two.dmp": "starve-x64.dmp.gz",
    "incoming/one.dmp": "starve-x86.dmp.gz",
    "crashes/2026/one.dmp.zst": "layout-x64-private.dmp.zst",
}
_SNAPSHOTS = {
    "crash.json": "fragment-x86.dmp.gz",
    "crash.json.zst": "fragment-x86.dmp.gz",
    "capture.json": "layout-x64.dmp.gz",
    "main.json.zst": "leak-x64-before.dmp.gz",
    "new.json.zst": "leak-x64-before.dmp.gz",
    "monday.json.zst": "leak-x64-before.dmp.gz",
    "friday.json.zst": "leak-x64-after.dmp.gz",
    "app-0001.json": "leak-x64-before.dmp.gz",
    "app-0002.json": "leak-x64-after.dmp.gz",
}
_TEXTS = {"memory.toml": '[limits]\nlargest_free_block = ">= 1MB"\n', "bin/note.txt": "no image here\n"}

SUBSTITUTES: tuple[tuple[str, str, str], ...] = (
    (r"\b(4242|app\.exe|PID)\b", "{pid}", "a process of the test's own"),
    (r"--interval \d+(?: --count \d+)?", "--interval 0.1 --count 2", "two captures without the wait between them"),
    (r"dumpmap browse ((?!.*--plain)[^|]*)", r"echo q | dumpmap browse \1 --plain", "the lines instead of the screen"),
    (r"(dumpmap triage .*)--watch", r"timeout -s INT --preserve-status 6 \1--watch", "a watch that ends"),
    (r"(dumpmap mcp [^<|]+)", r"\1 < /dev/null", "a client that leaves at once"),
    (r"(?:py )?dumpmap-capture\.(?:pyz|exe)(?! SHA)", "dumpmap capture", "the command that the files hold"),
)
"""Patterns, what replaces them, and why: what no test can run as written."""

if shutil.which("jq") is None:
    SUBSTITUTES += ((r" \| jq .*", "", "the whole document"),)

TOOLS = frozenset({"dumpmap", "cat", "cut", "echo", "head", "grep", "jq", "ls", "sed", "sort", "timeout", "tail"})
"""The programs that commands may start here. Others install, build, or belong to another system: `is_run` says no."""

_SHELL = re.compile(r"[|><*&;$`(){}~]|\b\w+=")


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    command: str
    code: int
    out: str
    err: str


def is_run(command: str) -> bool:
    """Whether the tests run a command as a whole: it only starts programs that read."""
    for pattern, replacement, _ in SUBSTITUTES:
        command = re.sub(pattern, replacement, command)
    quoted = re.sub(r"'[^']*'|\"[^\"]*\"", "text", command)
    quoted = quoted.partition("<<")[0].replace("2>&1", "")
    stages = re.split(r"[|;&]+", re.sub(r"(^|\s)#\s.*", "", quoted))
    return all(stage.split()[0] in TOOLS for stage in stages if stage.strip())


class Sandbox:
    """A folder with everything that commands of pages name.

    Args:
        folder: an empty folder.
        columns: the width of outputs.
        color: whether outputs have color.
    """

    def __init__(self, folder: Path, columns: int = WIDTH, *, color: bool = False) -> None:
        self.folder = folder
        self._variables = {
            "COLUMNS": str(columns),
            "FORCE_COLOR" if color else "NO_COLOR": "1",
            "DUMPMAP_CACHE": str(folder / ".cache"),
            "PATH": f"{folder / '.bin'}{os.pathsep}{os.environ['PATH']}",
        }
        (folder / "tests").mkdir()
        ignored = shutil.ignore_patterns("record", "*.truth.json")
        shutil.copytree(FIXTURES, folder / "tests" / "fixtures", ignore=ignored)
        for name, fixture in _NAMED.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(FIXTURES / fixture, folder / name)
        for name, text in _TEXTS.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
        shim = folder / ".bin" / "dumpmap"
        shim.parent.mkdir()
        shim.write_text(
            f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(ROOT))} exec {shlex.quote(sys.executable)} -m dumpmap "$@"\n'
        )
        shim.chmod(0o755)

    def run(self, command: str, *, apart: bool = False) -> Ran:
        """Runs one command of a page as a reader would in this folder.

        Args:
            command: the command.
            apart: run it in a process of its own, also where it is plain.

        Raises:
            ValueError: the command starts a program that is not one of `TOOLS`.
        """
        if not is_run(command):
            raise ValueError(f"not run here: {command}")
        self._snapshots(command)
        for name in re.findall(r"(?:-o|--init) ([\w.-]+\.(?:html|toml))\b", command):
            (self.folder / name).unlink(missing_ok=True)  # another page wrote it
        command, comment = re.sub(r"(?:^|\s)#\s.*", "", command).strip(), command
        with self._process(command) as command, self._environment():
            if not command:
                return Ran(comment, 0, "", "")
            typed, plain = _typed(command)
            words = shlex.split(plain)
            if words[0] == "dumpmap" and not apart and not _SHELL.search(re.sub(r"'[^']*'", "", plain)):
                return _in_process(command, words[1:], typed)
            done = subprocess.run(
                ["bash", "-o", "pipefail", "-c", command],
                cwd=self.folder,
                capture_output=True,
                text=True,
                check=False,
                timeout=120,
            )
            return Ran(command, done.returncode, done.stdout, done.stderr)

    def _snapshots(self, command: str) -> None:
        """Makes the snapshots that a command reads, if no command before it wrote them."""
        words = re.findall(r"[\w.-]+", command.replace("app-*", "app-0001.json app-0002"))
        written = re.findall(r"-o (\S+)", command)
        for name, fixture in _SNAPSHOTS.items():
            wanted = any(word == name or f"{word}.json" == name for word in words) and name not in written
            if wanted and not (self.folder / name).exists():
                with self._environment():
                    _in_process("", ["snapshot", str(FIXTURES / fixture), "-o", name])

    @contextmanager
    def _process(self, command: str) -> Iterator[str]:
        """Puts the substitutes into a command, with a live process if it captures one."""
        for pattern, replacement, _ in SUBSTITUTES:
            command = re.sub(pattern, replacement, command)
        if "{pid}" not in command:
            yield command
            return
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        try:
            yield command.replace("{pid}", str(child.pid))
        finally:
            child.kill()
            child.wait()

    @contextmanager
    def _environment(self) -> Iterator[None]:
        """Makes the folder the current one, with outputs of one width."""
        before = Path.cwd()
        kept = {name: value for name, value in os.environ.items() if name not in ("FORCE_COLOR", "NO_COLOR")}
        with variables(kept | self._variables):
            os.chdir(self.folder)
            try:
                yield
            finally:
                os.chdir(before)


def _typed(command: str) -> tuple[bytes, str]:
    """What a command gets to read from `echo WORD |` before it, and the command without that."""
    found = re.match(r"echo (\w+) \| ", command)
    return (b"", command) if found is None else (f"{found[1]}\n".encode(), command[found.end() :])


def _in_process(command: str, arguments: list[str], typed: bytes = b"") -> Ran:
    code, out, err = run_here(arguments, typed)
    return Ran(command, code, out.decode(), err.decode())
