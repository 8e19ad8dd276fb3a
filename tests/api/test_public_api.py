"""What `import dumpmap` promises."""

from __future__ import annotations

import gzip
import io
import pickle
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import zstandard
from support.hostile import synthetic
from support.recorded import DUMPS, PLAIN, region_map

import dumpmap
from dumpmap.model.columns import COLUMNS, SUMMARY_COLUMNS
from dumpmap.model.types import TYPES

X64 = DUMPS["layout-x64"]

NULLABLE = ("committed", "private", "total_ws", "private_ws", "shareable_ws", "shared_ws", "locked_ws", "blocks")
TEXTS = ("protection", "details", "kind", "evidence")

# ---------------------------------------------------------------- opening


def test_a_path_as_text_and_as_an_object() -> None:
    one, other = dumpmap.open(str(X64)), dumpmap.open(X64)
    assert one.summary().equals(other.summary())
    assert one.snapshot.source.path == str(X64)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_the_bytes_themselves(kind: type) -> None:
    m = dumpmap.open(kind(X64.read_bytes()))
    assert m.summary().equals(region_map("layout-x64").summary())
    assert m.snapshot.source.path is None


def test_a_view_of_other_elements_than_bytes() -> None:
    data = synthetic()
    words = np.frombuffer(data + bytes(-len(data) % 4), np.uint32)
    assert dumpmap.open(memoryview(words)).completeness == dumpmap.open(data).completeness  # type: ignore[arg-type]


def test_binary_files() -> None:
    wanted = region_map("layout-x64").summary()
    with X64.open("rb") as file:
        assert dumpmap.open(file).summary().equals(wanted)
    assert dumpmap.open(io.BytesIO(X64.read_bytes())).summary().equals(wanted)
    with gzip.open(X64, "rb") as unpacked:
        assert dumpmap.open(unpacked).summary().equals(wanted)  # type: ignore[arg-type]


def test_a_binary_file_is_read_from_where_it_stands() -> None:
    file = io.BytesIO(b"skipped" + synthetic())
    file.seek(7)
    assert dumpmap.open(file).completeness == dumpmap.open(synthetic()).completeness


def test_a_file_that_cannot_seek() -> None:
    process = subprocess.Popen([sys.executable, "-c", f"print(open({str(X64)!r},'rb').read().hex())"], stdout=-1)
    out, _ = process.communicate()
    with tempfile.TemporaryFile() as file:
        file.write(bytes.fromhex(out.decode()))
        file.seek(0)
        assert dumpmap.open(file).completeness == "map"


@pytest.mark.parametrize("source", [None, 5, 1.5, [], {}, object()])
def test_what_is_no_input_is_a_type_error(source: object) -> None:
    with pytest.raises(TypeError, match="expected a path, bytes or a binary file"):
        dumpmap.open(source)  # type: ignore[arg-type]


def test_a_text_file_is_a_type_error() -> None:
    with pytest.raises(TypeError):
        dumpmap.open(io.StringIO("MDMP"))  # type: ignore[arg-type]


def test_a_map_outlives_its_file(tmp_path: Path) -> None:
    path = tmp_path / "gone.dmp"
    path.write_bytes(synthetic())
    m = dumpmap.open(path)
    path.unlink()
    assert m.at(m.stacks[0].base) is not None
    assert len(m.regions)


# ---------------------------------------------------------------- frames


@pytest.mark.parametrize("name", DUMPS)
def test_dtypes_and_columns_of_the_frames(name: str) -> None:
    m = region_map(name)
    assert tuple(m.allocations.columns) == COLUMNS
    assert tuple(m.regions.columns) == ("allocation", *COLUMNS)
    for frame in (m.allocations, m.regions):
        assert frame["address"].dtype == np.dtype("uint64")
        assert frame["size"].dtype == np.dtype("int64")
        assert frame["inferred"].dtype == np.dtype("bool")
        assert isinstance(frame["type"].dtype, pd.CategoricalDtype)
        assert list(frame["type"].cat.categories) == [info.name for info in TYPES]
        for column in NULLABLE:
            assert frame[column].dtype == pd.Int64Dtype(), column
        for column in TEXTS:
            assert all(isinstance(text, str) for text in frame[column]), column
    assert m.regions["allocation"].dtype == np.dtype("uint64")


@pytest.mark.parametrize("name", DUMPS)
def test_the_summary(name: str) -> None:
    summary = region_map(name).summary()
    names = ["Total", *(info.name for info in TYPES)]
    assert list(summary.index) == (names if name in PLAIN else names[:-1])
    assert summary.index.name == "type"
    assert tuple(summary.columns) == SUMMARY_COLUMNS
    assert set(summary.dtypes) == {pd.Int64Dtype()}


