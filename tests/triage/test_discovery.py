"""Which files are found, in which order."""

from __future__ import annotations

import gzip
import os
import sys
import zipfile
from pathlib import Path

import pytest
import zstandard

from dumpmap.triage import discovery
from dumpmap.triage.discovery import Job, begins_like_input, discover, has_dump_suffix

from .support import small_dump

SNAPSHOT = b'{"format":"dumpmap-snapshot","version":1}'


def names(folder: Path, jobs: list[Job]) -> list[str]:
    return [Path(job.path).relative_to(folder).as_posix() for job in jobs]


def make(folder: Path, *files: str, data: bytes = b"x") -> None:
    for file in files:
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


@pytest.mark.parametrize(
    "name", ["a.dmp", "A.DMP", "b.mdmp", "c.hdmp", "d.mmp", "a.dmp.gz", "a.Dmp.ZST", "x.mdmp.zip", "a.b.dmp"]
)
def test_suffixes_of_inputs(name: str) -> None:
    assert has_dump_suffix(name)


@pytest.mark.parametrize("name", ["a.txt", "a.json", "dmp", "a.dmp.txt", "a.gz", "a.csv", "a.dmp.xz", ""])
def test_suffixes_of_others(name: str) -> None:
    assert not has_dump_suffix(name)


def test_files_that_begin_like_an_input(tmp_path: Path) -> None:
    contents = {
        "minidump": small_dump(),
        "snapshot": SNAPSHOT,
        "bom": b"\xef\xbb\xbf" + SNAPSHOT,
        "csv": b'"Process:","app.exe"\r\r\n',
        "snapshot.gz": gzip.compress(SNAPSHOT),
        "snapshot.zst": zstandard.compress(SNAPSHOT),
    }
    for name, data in contents.items():
        (tmp_path / name).write_bytes(data)
    with zipfile.ZipFile(tmp_path / "one.zip", "w") as archive:
        archive.writestr("crash", small_dump())
    for path in tmp_path.iterdir():
        assert begins_like_input(str(path)), path.name


def test_files_that_do_not(tmp_path: Path) -> None:
    contents = {
        "json": b'{"format":"other"}',
        "text": b"hello",
        "empty": b"",
        "gzip": gzip.compress(b"hello"),
        "gzip-cut": b"\x1f\x8b",
        "gzip-bad": b"\x1f\x8b" + b"\xff" * 50,
        "zstd-bad": b"\x28\xb5\x2f\xfd" + b"\xff" * 50,
        "zip-bad": b"PK\x03\x04" + b"\xff" * 50,
        "elf": b"\x7fELF",
    }
    for name, data in contents.items():
        (tmp_path / name).write_bytes(data)
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("a.dmp", small_dump())
        archive.writestr("b.dmp", small_dump())
    for path in tmp_path.iterdir():
        assert not begins_like_input(str(path)), path.name
    assert not begins_like_input(str(tmp_path / "nothing"))


def test_a_folder_is_walked_in_order(tmp_path: Path) -> None:
    make(tmp_path, "b.dmp", "a/z.dmp", "a/a.dmp", "c/d/e.mdmp", "a.dmp", "readme.txt", "data.json", "B.dmp")
    make(tmp_path, "found", data=small_dump())
    make(tmp_path, "s.json", data=SNAPSHOT)
    found = names(tmp_path, list(discover([tmp_path])))
    assert found == ["B.dmp", "a/a.dmp", "a/z.dmp", "a.dmp", "b.dmp", "c/d/e.mdmp", "found", "s.json"]
    assert found == names(tmp_path, list(discover([tmp_path])))


def test_only_the_folder_itself(tmp_path: Path) -> None:
    make(tmp_path, "b.dmp", "a/a.dmp")
    assert names(tmp_path, list(discover([tmp_path], recursive=False))) == ["b.dmp"]


def test_many_names_are_sorted_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = [f"{index:04}.dmp" for index in range(100)]
    make(tmp_path, *reversed(wanted))
    for limit in (99, 100, 1000, 5):
        monkeypatch.setattr(discovery, "NAMES_IN_MEMORY", limit)
        assert names(tmp_path, list(discover([tmp_path]))) == wanted


