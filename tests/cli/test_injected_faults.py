"""Full disks, failing disks, interrupted and short reads, and kill -9: one clear line, and no half of a file."""

from __future__ import annotations

import errno
import gzip
import io
import os
import random
import resource
import signal
import stat
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.triage import small_dump

import dumpmap
from dumpmap.cli import app
from dumpmap.errors import InputError
from dumpmap.parsers.opening import open_snapshot
from dumpmap.sources import files

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits, signals, and devices of Linux")

WRITING = {
    "summary.json": ["summary", "IN", "--format", "json"],
    "regions.csv": ["regions", "IN", "--format", "csv"],
    "diagnosis.md": ["diagnose", "IN", "--format", "markdown"],
    "diff.json": ["diff", "IN", "IN", "--format", "json"],
    "report.html": ["report", "IN"],
    "plain.json": ["snapshot", "IN", "--to", "json"],
    "packed.json.gz": ["snapshot", "IN", "--to", "json.gz"],
    "packed.json.zst": ["snapshot", "IN", "--to", "json.zst"],
    "map.mmp": ["export", "IN", "--to", "mmp"],
    "map.csv": ["export", "IN", "--to", "vmmap-csv"],
    "map.txt": ["export", "IN", "--to", "vmmap-txt"],
    "map.jsonl": ["export", "IN", "--to", "jsonl"],
    "map.parquet": ["export", "IN", "--to", "parquet"],
    "rows.csv": ["triage", "IN", "--no-cache", "-j", "1", "--format", "csv"],
    "rows.json": ["triage", "IN", "--no-cache", "-j", "1", "--format", "json"],
}
"""Commands that write a file, by a name that fits."""

FAST = [name for name in WRITING if not name.startswith("rows.")]
"""Those that start no process of their own."""


def arguments(name: str, source: Path, target: str | Path) -> list[str]:
    """The command line of one of them."""
    return ["-q", *(str(source) if word == "IN" else word for word in WRITING[name]), "-o", str(target), "--force"]


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    path = tmp_path / "in.dmp"
    path.write_bytes(small_dump())
    return path


def names(folder: Path) -> list[str]:
    """What is in a folder, hidden files included."""
    return sorted(path.name for path in folder.iterdir())


