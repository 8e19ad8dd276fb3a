"""Packed inputs: what is cut off is read as far as it goes, and of an archive the one input is taken."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from synth.minidump import MEM_COMMIT, MEM_PRIVATE, MinidumpBuilder

import dumpmap
from dumpmap.errors import FormatError, InputError
from dumpmap.sources.archive import unpack
from dumpmap.sources.compressed import ZstdFrames, stated_size
from dumpmap.sources.files import open_file
from dumpmap.sources.spool import collect

SNAPSHOT = b'{"format": "dumpmap-snapshot", "version": 1, '


def dump(pages: int = 1) -> bytes:
    """A dump with a map, and then bytes of memory that do not pack well."""
    noise = random.Random(7).randbytes(pages * 4096)
    builder = MinidumpBuilder("x64").system_info().region(0x60000, max(pages, 1) * 4096, MEM_COMMIT, 4, MEM_PRIVATE)
    return builder.memory(0x60000, noise).build()


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED, *, streamed: bool = False) -> bytes:
    """An archive; a streamed one has the sizes behind the files, as a writer into a pipe leaves them."""

    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *_: object) -> int:
            raise OSError("a pipe")

        def tell(self) -> int:
            raise OSError("a pipe")

    out = Pipe() if streamed else io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zstd": zstandard.ZstdCompressor(write_checksum=True).compress,
    "zstd-unsized": lambda data: zstandard.ZstdCompressor(write_content_size=False).compress(data),
    "zip": lambda data: zipped({"x.dmp": data}),
    "zip-stored": lambda data: zipped({"x.dmp": data}, zipfile.ZIP_STORED),
    "zip-streamed": lambda data: zipped({"x.dmp": data}, streamed=True),
}


@pytest.mark.parametrize("kind", PACKERS)
def test_a_whole_one_is_read_without_a_word(kind: str) -> None:
    data = dump(100)
    snapshot = dumpmap.open(PACKERS[kind](data)).snapshot
    assert (snapshot.source.size, snapshot.warnings) == (len(data), ())
    assert snapshot.source.container == kind.partition("-")[0]


@pytest.mark.parametrize("kind", PACKERS)
def test_what_is_there_of_a_cut_one_is_read_and_the_place_is_told(kind: str, tmp_path: Path) -> None:
    data = dump(200)
    packed = PACKERS[kind](data)
    cut = packed[: len(packed) * 2 // 3]
    path = tmp_path / "cut.dmp"
    path.write_bytes(cut)
    snapshot = dumpmap.open(path).snapshot
    assert snapshot.regions is not None
    assert snapshot.source.size is not None
    assert len(data) // 3 < snapshot.source.size < len(data)
    container = kind.partition("-")[0]
    said = snapshot.warnings[0]
    assert said.startswith(f"the {container} file is cut off: it ends at byte {len(cut):,}, before its ")
    assert said.endswith(f"; dumpmap unpacked the {snapshot.source.size:,} bytes before that")


@pytest.mark.parametrize("kind", PACKERS)
def test_every_cut_is_told(kind: str) -> None:
    data = dump(70)
    packed = PACKERS[kind](data)
    for end in {*range(len(packed) - 40, len(packed)), *range(100, len(packed), len(packed) // 50)}:
        try:
            snapshot = dumpmap.open(packed[:end]).snapshot
        except FormatError:
            continue  # so little is left that there is no map
        # A zip file may lack nothing but the end of its comment, which it does not have.
        assert any("cut off" in warning for warning in snapshot.warnings), end


@pytest.mark.parametrize("kind", ["gzip", "zstd", "zip", "zip-streamed"])
def test_a_damaged_checksum_is_told(kind: str) -> None:
    packed = bytearray(PACKERS[kind](dump()))
    at = {"gzip": len(packed) - 8, "zstd": len(packed) - 4, "zip": 14, "zip-streamed": packed.find(b"PK\1\2") + 16}[
        kind
    ]
    packed[at] ^= 0xFF
    if kind == "zip":
        packed[packed.find(b"PK\1\2") + 16] ^= 0xFF
    (said,) = dumpmap.open(bytes(packed)).snapshot.warnings
    assert said.startswith(f"the {kind.partition('-')[0]} file is damaged")


def test_a_text_that_is_cut_names_the_reason() -> None:
    text = SNAPSHOT + b" " * 100_000 + random.Random(1).randbytes(9000).hex().encode()
    packed = gzip.compress(text)
    with pytest.raises(FormatError, match="the gzip file is cut off: it ends at byte"):
        dumpmap.open(packed[:-900])


def test_frames_that_follow_each_other_and_padding() -> None:
    data = dump(100)
    pack = zstandard.ZstdCompressor().compress
    skipped = struct.pack("<II", 0x184D2A53, 5) + b"hello"
    packed = skipped + pack(data[:5000]) + skipped + pack(data[5000:])
    assert dumpmap.open(pack(data[:5000]) + skipped + pack(data[5000:])).snapshot.source.size == len(data)
    for tail in (b"", skipped, bytes(700)):
        frames = ZstdFrames()
        assert b"".join(frames.watch(iter([packed + tail]))) == packed + tail
        assert not frames.unfinished
    assert dumpmap.open(pack(data) + bytes(700)).snapshot.warnings == ()


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100, 100_000])
def test_frames_are_followed_whatever_the_chunks(size: int) -> None:
    packed = PACKERS["zstd"](dump(100)) + PACKERS["zstd-unsized"](dump(60))
    for end in (len(packed), len(packed) - 1, len(packed) // 2):
        frames = ZstdFrames()
        parts = [packed[at : min(at + size, end)] for at in range(0, end, size)]
        assert b"".join(frames.watch(iter(parts))) == packed[:end]
        assert frames.unfinished == (end != len(packed))


# ---------------------------------------------------------------- archives


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("end", [None, -30])
def test_the_only_input_of_an_archive_is_taken(streamed: bool, end: int | None) -> None:
    files = {
        "log.txt": b"hello",
        "meta.json": b'{"a": 1}',
        "a.xml": b"<minidump/>",
        "c/x.dmp": dump(),
        "z.bin": b"\0" * 9,
    }
    snapshot = dumpmap.open(zipped(files, streamed=streamed)[:end]).snapshot
    assert snapshot.source.size == len(files["c/x.dmp"])
    note = "a zip archive of 5 files: dumpmap opened 'c/x.dmp', the only dump or snapshot in it"
    assert note in snapshot.source.notes
    assert any("cut off" in warning for warning in snapshot.warnings) == (end is not None)


def test_of_several_inputs_one_has_to_be_named(tmp_path: Path) -> None:
    small, large = dump(1), dump(2)
    path = tmp_path / "two.zip"
    path.write_bytes(zipped({"log.txt": b"", "in/a.dmp": small, "in/b.dmp": large}))
    with pytest.raises(FormatError) as caught:
        dumpmap.open(path)
    assert str(caught.value) == (
        f"{path}: a zip archive of 3 files with 2 dumps or snapshots; name one, such as ARCHIVE::in/a.dmp: "
        "in/a.dmp, in/b.dmp"
    )
    for name, data in (("in/a.dmp", small), ("in/b.dmp", large), ("B.DMP", large)):
        snapshot = dumpmap.open(f"{path}::{name}").snapshot
        assert (snapshot.source.size, snapshot.warnings) == (len(data), ())
        assert snapshot.source.path == f"{path}::{name}"
    missing = r"the zip archive does not contain 'c\.dmp'; it contains log\.txt, in/a\.dmp, in/b\.dmp"
    with pytest.raises(InputError, match=missing):
        dumpmap.open(f"{path}::c.dmp")


def test_an_archive_without_an_input_lists_what_it_has() -> None:
    files = {f"{number}.txt": b"text" for number in range(9)}
    with pytest.raises(FormatError, match=r"of 9 files, but none is a dump or a snapshot: 0\.txt, .*4\.txt and 4 more"):
        dumpmap.open(zipped(files))


def test_names_in_a_message_are_one_line() -> None:
    names = ("a\nb.txt", "c\x1b[2J.txt", "x" * 5000)
    for packed in (zipped(dict.fromkeys(names, b"text")), zipped(dict.fromkeys((*names, "d"), b"text"))[:-40]):
        with pytest.raises(FormatError) as caught:
            dumpmap.open(packed)
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 500


def test_only_an_archive_has_files_in_it(tmp_path: Path) -> None:
    path = tmp_path / "x.dmp.gz"
    path.write_bytes(gzip.compress(dump()))
    with pytest.raises(InputError, match=r"is not a zip archive, so it cannot contain 'x\.dmp'"):
        dumpmap.open(f"{path}::x.dmp")
    with pytest.raises(InputError, match=r"(?i)no such file"):
        dumpmap.open(f"{tmp_path / 'nowhere.zip'}::x.dmp")


@pytest.mark.skipif(os.name == "nt", reason="no colon in a file's name")
def test_a_file_with_colons_in_its_name_is_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a::b.dmp"
    path.write_bytes(dump())
    assert dumpmap.open(path).snapshot.source.path == str(path)


def test_snapshots_and_vmmap_files_are_inputs() -> None:
    snapshot = io.BytesIO()
    from dumpmap.writers.snapshot_json import write_snapshot

    write_snapshot(snapshot, dumpmap.open(dump()).snapshot, [])
    for name, data in (
        ("x.json", snapshot.getvalue()),
        ("x.mmp", b'<?xml version="1.0"?>\n<root><Snapshots/></root>'),
        ("x.csv", b'"Process: app.exe"\n"PID: 3"\n'),
    ):
        packed = zipped({"meta.json": b"{}", name: data})
        try:
            said = dumpmap.open(packed).notes
        except FormatError as error:  # these are too short to be read, but were taken for what they are
            said = (error.problem,)
        assert any(f"opened '{name}'" in one for one in said), name


def test_a_cut_archive_that_streams_a_bomb_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUMPMAP_MAX_DECOMPRESSED", str(1 << 20))
    packed = zipped({"bomb.bin": bytes(64 << 20), "x.dmp": dump()}, streamed=True)
    with pytest.raises(FormatError):
        dumpmap.open(packed[:-30])


def test_an_encrypted_or_oddly_packed_file_of_a_cut_archive_is_said() -> None:
    packed = bytearray(zipped({"x.dmp": dump()})[:-40])
    packed[6] |= 1
    with pytest.raises(FormatError, match=r"'x\.dmp' in the zip archive is encrypted; unpack it first"):
        dumpmap.open(bytes(packed))
    odd = bytearray(zipped({"x.dmp": dump()})[:-40])
    odd[8] = 97
    with pytest.raises(FormatError, match=r"'x\.dmp' in the zip archive is compressed with method 97; unpack it first"):
        dumpmap.open(bytes(odd))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_cut_archive_of_another_method_is_read_as_far_as_it_goes(method: int) -> None:
    data = dump() + random.Random(3).randbytes(1 << 20)
    read = dumpmap.open(zipped({"x.dmp": data}, method)[: 1 << 20])
    assert read.snapshot.source.size is not None
    assert 800_000 < read.snapshot.source.size < len(data)
    assert "the zip file is cut off" in read.snapshot.warnings[0]


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_damaged_archive_of_another_method_is_read_as_far_as_it_goes(method: int) -> None:
    data = dump() + random.Random(3).randbytes(2 << 20)
    packed = bytearray(zipped({"x.dmp": data}, method))
    packed[len(packed) - (1 << 19)] ^= 0x55
    read = dumpmap.open(bytes(packed))
    (warning,) = [text for text in read.snapshot.warnings if "zip file is damaged" in text]
    assert "dumpmap unpacked the" in warning
    packed[60:200] = bytes(140)
    with pytest.raises(FormatError, match="the zip file is damaged"):
        dumpmap.open(bytes(packed))


def test_sizes_beyond_four_gigabytes_in_a_cut_archive() -> None:
    data = dump(50)
    packer = zlib.compressobj(wbits=-15)
    packed = packer.compress(data) + packer.flush()
    extra = struct.pack("<HHQQ", 1, 16, len(data), len(packed))
    header = struct.pack("<4sHHHHHLLLHH", b"PK\3\4", 45, 0, 8, 0, 0, 0, 0xFFFFFFFF, 0xFFFFFFFF, 5, len(extra))
    archive = header + b"x.dmp" + extra + packed
    snapshot = dumpmap.open(archive).snapshot
    assert snapshot.source.size == len(data)
    assert dumpmap.open(archive + zipped({"log.txt": b"hello"})[:-60]).snapshot.source.size == len(data)


@pytest.mark.parametrize("kind", ["zip", "zip-stored", "zip-streamed", "zstd"])
def test_flipped_bytes_give_a_map_or_an_error_of_our_own(kind: str) -> None:
    packed = PACKERS[kind](dump())
    generator = random.Random(11)
    for _ in range(300):
        broken = bytearray(packed)
        for _ in range(generator.randint(1, 4)):
            broken[generator.randrange(4, len(broken))] = generator.randrange(256)
        with contextlib.suppress(dumpmap.DumpmapError):
            dumpmap.open(bytes(broken[: generator.choice((len(broken), len(broken) * 3 // 4))]))


@pytest.mark.parametrize("stated", [0, 1, 99, 100, 101, 5000, 32 << 20, (32 << 20) + 1, 0xFFFF_FFFF])
def test_a_stated_size_that_lies_changes_nothing(stated: int) -> None:
    content = random.Random(3).randbytes(100)
    source = collect(iter([content[:40], content[40:99], content[99:]]), "x", stated=stated)
    assert bytes(source.view(0, source.size)) == content


def test_content_of_the_stated_size_is_in_one_buffer(tmp_path: Path) -> None:
    data = dump(3)
    packed = {
        "a.gz": gzip.compress(data),
        "several.gz": gzip.compress(data[:5000]) + gzip.compress(data[5000:]),
        "a.zst": PACKERS["zstd"](data),
        "several.zst": PACKERS["zstd"](data[:5000]) + PACKERS["zstd"](data[5000:]),
        "unsized.zst": PACKERS["zstd-unsized"](data),
    }
    stated = {"a.gz": len(data), "several.gz": len(data) - 5000, "a.zst": len(data), "several.zst": 5000}
    for name, packed_bytes in packed.items():
        (tmp_path / name).write_bytes(packed_bytes)
        source = open_file(tmp_path / name)
        assert stated_size(source, "gzip" if name.endswith("gz") else "zstd") == stated.get(name, 0)
        unpacked = unpack(source, lambda _: True)
        assert unpacked is not None
        assert bytes(unpacked.source.view(0, unpacked.source.size)) == data
        whole = isinstance(unpacked.source.view(0, 1).obj, bytearray)
        assert whole == (name in ("a.gz", "a.zst"))