def test_named_files_are_always_taken(tmp_path: Path) -> None:
    make(tmp_path, "notes.txt")
    (job,) = discover([tmp_path / "notes.txt"])
    assert (job.problem, job.size, job.key) == (None, 1, str(tmp_path / "notes.txt"))


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    jobs = list(discover([tmp_path / "no.dmp", str(tmp_path / "*.nix")]))
    assert [job.problem for job in jobs] == [("error", "no such file or directory"), ("error", "no file matches")]


def test_globs(tmp_path: Path) -> None:
    make(tmp_path, "a1.dmp", "a2.txt", "b1.dmp", "x/a3.dmp", "x/y/a4.dmp", ".hidden.dmp", "x/.h/a5.dmp")
    cases = {
        "a*": ["a1.dmp", "a2.txt"],
        "*.dmp": ["a1.dmp", "b1.dmp"],
        "?1.dmp": ["a1.dmp", "b1.dmp"],
        "[b-z]1.dmp": ["b1.dmp"],
        "*/a*": ["x/a3.dmp"],
        "**/a*.dmp": ["a1.dmp", "x/a3.dmp", "x/y/a4.dmp"],
        "x/**": ["x/a3.dmp", "x/y/a4.dmp"],
        "**/**/a4.dmp": ["x/y/a4.dmp"],
        "x*": ["x/.h/a5.dmp", "x/a3.dmp", "x/y/a4.dmp"],
        ".h*": [".hidden.dmp"],
    }
    for pattern, wanted in cases.items():
        assert names(tmp_path, list(discover([str(tmp_path / pattern)]))) == wanted, pattern


def test_a_glob_may_be_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "a.dmp", "b/c.dmp")
    monkeypatch.chdir(tmp_path)
    below = str(Path("b", "c.dmp"))
    assert [job.path for job in discover(["*.dmp", "**/c.dmp", "b"])] == ["a.dmp", below, below]
    assert next(iter(discover(["a.dmp"]))).key == str(tmp_path / "a.dmp")


def test_a_file_whose_name_looks_like_a_glob(tmp_path: Path) -> None:
    make(tmp_path, "a[1].dmp")
    (job,) = discover([str(tmp_path / "a[1].dmp")])
    assert job.problem is None


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")
def test_links_do_not_lead_in_circles(tmp_path: Path) -> None:
    make(tmp_path, "a/one.dmp")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "again").symlink_to(tmp_path / "a")
    (tmp_path / "self.dmp").symlink_to(tmp_path / "self.dmp")
    (tmp_path / "gone.dmp").symlink_to(tmp_path / "nothing")
    jobs = list(discover([tmp_path]))
    assert names(tmp_path, jobs) == ["a/one.dmp", "gone.dmp", "self.dmp"]
    assert [job.problem and job.problem[1] for job in jobs] == [
        None,
        "no such file or directory",
        "a link that leads to itself",
    ]
    assert names(tmp_path, list(discover([str(tmp_path / "**" / "one.dmp")]))).count("a/one.dmp") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files")
def test_what_is_no_file_is_skipped(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.dmp")
    os.mkfifo(tmp_path / "pipe")
    (job,) = discover([tmp_path])
    assert job.problem == ("skipped", "not a regular file")
    (device,) = discover(["/dev/null"])
    assert device.problem == ("skipped", "not a regular file")


def test_a_folder_that_cannot_be_read_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "closed/a.dmp", "open.dmp")
    real = os.scandir

    def refuse(path: str) -> object:
        if path.endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)
    jobs = list(discover([tmp_path]))
    assert names(tmp_path, jobs) == ["closed", "open.dmp"]
    assert [job.problem for job in jobs] == [("error", "permission denied"), None]


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names are Unicode there")
def test_names_that_are_no_text(tmp_path: Path) -> None:
    raw = os.fsencode(tmp_path) + b"/\xff\xfe.dmp"
    Path(os.fsdecode(raw)).write_bytes(small_dump())
    (job,) = discover([tmp_path])
    assert job.path.endswith("\\xff\\xfe.dmp")
    job.path.encode("utf-8")
    assert Path(job.location).read_bytes() == small_dump()