def test_frames_are_made_once() -> None:
    m = region_map("layout-x64")
    for name in ("allocations", "regions"):
        first, second = getattr(m, name), getattr(m, name)
        assert first is not second  # each is its caller's own
        shared = np.shares_memory(first["size"].to_numpy(), second["size"].to_numpy())
        assert shared == (int(pd.__version__.partition(".")[0]) >= 3)


@pytest.mark.parametrize("name", DUMPS)
def test_every_region_belongs_to_an_allocation_of_its_size(name: str) -> None:
    m = region_map(name)
    sums = m.regions.groupby("allocation")["size"].sum()
    assert sums.to_dict() == dict(zip(m.allocations["address"], m.allocations["size"], strict=True))


def test_what_a_dump_cannot_know_is_missing_and_not_zero() -> None:
    m = region_map("layout-x64")
    assert m.allocations["total_ws"].isna().all()
    assert m.summary()["total_ws"].isna().all()
    assert m.summary().loc["Page Table"].isna().all()


# ---------------------------------------------------------------- one address


def test_at() -> None:
    m = region_map("layout-x64")
    module = m.snapshot.modules[0]
    location = m.at(module.base + 0x1234)
    assert location is not None
    assert location.module == module.path
    assert location.offset == 0x1234
    assert location.type.label == "Image"
    assert m.at(m.snapshot.process.pointer_size) is not None, "free space is something too"
    assert m.end is not None
    assert m.at(m.end - 1) is not None


@pytest.mark.parametrize("address", [-1, 1 << 63, 1 << 64, 1 << 100])
def test_at_outside_the_address_space_is_none(address: int) -> None:
    for name in DUMPS:
        assert region_map(name).at(address) is None


@pytest.mark.parametrize("address", ["0x1000", 1.5, None, b"x"])
def test_at_something_that_is_no_address_is_a_type_error(address: object) -> None:
    with pytest.raises(TypeError, match="integer"):
        region_map("layout-x64").at(address)  # type: ignore[arg-type]


def test_at_takes_numpys_integers_of_a_frame() -> None:
    m = region_map("layout-x64")
    address = m.allocations["address"].iloc[5]
    location = m.at(address)
    assert location is not None
    assert location.allocation == int(address)


def test_bytes_in_the_file() -> None:
    m = region_map("layout-x64")
    start, size = m.snapshot.memory.ranges()[0]
    location = m.at(start)
    assert location is not None
    assert location.in_file == size


# ---------------------------------------------------------------- what else a map has


def test_largest_free_block_and_free_blocks() -> None:
    m = region_map("fragment-x86")
    assert isinstance(m.largest_free_block, dumpmap.FreeBlock)
    assert m.free_blocks is not None
    assert m.largest_free_block in m.free_blocks
    assert m.largest_free_block.size == max(block.size for block in m.free_blocks)


@pytest.mark.parametrize("name", DUMPS)
def test_findings_and_representations(name: str) -> None:
    m = region_map(name)
    for finding in m.findings():
        assert finding.severity in ("critical", "warning", "info")
        assert finding.id
        assert finding.title
    assert repr(m).startswith("<RegionMap ")
    assert m._repr_html_().lstrip().startswith("<")


def test_a_map_prints_in_a_rich_console() -> None:
    from rich.console import Console

    console = Console(file=io.StringIO(), width=100, record=True)
    console.print(region_map("layout-x64"))
    text = console.export_text()
    assert "Private Data" in text
    assert "Largest free block" in text


