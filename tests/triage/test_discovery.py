"""Which files are found, in which order."""

from __future__ import annotations

import gzip
import io
import os
import random
import sys
import zipfile
from pathlib import Path

import pytest
import zstandard
from support.triage import small_dump

import dumpmap
from dumpmap.parsers.recognition import MOST_MEMBERS, begins_like_input
from dumpmap.triage import Options, local_files, run
from dumpmap.triage.analyse import analyse
from dumpmap.triage.discovery import discover
from dumpmap.triage.jobs import Job, has_dump_suffix

SNAPSHOT = b'{"format":"dumpmap-snapshot","version":1}'
CSV = (
    '"Process:","app.exe"\r\r\n"PID:","4242"\r\r\n\r\r\n'
    '"Type","Size","Committed","Private","Total WS","Private WS","Shareable WS","Blocks","Largest",\r\r\n'
    '"Address","Type","Size","Committed","Private","Total WS","Blocks","Protection","Details",\r\r\n'
    '"00970000","Private Data","64","64","64","64","1","Read/Write",""\r\r\n'
)
TEXT = (
    "Process: app.exe\r\nPID: 4242\r\n\r\n"
    "Address   Type          Size  Committed  Private  Total WS  Blocks  Protection  Details\r\n"
    "00970000  Private Data  64    64         64       64        1       Read/Write\r\n"
)
MMP = (
    '<?xml version="1.0" encoding="UTF-8"?>\r\n<root PID="4242" Process="app.exe">\r\n<Snapshot Timestamp="1">'
    '<Region Address="9895936" Size="65536" Commit="65536" Protection="4" UseType="4" Type="Private Data" Blocks="1"/>'
    "</Snapshot></root>"
)


def names(folder: Path, jobs: list[Job]) -> list[str]:
    return [Path(job.path).relative_to(folder).as_posix() for job in jobs]


def inputs(*paths: Path) -> list[Job]:
    """The jobs that get a row: a worker drops a packed file that holds no input."""
    return [job for job in discover(paths) if not analyse(job).foreign]


def make(folder: Path, *files: str, data: bytes = b"x") -> None:
    for file in files:
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def zip_of(name: str, data: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)
    return file.getvalue()


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
    for path in tmp_path.iterdir():
        assert not begins_like_input(str(path)), path.name
    assert not begins_like_input(str(tmp_path / "nothing"))


@pytest.mark.parametrize(
    "data",
    [
        CSV.encode(),
        CSV.encode("utf-16"),
        b"\xfe\xff" + CSV.encode("utf-16-be"),
        b"\xef\xbb\xbf" + CSV.encode(),
        CSV.replace('","', '";"').encode(),
        CSV[CSV.index('"Address') :].encode(),
        CSV[CSV.index('"Address') :].replace('"', "").replace(",", "\t").encode(),
        TEXT.encode(),
        TEXT[TEXT.index("Address") :].encode(),
        TEXT.encode("utf-16"),
        MMP.encode(),
        MMP.replace("UTF-8", "UTF-16").encode("utf-16"),
        MMP[MMP.index("<root") :].encode(),
    ],
)
def test_vmmap_files_of_any_name_are_found(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "plain").write_bytes(data)
    (tmp_path / "packed.zst").write_bytes(zstandard.compress(data))
    assert names(tmp_path, inputs(tmp_path)) == ["packed.zst", "plain"]
    assert dumpmap.open(tmp_path / "plain").total.size


@pytest.mark.parametrize(
    "data",
    [
        b"Type,Size\r\nletter,3\r\n",
        b"Address,Type,City\r\nMain Street,house,Bonn\r\n",
        b"Process:               Safari [1234]\nPath:                  /Applications/Safari.app\n",
        b'<?xml version="1.0"?>\n<root>\n  <resheader name="version"><value>2.0</value></resheader>\n</root>',
        b"<root/>",
        b"<html><body>dumps</body></html>",
        b'{"text": "a dumpmap-snapshot is JSON"}',
    ],
)
def test_other_text_files_are_not(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "plain").write_bytes(data)
    with zipfile.ZipFile(tmp_path / "packed.zip", "w") as archive:
        archive.writestr("plain", data)
    assert inputs(tmp_path) == []
    assert [(job.path, job.unsure) for job in discover([tmp_path])] == [(str(tmp_path / "packed.zip"), True)]


@pytest.mark.parametrize("level", [-5, 1, 3, 19])
def test_a_zstd_file_gives_nothing_before_a_whole_block(tmp_path: Path, level: int) -> None:
    noise = random.Random(3).randbytes(200_000)
    for name, data in {"dump": small_dump() + noise, "snapshot": SNAPSHOT[:-1] + noise.hex().encode()}.items():
        packed = zstandard.ZstdCompressor(level=level).compress(data)
        (tmp_path / name).write_bytes(packed)
        (tmp_path / f"{name}, in pieces").write_bytes(zstandard.compress(data[:20]) + packed)
        (tmp_path / f"{name}, cut off").write_bytes(packed[:140_000])
    for path in tmp_path.iterdir():
        assert begins_like_input(str(path)), path.name


