"""Which texts of a crash reporter go into a snapshot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.cli import run
from support.dumps import map_of, tiny
from synth.writers import ModuleAnnotations, unreal_xml

import dumpmap
from dumpmap.writers.snapshot_texts import is_plain

SECRETS = ("https://example.com/?user=me", "C:\\Users\\me", "Ran out of memory", "at eval (script.js:1)", "D:/Build")
OBJECTS = (
    ("url", 1, b"https://example.com/?user=me"),
    ("electron.v8-oom.stack", 1, b"at eval (script.js:1)"),
    ("electron.v8-oom.location", 1, b"Reached heap limit"),
    ("electron.v8-oom.detail", 1, b"C:\\Users\\me"),
    ("electron.v8-oom.heap.used", 1, b"4164542836"),
    ("electron.v8-oom.heap.limit", 1, b"4294967296"),
    ("electron.v8-oom.is_heap_oom", 1, b"1"),
    ("ptype", 1, b"renderer"),
    ("process_type", 1, b"C:\\Users\\me"),
)


def dump() -> bytes:
    simple = (("switch-1", "--user-data-dir=C:\\Users\\me"), ("prod", "Electron"), ("ver", "31.2.0"), ("pid", "42"))
    return (
        tiny()
        .thread(12916)
        .module(0x400000, 0x1000, "App.exe")
        .crashpad_info(*simple, modules=[ModuleAnnotations(0, objects=OBJECTS)])
        .unreal_context(unreal_xml())
        .soft_errors('["C:\\\\Users\\\\me"]')
        .build()
    )


def written(tmp_path: Path, **options: Any) -> str:
    path = tmp_path / "small.json"
    map_of(dump()).to_snapshot(path, force=True, **options)
    return path.read_text(encoding="utf-8")


def test_texts_that_can_hold_user_data_are_left_out(tmp_path: Path) -> None:
    document = json.loads(written(tmp_path))
    texts = json.dumps(document, ensure_ascii=False)
    assert not [secret for secret in SECRETS if json.dumps(secret)[1:-1] in texts]
    writer = document["writer"]
    assert writer["texts_omitted"] is True
    assert (writer["message"], writer["soft_errors"]) == (None, [])
    assert (writer["requested"], writer["out_of_memory"], writer["crash_type"]) == (8172146688, True, "Assert")
    assert writer["heap_limit"]["location"] == "Reached heap limit"
    assert (writer["heap_limit"]["used"], writer["heap_limit"]["detail"]) == (4164542836, None)
    values = {one["name"]: one["value"] for one in writer["annotations"]}
    assert (values["url"], values["ptype"], values["process_type"]) == (None, "renderer", None)
    assert document["annotations"] == {"prod": "Electron", "ver": "31.2.0", "pid": "42"}


def test_texts_are_kept_on_request(tmp_path: Path) -> None:
    text = written(tmp_path, keep_text=True)
    assert not [secret for secret in SECRETS if json.dumps(secret)[1:-1] not in text]
    assert json.loads(text)["writer"]["texts_omitted"] is False


@pytest.mark.parametrize("keep_text", [False, True])
def test_the_snapshot_has_the_same_record_and_verdict(tmp_path: Path, keep_text: bool) -> None:
    written(tmp_path, keep_text=keep_text)
    original, again = map_of(dump()), dumpmap.open(tmp_path / "small.json")
    first, second = original.snapshot.writer, again.snapshot.writer
    assert first is not None
    assert second is not None
    assert first.heap_limit is not None
    assert second.heap_limit is not None
    assert (first.requested, first.memory, first.thread_names) == (second.requested, second.memory, second.thread_names)
    assert (first.heap_limit.limit, first.heap_limit.location) == (second.heap_limit.limit, second.heap_limit.location)
    assert [finding.id for finding in original.findings()] == [finding.id for finding in again.findings()]
    assert (first == second) is keep_text


def test_the_option_of_the_command(tmp_path: Path) -> None:
    path = tmp_path / "crash.dmp"
    path.write_bytes(dump())
    assert SECRETS[0] not in run("snapshot", str(path), "-o", "-").out
    assert SECRETS[0] in run("snapshot", str(path), "-o", "-", "--keep-text").out
    assert run("snapshot", str(path), "-o", str(tmp_path / "small.json")).code == 0
    assert "--keep-text keeps them" in " ".join(run("info", str(tmp_path / "small.json")).out.split())


@pytest.mark.parametrize("text", ["0", "-12", "1.5", "0xFF", "31.2.0", "true", " 7 "])
def test_plain_values(text: str) -> None:
    assert is_plain(text)


@pytest.mark.parametrize("text", ["", "a", "1 2", "0x", "http://1.2", "1/2", "1.2.3.4.5.6.7", "C:", "1\n2", "9" * 40])
def test_values_that_are_texts(text: str) -> None:
    assert not is_plain(text)
