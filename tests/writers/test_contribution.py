"""`contribute`: the same map from structures only, and a text that lists all that the file holds."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
import pytest
from support.cli import run
from support.recorded import DUMPS, FOLDER

import dumpmap
from dumpmap.model.snapshot import Snapshot
from dumpmap.parsers.snapshot_json.schema import SnapshotDocument
from dumpmap.views.contribution import PARTS, texts_in, words_in
from dumpmap.writers.contribution import save_contribution, structures_only

INPUTS = {
    **{name: DUMPS[name] for name in ("fragment-x86", "layout-x64", "layout-wow64", "layout-x86-plain")},
    **{name: FOLDER / "runtimes" / f"{name}.dmp.gz" for name in ("java-17-g1", "node-22", "dotnet-10")},
    **{path.stem: path for path in sorted((FOLDER / "writers").glob("*.dmp*"))[:2]},
}


@pytest.fixture(scope="module", params=INPUTS)
def written(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """An input, its contribution, and the text."""
    output = tmp_path_factory.mktemp("contribution") / "c.json.gz"
    ran = run("-q", "contribute", str(INPUTS[request.param]), "-o", str(output))
    assert (ran.code, ran.err) == (0, "")
    text = output.with_name("c.txt")
    assert ran.out == (
        f"Wrote {output} ({output.stat().st_size:,} bytes) and {text}, which lists what is in it. Nothing was sent.\n"
    )
    return INPUTS[request.param], output, text


def test_the_map_is_the_same(written: tuple[Path, Path, Path]) -> None:
    source, output, _ = written
    before, after = dumpmap.open(source), dumpmap.open(output)
    pd.testing.assert_frame_equal(after.summary(), before.summary())
    columns = ["address", "type", "size", "committed", "evidence", "owner", "inferred"]
    pd.testing.assert_frame_equal(after.allocations[columns], before.allocations[columns])
    pd.testing.assert_frame_equal(after.regions[columns], before.regions[columns])
    assert [one.id for one in after.findings()] == [one.id for one in before.findings()]


def strings(value: Any) -> Iterator[str]:
    """Every text of a JSON value, keys of tables of counts included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)


_HARMLESS = re.compile(
    r"0x[0-9a-f]+|\d{4}-\d\d-\d\dT.*Z|commit|reserve|free|private|mapped|image|gzip|zstd|zip|dumpmap-snapshot|"
)


def test_the_text_has_every_text_of_the_file(written: tuple[Path, Path, Path]) -> None:
    """Read by another program, without dumpmap."""
    _, output, path = written
    text = path.read_text("utf-8")
    document = json.loads(gzip.decompress(output.read_bytes()))
    memory = document.pop("memory")
    del (document["regions"] or {"columns": 0})["columns"]
    names = [*document["handle_types"], *document["annotations"]]
    unfolded = " ".join(text.split())
    for name in {*strings(document), *names}:
        if not _HARMLESS.fullmatch(name):
            assert " ".join(name.split()) in unfolded, name
    texts: set[bytes] = set()
    for piece in memory:
        data = base64.b64decode(piece["data"])
        texts.update(re.findall(rb"[!-~]{5,}", data))
        texts.update(one[::2] for one in re.findall(rb"(?:[!-~]\0){5,}", data))
    joined = text.replace("\n  ", "")  # a long text goes on in the next line
    assert not [found for found in texts if found.decode() not in text and found.decode() not in joined]
    assert f"{len(memory):,}" in text


def test_the_text_names_the_file(written: tuple[Path, Path, Path]) -> None:
    source, output, path = written
    text = path.read_text("utf-8")
    assert hashlib.sha256(output.read_bytes()).hexdigest() in text
    assert source.name not in text
    assert str(output.parent) not in text
    assert source.name not in gzip.decompress(output.read_bytes()).decode()


def test_every_part_of_the_format_is_described() -> None:
    assert list(PARTS) == [
        name for name in msgspec.structs.asdict(msgspec.convert(MINIMAL, SnapshotDocument)) if name in PARTS
    ]
    assert set(PARTS) == set(SnapshotDocument.__struct_fields__)


MINIMAL = {
    "format": "dumpmap-snapshot",
    "version": 1,
    "source": {"kind": "minidump", "name": "x"},
    "process": {"architecture": "x64", "pointer_size": 8, "os": {"family": "windows"}},
}


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("C:\\Windows\\System32\\ntdll.dll", True),
        ("c:\\windows\\system32\\ntdll.dll", True),
        ("\\SystemRoot\\System32\\ntdll.dll", True),
        ("\\Device\\HarddiskVolume3\\Windows\\System32\\ntdll.dll", True),
        ("/usr/lib/x86_64-linux-gnu/libc.so.6", True),
        ("/lib64/ld.so", True),
        ("ntdll.dll", True),
        ("[heap]", True),
        ("Read/Write", True),
        ("C:\\Acme\\Windows\\x.dll", False),
        ("C:\\x.dll", False),
        ("\\\\server\\share\\x.dll", False),
        ("\\Device\\HarddiskVolume3\\Acme\\x.dll", False),
        ("/opt/acme/lib/x.dll", False),
        ("/home/ann/x.dll", False),
    ],
)
def test_only_folders_of_the_system_stay(path: str, kept: bool) -> None:
    snapshot = dumpmap.open(DUMPS["layout-x86-plain"]).snapshot
    module = msgspec.structs.replace(snapshot.modules[0], path=path, debug_file="D:\\acme\\x.pdb")
    (bare,) = structures_only(_with_modules(snapshot, module)).modules
    mark = "\\" if "\\" in path else "/"
    assert bare.path == (path if kept else f"<folder>{mark}x.dll")
    assert bare.debug_file is None


def _with_modules(snapshot: Snapshot, *modules: Any) -> Snapshot:
    from dataclasses import replace

    return replace(snapshot, modules=modules)


def test_what_exists_is_kept(tmp_path: Path) -> None:
    (tmp_path / "c.txt").write_text("mine", "utf-8")
    dump, output = str(DUMPS["layout-x86-plain"]), tmp_path / "c.json"
    ran = run("contribute", dump, "-o", str(output))
    assert ran.code == 4
    assert "c.txt: already exists. Use --force to overwrite it" in ran.err
    assert not output.exists()
    assert run("contribute", dump, "-o", str(output), "--force").code == 0
    assert "A contribution to dumpmap" in (tmp_path / "c.txt").read_text("utf-8")
    assert run("contribute", dump, "-o", "-").code == 2
    assert run("contribute", dump, "-o", str(tmp_path / "c.zip")).code == 2


def test_a_contribution_of_a_contribution_is_the_same(tmp_path: Path) -> None:
    first, second = tmp_path / "a.json", tmp_path / "b.json"
    for source, output in ((FOLDER / "runtimes" / "node-22.dmp.gz", first), (first, second)):
        m = dumpmap.open(source)
        save_contribution(m, output, recording=m.recording)
    a, b = dumpmap.open(first).snapshot, dumpmap.open(second).snapshot
    assert texts_in(a) == texts_in(b)
    assert words_in(a) == words_in(b)