@contextmanager
def no_file_above(size: int) -> Iterator[None]:
    """The system refuses to write more than `size` bytes to a file, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


# ---------------------------------------------------------------- writing


@pytest.mark.parametrize("name", FAST)
def test_a_disk_that_fills_up_keeps_the_old_file(
    name: str, dump: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    target = folder / name
    target.write_bytes(b"old")
    target.chmod(0o600)
    assert app.run(arguments(name, dump, target)) == 0
    whole = target.read_bytes()
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert len(whole) > 100
    capsys.readouterr()
    for most in (0, 1, len(whole) // 2, len(whole) - 1):
        target.write_bytes(b"old")
        with no_file_above(most):
            code = app.run(arguments(name, dump, target))
        assert (code, capsys.readouterr().err) == (4, f"dumpmap: {target}: cannot be written: file too large\n"), most
        assert target.read_bytes() == b"old"
        assert names(folder) == [name]
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


@pytest.mark.parametrize("name", FAST)
def test_a_device_that_is_full(name: str, dump: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = app.run(arguments(name, dump, "/dev/full"))
    said = capsys.readouterr().err
    assert (code, said) == (4, "dumpmap: /dev/full: cannot be written: no space left on device\n")


@pytest.mark.parametrize("name", ["rows.csv", "rows.json"])
def test_a_triage_on_a_full_device(name: str, dump: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = app.run(arguments(name, dump, "/dev/full"))
    said = capsys.readouterr().err
    assert code == 4
    assert said.splitlines()[-1] == "dumpmap: /dev/full: cannot be written: no space left on device"
    assert "Traceback" not in said


@pytest.mark.parametrize(
    "command", [["summary"], ["report", "-o", "-"], ["export", "-o", "-", "--to", "jsonl"], ["browse", "--plain"]]
)
def test_standard_output_on_a_full_device(command: list[str], dump: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "dumpmap", "-q", command[0], str(dump), *command[1:]],
            stdin=subprocess.DEVNULL,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    expected = "dumpmap: standard output: cannot be written: no space left on device\n"
    assert (done.returncode, done.stderr) == (4, expected)


def test_no_room_for_what_waits_for_standard_output(
    dump: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dumpmap.writers.output._IN_MEMORY", 10)
    with no_file_above(100):
        code = app.run(["-q", "report", str(dump), "-o", "-"])
    assert (code, capsys.readouterr().err) == (4, "dumpmap: standard output: cannot be written: file too large\n")


@pytest.mark.parametrize("call", ["chmod", "replace"])
def test_a_file_that_cannot_get_its_name(
    call: str, dump: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    folder = tmp_path / "out"
    folder.mkdir()
    target = folder / "plain.json"
    target.write_bytes(b"old")
    monkeypatch.setattr(Path, call, failing)
    code = app.run(arguments("plain.json", dump, target))
    assert (code, capsys.readouterr().err) == (4, f"dumpmap: {target}: cannot be written: input/output error\n")
    assert (target.read_bytes(), names(folder)) == (b"old", ["plain.json"])


@pytest.mark.parametrize("lacking", ["O_TMPFILE", "link"])
def test_file_systems_without_unnamed_files(
    lacking: str, dump: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(*_: object, **__: object) -> int:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    if lacking == "link":
        monkeypatch.setattr(os, "link", unsupported)
    else:
        monkeypatch.delattr(os, "O_TMPFILE")
    folder = tmp_path / "out"
    folder.mkdir()
    for _ in range(2):
        assert app.run(arguments("plain.json", dump, folder / "plain.json")) == 0
        assert names(folder) == ["plain.json"]
        assert dumpmap.open(folder / "plain.json").snapshot.source.original_name == "in.dmp"
    with no_file_above(50):
        assert app.run(arguments("plain.json", dump, folder / "new.json")) == 4
    assert names(folder) == ["plain.json"]


# ---------------------------------------------------------------- kill -9

_KILLED = """
import os, signal, sys
from pathlib import Path
import dumpmap.writers.output as output