def test_the_report_is_never_written_over_a_file(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("mine")
    with pytest.raises(dumpmap.OutputError, match="already exists"):
        region_map("layout-x64").to_html(path)
    assert path.read_text() == "mine"
    region_map("layout-x64").to_html(path, force=True)
    assert "<html" in path.read_text(encoding="utf-8")


def test_every_name_that_is_promised_is_there() -> None:
    for name in dumpmap.__all__:
        assert getattr(dumpmap, name) is not None
    assert set(dir(dumpmap)) >= set(dumpmap.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = dumpmap.nonsense


def test_importing_it_loads_neither_numpy_nor_pandas() -> None:
    code = "import sys, dumpmap; print({'numpy', 'pandas', 'rich', 'typer'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


# ---------------------------------------------------------------- errors


def test_errors_are_one_family() -> None:
    for kind in (
        dumpmap.InputError,
        dumpmap.FormatError,
        dumpmap.SnapshotError,
        dumpmap.CaptureError,
        dumpmap.OutputError,
    ):
        assert issubclass(kind, dumpmap.DumpmapError)
    assert issubclass(dumpmap.FormatError, dumpmap.InputError)
    assert dumpmap.InputError("x").exit_code == 3
    assert dumpmap.OutputError("x").exit_code == 4


@pytest.mark.parametrize(
    ("content", "kind", "message"),
    [
        (b"", dumpmap.FormatError, "empty file"),
        (b"\x7fELF" + bytes(12) + b"\4\0" + bytes(50), dumpmap.FormatError, "an ELF core dump"),
        (b"PAGEDU64" + bytes(100), dumpmap.FormatError, "a 64-bit Windows kernel memory dump"),
        (b"MZ" + bytes(100), dumpmap.FormatError, "a Windows program"),
        (b"hello\n", dumpmap.FormatError, "a text file"),
        (b"[info] started\n", dumpmap.FormatError, "not a minidump: a text file"),
        (b"[2026-11-27 14:00] started\n", dumpmap.FormatError, "not a minidump: a text file"),
        (
            b' [\n {"format": 1}]',
            dumpmap.FormatError,
            "neither a minidump nor a snapshot: text that begins like a list",
        ),
        (b"[1, 2]", dumpmap.FormatError, "neither a minidump nor a snapshot: text that begins like a list in JSON"),
        (b"hello, \tyou\r\n\x1b[0m", dumpmap.FormatError, "a text file"),
        (b"hello\x1f", dumpmap.FormatError, "not a format that dumpmap reads"),
        (b"hello\x00", dumpmap.FormatError, "not a format that dumpmap reads"),
        (bytes(100), dumpmap.FormatError, "begins with zeros only"),
        (b"MDMP", dumpmap.FormatError, "cut off inside the minidump header"),
    ],
)
def test_what_a_bad_file_raises(tmp_path: Path, content: bytes, kind: type[Exception], message: str) -> None:
    path = tmp_path / "bad.dmp"
    path.write_bytes(content)
    with pytest.raises(kind, match=message) as caught:
        dumpmap.open(path)
    assert isinstance(caught.value, dumpmap.DumpmapError)
    assert caught.value.source == str(path)
    assert str(caught.value).startswith(f"{path}: ")


def _zipped(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("inner", content)
    return file.getvalue()


@pytest.mark.parametrize(("inner", "suffix"), [(gzip.compress, "gz"), (zstandard.compress, "zst"), (_zipped, "zip")])
@pytest.mark.parametrize("outer", [gzip.compress, zstandard.compress, _zipped])
def test_an_archive_in_an_archive_says_so(
    inner: Callable[[bytes], bytes], suffix: str, outer: Callable[[bytes], bytes]
) -> None:
    with pytest.raises(dumpmap.FormatError, match=rf": it holds another archive \(\.{suffix}\); unpack it first$"):
        dumpmap.open(outer(inner(b"MDMP" + bytes(100))))


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(dumpmap.InputError, match="no such file or directory"):
        dumpmap.open(tmp_path / "nowhere.dmp")
    with pytest.raises(dumpmap.InputError, match="is a directory"):
        dumpmap.open(tmp_path)


@pytest.mark.parametrize(
    "error",
    [
        dumpmap.DumpmapError("plain"),
        dumpmap.InputError("missing", source="a.dmp"),
        dumpmap.FormatError("odd", source="a.dmp", place="offset 0x10"),
        dumpmap.SnapshotError("wrong", source="s.json", place="regions.rows[3]"),
        dumpmap.CaptureError("gone", source="PID 1"),
        dumpmap.OutputError("full", source="o.json"),
    ],
)
def test_errors_survive_pickling(error: dumpmap.DumpmapError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert (again.problem, again.source, again.place) == (error.problem, error.source, error.place)
    assert str(again) == str(error)
    assert again.exit_code == error.exit_code


def test_an_error_in_words() -> None:
    assert str(dumpmap.FormatError("odd", source="a.dmp", place="offset 0x10")) == "a.dmp: odd (offset 0x10)"
    assert str(dumpmap.FormatError("odd")) == "odd"


def test_functions_stay_callable_after_their_modules_are_loaded() -> None:
    code = (
        "import dumpmap\n"
        "for name in ('diff', 'triage', 'diff', 'triage'):\n"
        "    assert callable(getattr(dumpmap, name)), name\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_owners_are_a_frame(fixtures: Path) -> None:
    m = dumpmap.open(fixtures / "runtimes" / "node-18.dmp.gz")
    frame = m.owners()
    summary = m.summary().drop(["Total", "Free", "Unusable", "Page Table"])
    assert frame["size"].sum() == summary["size"].sum()
    assert frame["committed"].sum() == summary["committed"].sum()
    v8 = frame[(frame["owner"] == "V8") & (frame["kind"] == "V8 old space")]
    assert set(v8["module"]) == {"node.exe"}
    assert m.owners(["private-data"])["size"].sum() == summary.loc["Private Data", "size"]
    with pytest.raises(ValueError, match="not a type"):
        m.owners(["nothing"])