def test_an_archive_with_one_input_among_its_files(tmp_path: Path) -> None:
    members = {"log.txt": b"hello", "meta.json": b"{}", "x/crash": small_dump()}
    for name, files in {
        "report.zip": members,
        "Report.ZIP": members,
        "report": members,
        "document.docx": members,
        "none.zip": {"a": b"1", "b": b"2"},
        "many.zip": {**members, **{f"{index}": b"" for index in range(MOST_MEMBERS)}},
        "two.zip": {**members, "y": small_dump()},
    }.items():
        with zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED) as archive:
            for member, data in files.items():
                archive.writestr(member, data)
    whole = (tmp_path / "report.zip").read_bytes()
    (tmp_path / "cut.zip").write_bytes(zip_of("crash", small_dump())[:-30])
    (tmp_path / "damaged.zip").write_bytes(whole[:60] + b"\xff" * 5 + whole[65:])
    assert names(tmp_path, inputs(tmp_path)) == [
        "Report.ZIP",
        "cut.zip",
        "damaged.zip",
        "report",
        "report.zip",
        "two.zip",  # a row that says which to name
    ]
    (tmp_path / "two.zip").unlink()
    for job in inputs(tmp_path):
        assert dumpmap.open(job.path).process.pid == 77, job.path


def test_a_file_of_an_archive_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with zipfile.ZipFile("two.zip", "w") as archive:
        archive.writestr("a.dmp", small_dump(pid=1))
        archive.writestr("x/b[1].dmp", small_dump(pid=2))
    for engine in ("serial", "processes"):
        options = Options(engine=engine, jobs=1, cache=tmp_path / f"{engine}.sqlite")
        for cached in (False, True):
            with run(["two.zip", "two.zip::a.dmp", "two.zip::x/b[1].dmp", "two.zip::c.dmp"], options) as result:
                rows = {row["path"]: row for row in result.rows()}
            assert rows["two.zip::a.dmp"]["pid"] == 1
            assert rows["two.zip::x/b[1].dmp"]["pid"] == 2
            assert rows["two.zip::a.dmp"]["cached"] == cached
            assert "such as ARCHIVE::a.dmp" in rows["two.zip"]["error"]
            assert "does not contain 'c.dmp'" in rows["two.zip::c.dmp"]["error"]


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
        monkeypatch.setattr(local_files, "NAMES_IN_MEMORY", limit)
        assert names(tmp_path, list(discover([tmp_path]))) == wanted


def test_named_files_are_always_taken(tmp_path: Path) -> None:
    make(tmp_path, "notes.txt")
    (job,) = discover([tmp_path / "notes.txt"])
    assert (job.problem, job.size, job.key) == (None, 1, str(tmp_path / "notes.txt"))


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    jobs = list(discover([tmp_path / "no.dmp", str(tmp_path / "*.nix")]))
    assert [job.problem for job in jobs] == [
        ("error", "no such file or directory"),
        ("error", "no file matches this pattern"),
    ]


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
        "symbolic link loop",
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


@pytest.mark.parametrize(
    ("named", "found", "problems"),
    [
        ("closed", ["closed"], {"closed": True}),
        ("closed/*.dmp", ["closed"], {"closed": True}),
        ("closed/**/*.dmp", ["closed"], {"closed": True}),
        ("clo*", ["closed"], {"closed": True}),
        ("*", ["open.dmp", "closed"], {"closed": False}),
        ("**/*.dmp", ["open.dmp", "closed"], {"closed": False}),
        ("*/*.dmp", ["closed"], {"closed": True}),
        ("open.dmp/*", ["open.dmp/*"], {"open.dmp/*": True}),
    ],
)
def test_a_folder_that_a_pattern_cannot_look_into_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str, found: list[str], problems: dict[str, bool]
) -> None:
    make(tmp_path, "closed/a.dmp", "open.dmp")
    real = os.scandir

    def refuse(path: str) -> object:
        if path.endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)
    jobs = list(discover([str(tmp_path / named)]))
    assert names(tmp_path, jobs) == found
    failed = [job for job in jobs if job.problem is not None]
    assert {name: job.named for name, job in zip(names(tmp_path, failed), failed, strict=True)} == problems


def test_a_name_that_a_pattern_must_not_ask_for_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "closed/a.dmp", "open/a.dmp")
    real = os.lstat

    def refuse(path: str) -> object:
        if "closed" in str(path):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "lstat", refuse)
    jobs = list(discover([str(tmp_path / "*" / "a.dmp")]))
    assert names(tmp_path, jobs) == ["open/a.dmp", "closed/a.dmp"]
    assert [job.problem for job in jobs] == [None, ("error", "permission denied")]


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names are Unicode there")
def test_names_that_are_no_text(tmp_path: Path) -> None:
    raw = os.fsencode(tmp_path) + b"/\xff\xfe.dmp"
    Path(os.fsdecode(raw)).write_bytes(small_dump())
    (job,) = discover([tmp_path])
    assert job.path.endswith("\\xff\\xfe.dmp")
    job.path.encode("utf-8")
    assert Path(job.location).read_bytes() == small_dump()