def kill(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

at = sys.argv[1]
if at in ("chmod", "replace"):
    setattr(Path, at, kill)
elif at == "link":
    os.link = kill
with output.replacing(sys.argv[2], force=True) as stream:
    stream.write(b"new" * 100_000)
    stream.flush()
    if at == "write":
        kill()
"""


@pytest.mark.parametrize("at", ["write", "link", "chmod", "replace"])
def test_killed_while_a_file_is_written(at: str, tmp_path: Path) -> None:
    target = tmp_path / "x.json"
    target.write_bytes(b"old")
    done = subprocess.run([sys.executable, "-c", _KILLED, at, str(target)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert target.read_bytes() == b"old"
    if at in ("write", "link"):  # between the two calls that give the name, a hidden file can stay
        assert names(tmp_path) == ["x.json"]


@pytest.mark.parametrize("name", ["regions.csv", "report.html", "packed.json.zst", "map.parquet", "rows.csv"])
def test_killed_at_any_moment(name: str, dump: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    target = folder / name
    command = [sys.executable, "-m", "dumpmap", *arguments(name, dump, target)]
    begin = time.monotonic()
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    taken = time.monotonic() - begin
    usual = len(target.read_bytes())
    chance = random.Random(name)
    for _ in range(2):
        target.write_bytes(b"old")
        with subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True) as process:
            time.sleep(taken * chance.uniform(0.3, 1.1))
            process.kill()
        content = target.read_bytes()
        assert content == b"old" or abs(len(content) - usual) < 200  # times differ
        assert names(folder) == [name]


# ---------------------------------------------------------------- reading


def packed(dump: Path, suffix: str) -> Path:
    """The dump in another format or container."""
    path = dump.with_name(f"in{suffix}")
    data = dump.read_bytes()
    match suffix:
        case ".dmp.gz":
            path.write_bytes(gzip.compress(data))
        case ".zip":
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr("in.dmp", data)
        case ".json" | ".mmp":
            command = ["snapshot"] if suffix == ".json" else ["export", "--to", "mmp"]
            assert app.run(["-q", command[0], str(dump), *command[1:], "-o", str(path)]) == 0
    return path


class Reads:
    """Counts the reads of a file; at one of them something else happens."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self.fault: Callable[[int, int, int], bytes] | None = None
        self.at = -1
        self._read = os.pread
        monkeypatch.setattr(files, "SMALL", 0)
        monkeypatch.setattr(os, "pread", self)

    def __call__(self, handle: int, size: int, offset: int) -> bytes:
        self.count += 1
        if self.fault is not None and (self.count == self.at or (self.count > self.at and self.fault == self.ended)):
            return self.fault(handle, size, offset)
        return self._read(handle, size, offset)

    def short(self, handle: int, size: int, offset: int) -> bytes:
        return self._read(handle, max(1, size // 2), offset)

    def failing(self, handle: int, size: int, offset: int) -> bytes:
        del handle, size, offset
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    def ended(self, handle: int, size: int, offset: int) -> bytes:
        del handle, size, offset
        return b""


@pytest.mark.parametrize("suffix", [".dmp", ".dmp.gz", ".zip", ".json", ".mmp"])
def test_every_read_fails_once(
    suffix: str, dump: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = packed(dump, suffix)
    capsys.readouterr()
    reads = Reads(monkeypatch)
    command = ["-q", "summary", str(path), "--format", "json"]
    assert app.run(command) == 0
    usual, count = capsys.readouterr().out, reads.count
    assert count >= 2
    for number in range(1, count + 1):
        reads.count, reads.at = 0, number
        reads.fault = reads.failing
        code = app.run(command)
        out, err = capsys.readouterr()
        assert (code, out) == (3, ""), number
        assert err.startswith(f"dumpmap: {path}: cannot be read at 0x")
        assert err.endswith(": input/output error\n")
        assert err.count("\n") == 1
        reads.count, reads.fault = 0, reads.short
        assert app.run(command) == 0
        assert capsys.readouterr().out == usual
        reads.count, reads.fault = 0, reads.ended
        code = app.run(["summary", str(path), "--format", "json"])
        err = capsys.readouterr().err
        assert code in (0, 3)
        assert "bug" not in err
        assert "cut off" in err


@pytest.mark.parametrize("command", ["diagnose", "heaps", "stacks", "info", "regions", "owners", "snapshot"])
def test_other_commands_on_a_failing_disk(
    command: str, dump: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reads = Reads(monkeypatch)
    line = ["-q", command, str(dump), *(["-o", str(tmp_path / "x.json"), "--force"] if command == "snapshot" else [])]
    assert app.run(line) == 0
    count = reads.count
    for number in {1, 2, count // 2, count - 1, count}:
        reads.count, reads.at, reads.fault = 0, number, reads.failing
        capsys.readouterr()
        assert app.run(line) == 3
        assert capsys.readouterr().err.startswith(f"dumpmap: {dump}: cannot be read at 0x")


def test_a_small_file_on_a_failing_disk(
    dump: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Failing(io.FileIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(files, "open", lambda path, *_, **__: Failing(path), raising=False)
    assert app.run(["summary", str(dump)]) == 3
    assert capsys.readouterr().err == f"dumpmap: {dump}: input/output error\n"


def test_a_stream_that_fails() -> None:
    class Failing(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() > 100:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return super().read(min(size or 0, 64))

    with pytest.raises(InputError, match=r"^pipe: cannot be read: input/output error$"):
        open_snapshot(Failing(small_dump()), name="pipe")


def test_signals_interrupt_nothing(dump: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A system call that a signal interrupts is repeated, and what it reads or writes is whole."""
    target, hits = tmp_path / "x.json", 0

    def count(*_: object) -> None:
        nonlocal hits
        hits += 1

    app.run(arguments("plain.json", dump, target))
    app.run(["summary", str(dump)])
    usual, whole = capsys.readouterr().out, len(target.read_bytes())
    before = signal.signal(signal.SIGALRM, count)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    try:
        assert app.run(["summary", str(dump)]) == 0
        assert capsys.readouterr().out == usual
        assert app.run(arguments("plain.json", dump, target)) == 0
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert hits > 5
    assert len(target.read_bytes()) == whole


def test_a_reader_that_takes_one_line(dump: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "dumpmap", "-q", "regions", str(dump), "--format", "csv"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0
