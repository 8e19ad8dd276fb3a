"""What the program says when it is itself at fault, when nobody listens, and when it is interrupted."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.cli import run
from support.cli_inputs import FIXTURES

from dumpmap import api
from dumpmap.capture import standalone
from dumpmap.cli import app

X64 = str(FIXTURES / "layout-x64.dmp.gz")


def broken(*_: object, **__: object) -> None:
    raise KeyError("no\nsuch\tkey")


def test_a_bug_is_one_line_that_names_command_and_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(api, "open_map", broken)
    assert app.run(["-q", "summary", X64]) == 70
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        f"dumpmap: summary {X64}: this is a bug in dumpmap (KeyError: 'no\\nsuch\\tkey'). "
        "Please report it with the traceback that dumpmap --debug shows\n"
    )


def test_a_bug_before_a_file_is_opened(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(api, "open_map", lambda *_, **__: 1 / 0)
    app.run(["summary", X64])
    capsys.readouterr()
    monkeypatch.setattr("dumpmap.cli.check.load_rules", broken)
    assert app.run(["check", X64, "--rules", "x.toml"]) == 70
    assert capsys.readouterr().err.startswith("dumpmap: check: this is a bug in dumpmap (KeyError")


def test_a_long_reason_is_cut(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def talkative(*_: object, **__: object) -> None:
        raise RuntimeError("x" * 10_000)

    monkeypatch.setattr(api, "open_map", talkative)
    assert app.run(["summary", X64]) == 70
    assert len(capsys.readouterr().err) < 600


@pytest.mark.parametrize("how", ["option", "variable"])
@pytest.mark.parametrize("command", [["summary", "nosuch.dmp"], ["bug"]])
def test_debug_shows_the_traceback_and_keeps_the_exit_code(how: str, command: list[str]) -> None:
    code = (
        "import sys, dumpmap.api; from dumpmap.cli.app import run; arguments = sys.argv[1:]\n"
        "if arguments[-1] == 'bug':\n"
        "    dumpmap.api.open_map = lambda *_, **__: 1 // 0\n"
        "    arguments[-1:] = ['summary', 'x.dmp']\n"
        "sys.exit(run(arguments))"
    )
    arguments = [*(["--debug"] if how == "option" else []), *command]
    environment = {**os.environ, "DUMPMAP_DEBUG": "1" if how == "variable" else ""}
    ran = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False, env=environment
    )
    assert "Traceback" in ran.stderr
    last = ran.stderr.rstrip("\n").split("\n")[-1]
    if command == ["bug"]:
        assert ran.returncode == 70
        assert (
            last == "dumpmap: summary x.dmp: this is a bug in dumpmap "
            "(ZeroDivisionError: integer division or modulo by zero)"
        )
    else:
        assert ran.returncode == 3
        assert last.startswith("dumpmap: nosuch.dmp: ")


def test_too_little_memory_is_no_bug(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def greedy(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(api, "open_map", greedy)
    assert app.run(["summary", X64]) == 3
    assert capsys.readouterr().err == f"dumpmap: {X64}: not enough memory to read this input\n"


def test_a_bug_of_the_stand_alone_capture(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(standalone, "capture_to_files", broken)
    assert standalone.main(["42", "-o", str(tmp_path / "x.json")]) == 70
    assert capsys.readouterr().err.startswith("dumpmap: 42: this is a bug in dumpmap (KeyError")


@pytest.mark.skipif(os.name == "nt", reason="pipes and signals of POSIX")
@pytest.mark.parametrize(
    "arguments",
    [
        ["regions", X64, "--blocks", "--format", "csv"],
        ["report", X64, "-o", "-"],
        ["export", X64, "-o", "-", "--to", "jsonl"],
        ["snapshot", X64, "-o", "-"],
        ["triage", str(FIXTURES), "--format", "jsonl", "--no-cache", "-j", "1"],
        ["--help"],
    ],
)
def test_nobody_reads_the_output(arguments: list[str]) -> None:
    read, write = os.pipe()
    os.close(read)
    ran = subprocess.run(
        [sys.executable, "-m", "dumpmap", "-q", *arguments],
        stdout=write,
        stderr=subprocess.PIPE,
        check=False,
        text=True,
    )
    os.close(write)
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.skipif(os.name == "nt", reason="pipes and signals of POSIX")
def test_nobody_reads_the_errors() -> None:
    read, write = os.pipe()
    os.close(read)
    ran = subprocess.run(
        [sys.executable, "-m", "dumpmap", "-v", "summary", "nosuch.dmp"],
        stdout=subprocess.PIPE,
        stderr=write,
        check=False,
    )
    os.close(write)
    assert ran.returncode == 3


@pytest.mark.skipif(os.name == "nt", reason="pipes and signals of POSIX")
def test_an_interrupt_is_told_by_its_exit_code(tmp_path: Path) -> None:
    fifo = tmp_path / "input"
    os.mkfifo(fifo)
    with (
        subprocess.Popen(
            [sys.executable, "-m", "dumpmap", "summary", str(fifo)], stderr=subprocess.PIPE, text=True
        ) as process,
        fifo.open("wb"),
    ):  # opened once the program reads, which then waits for more
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        said = process.stderr.read()
    assert process.returncode == 130
    assert said.count("\n") <= 1
    assert "Traceback" not in said


INTERRUPTED_WHILE_LOADING = """
import sys
class Interrupting:
    def find_spec(self, name, *_):
        if name == "dumpmap.cli.app":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupting())
from dumpmap.__main__ import main
main()
"""


def test_an_interrupt_while_the_program_is_loaded() -> None:
    done = subprocess.run([sys.executable, "-c", INTERRUPTED_WHILE_LOADING], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")


def test_a_server_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("aiohttp")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/crash.dmp"
        assert app.run(["summary", url]) == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"dumpmap: {url}: ")
    assert "no such file" not in line


def test_help_names_every_exit_code() -> None:
    text = " ".join(run("--help").out.split())
    for code in (
        "0 success",
        "1 a gate",
        "2 wrong usage",
        "3 an input",
        "4 an output",
        "70 an internal",
        "130 interrupted",
    ):
        assert code in text
