"""A hostile text in every text field of every writer's stream, and a search of what is meant to be shared."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest
from support.canaries import readings
from support.cli import run
from synth.minidump import MinidumpBuilder
from synth.writers import ENGINE_OOM, ModuleAnnotations, unreal_xml

import dumpmap
from dumpmap.render.html import render_report
from dumpmap.writers.snapshot_texts import without_texts

UNREAL = tuple(
    name
    for name, value in ENGINE_OOM.items()
    if not re.fullmatch(r"\d+|true|false", value) and name not in ("CrashType", "ErrorMessage")
)
FIELDS = (
    *(f"unreal-{name.lower()}" for name in UNREAL),
    *("unreal-crashtype", "unreal-errormessage", "unreal-thread", "unreal-leaf", "unreal-gamedata"),
    *("simple-name", "simple-value", "list-text", "module-name", "module-value", "object-name", "object-value"),
    *("prod", "ver", "ptype", "url", "plat", "v8-location", "v8-detail", "v8-stack", "mozcrashreason"),
    *("comment-a", "comment-w", "soft-errors", "service-pack", "handle-type"),
)


def canary(field: str) -> str:
    """A text with a URL, a user's path, and the name of its field."""
    return f"https://evil.example/{field}?u=C:\\Users\\me\\{field}-hunter2"


def hostile(*, unreal: bool) -> bytes:
    """A dump whose writers put a canary into every text that they can set."""
    c = canary
    dump = (
        MinidumpBuilder("x64")
        .system_info(service_pack=c("service-pack"))
        .module(0x400000, 0x1000, "app.exe")
        .thread(12916)
        .thread(4711)
        .comment_a(c("comment-a"))
        .comment_w(c("comment-w"))
        .soft_errors(json.dumps([c("soft-errors"), {c("soft-errors"): 1}]))
        .handle(4, c("handle-type"), "x")
    )
    simple = [(c("simple-name"), "1"), ("note", c("simple-value"))]
    simple += [(name, c(name)) for name in ("prod", "ver", "ptype", "url", "plat")] + [("OOMAllocationSize", "4096")]
    objects = (
        (c("object-name"), 1, b"2"),
        ("note", 1, c("object-value").encode()),
        ("electron.v8-oom.location", 1, f"Reached heap limit {c('v8-location')}".encode()),
        ("electron.v8-oom.detail", 1, c("v8-detail").encode()),
        ("electron.v8-oom.stack", 1, c("v8-stack").encode()),
        ("MozCrashReason", 1, c("mozcrashreason").encode()),
    )
    texts, pairs = (c("list-text"),), ((c("module-name"), "1"), ("note", c("module-value")))
    dump.crashpad_info(*simple, modules=[ModuleAnnotations(0, texts, pairs, objects)])
    if unreal:
        oom = f"Ran out of memory allocating 8172146688 bytes with alignment 0 {c('unreal-errormessage')}"
        values = {**ENGINE_OOM, **{name: c(f"unreal-{name.lower()}") for name in UNREAL}}
        values |= {"CrashType": c("unreal-crashtype"), "ErrorMessage": oom}
        leaf = f"<Leaf-hunter2-unreal-leaf>{c('unreal-leaf')}</Leaf-hunter2-unreal-leaf>"
        text = unreal_xml(values, ((4711, c("unreal-thread"), True),), inner=leaf)
        game = f"<GameData><Note>{c('unreal-gamedata')}</Note></GameData>"
        dump.unreal_context(text.replace("<GameData />", game))
    return dump.build()


def fields_in(content: bytes) -> set[str]:
    """The fields whose canaries are in a file, whatever it is packed or encoded with."""
    text = b"\0".join(readings(content))
    text += text.replace(b"\\u003c", b"<").replace(b"\\\\", b"\\").replace(b"\0", b"")
    found = {field for field in FIELDS if re.search(rb"(?i)/%b\?u|%b-hunter2" % ((field.encode(),) * 2), text)}
    return found | ({"any"} if re.search(rb"(?i)hunter2|evil\.example", text) else set())


@pytest.fixture(params=[True, False], ids=["unreal", "crashpad"])
def dump(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "app.dmp"
    path.write_bytes(hostile(unreal=request.param))
    return path


def outputs(dump: Path, *options: str) -> dict[str, bytes]:
    """The snapshot packed and unpacked, and the report, made with these options."""
    made = {}
    for command, name in (("snapshot", "o.json"), ("snapshot", "o.json.gz"), ("report", "o.html")):
        path = dump.with_name(name)
        ran = run(command, str(dump), *options, "-o", str(path), "--force")
        assert ran.code == 0, ran.err
        made[name] = path.read_bytes()
    return made


@pytest.mark.parametrize(
    ("pack", "kept"),
    [
        ("Service Pack 3", True),
        ("Service Pack 2, v.2096", True),
        ("Service Pack 1, RC 1", True),
        ("1350", True),
        ("RC2", True),
        ("4915551234567", False),
        ("Service Pack of Jane", False),
        ("1350 jane", False),
    ],
)
def test_a_short_service_pack_of_digits_and_known_words_is_kept(pack: str, kept: bool) -> None:
    region_map = dumpmap.open(MinidumpBuilder("x64").system_info(service_pack=pack).thread(4).build())
    shared = without_texts(region_map.snapshot)
    assert shared.process.os.service_pack == (pack if kept else None)
    assert shared.omitted_texts == (not kept)


def test_every_field_is_read(dump: Path) -> None:
    """`info` has all of them: a field that is not read would prove nothing here."""
    ran = run("info", str(dump), "--format", "json")
    expected = {field for field in FIELDS if not field.startswith("unreal")} - {"any"}
    if b"F\0G\0e\0n" in dump.read_bytes():
        expected = set(FIELDS)
    # Unreal's own message is shown, and not Mozilla's; its own names of product and process.
    assert expected <= fields_in(ran.out.encode()), expected - fields_in(ran.out.encode())


@pytest.mark.parametrize("options", [(), ("--redact",), ("--owners", "structure")])
def test_nothing_of_them_is_shared(dump: Path, options: tuple[str, ...]) -> None:
    for name, content in outputs(dump, *options).items():
        assert fields_in(content) == set(), name


def test_all_is_kept_on_request(dump: Path) -> None:
    for name, content in outputs(dump, "--keep-text").items():
        found = fields_in(content)
        assert {"prod", "ver", "url", "simple-name", "simple-value", "soft-errors", "comment-w"} <= found, name


def test_a_snapshot_and_a_page_say_how_much_is_left_out(dump: Path) -> None:
    path = dump.with_name("o.json")
    dumpmap.open(dump).to_snapshot(path)
    document = json.loads(path.read_text("utf-8"))
    count = document["omitted_texts"]
    assert count >= 20
    assert document["writer"]["texts_omitted"] is True
    words = f"{count} texts that can hold user data are left out; --keep-text keeps them"
    assert words in " ".join(run("info", str(path)).out.split())
    assert words in render_report(dumpmap.open(dump))
    # Reduced once more, nothing further goes, and the count stays.
    again = dump.with_name("again.json")
    dumpmap.open(path).to_snapshot(again)
    second = json.loads(again.read_text("utf-8"))
    assert {**second, "source": None} == {**document, "source": None}  # the path of the source is another


def test_the_diagnosis_stays(dump: Path) -> None:
    path = dump.with_name("o.json")
    original = dumpmap.open(dump)
    original.to_snapshot(path)
    reduced = dumpmap.open(path)
    assert [one.id for one in reduced.findings()] == [one.id for one in original.findings()]
    assert {one.id for one in original.findings()} & {"runtime-heap-limit-reached", "writer-recorded-out-of-memory"}


def value_of(**annotations: str) -> dict[str, Any]:
    """What a snapshot keeps of annotations."""
    dump = MinidumpBuilder("x64").system_info().module(0x400000, 0x1000, "app.exe").crashpad_info(*annotations.items())
    from dumpmap.writers.snapshot_texts import without_texts

    snapshot = without_texts(dumpmap.open(dump.build()).snapshot)
    assert snapshot.writer is not None
    return {one.name: one.value for one in snapshot.writer.annotations}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("prod", "Electron"), ("prod", "Visual Studio Code"), ("prod", "UE4-Rocks"), ("ver", "131.0.6778.86"),
        ("ver", "1.2.3-beta.4"), ("ver", "128.5.0esr"), ("ptype", "gpu-process"), ("channel", "stable"),
        ("oom-size", "16777216"), ("EngineVersion", "4.24.3-0+++UE4+Release-4.24"),
    ],
)  # fmt: skip
def test_what_is_harmless_stays(name: str, value: str) -> None:
    assert value_of(**{name: value}) == {name: value}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("prod", "www.example.com"), ("prod", "me@example.com"), ("prod", "C:\\Users\\me"), ("prod", "555 123456"),
        ("prod", "a8f3c2d17be94410"), ("prod", "one two three four five"), ("prod", "x" * 60), ("prod", "a\nb"),
        ("ver", "1.2/../../etc"), ("ver", "1.0 (built by me)"), ("ptype", "some-words"), ("channel", "my branch"),
        ("oom-size", "a lot"), ("url", "12345"), ("EngineVersion", "4.24.3-0+++Secret+Release-4.24"),
    ],
)  # fmt: skip
def test_what_can_hold_more_does_not(name: str, value: str) -> None:
    assert value_of(**{name: value}) == {name: None}


@pytest.mark.parametrize("name", ["my-name", "https://x/", "555123", "UserId", ""])
def test_an_unknown_name_goes_with_its_value(name: str) -> None:
    assert value_of(**{name: "1", "pid": "7"}) == {"pid": "7"}


def test_texts_of_a_snapshot_that_another_program_wrote_are_left_out(tmp_path: Path) -> None:
    """A JSON snapshot can have any text in a field that dumpmap itself fills from a list."""
    path, again = tmp_path / "a.json", tmp_path / "b.json"
    dumpmap.open(hostile(unreal=False)).to_snapshot(path)
    document = json.loads(path.read_text("utf-8"))
    bad = canary("json")
    writer = document["writer"]
    writer |= {"writer": bad, "source": bad, "crash_type": bad, "memory": {bad: 1}, "thread_names": [[1, bad]]}
    writer["heap_limit"] |= {"runtime": bad, "source": bad}
    writer["annotations"].append({"source": bad, "name": "pid", "value": "1", "module": bad})
    document["annotations"] = {bad: "1", "pid": bad}
    path.write_text(json.dumps(document), encoding="utf-8")
    before = document["omitted_texts"]
    dumpmap.open(path).to_snapshot(again)
    assert "hunter2" not in again.read_text("utf-8")
    assert json.loads(again.read_text("utf-8"))["omitted_texts"] == before + 11
    document["writer"] = None
    path.write_text(json.dumps(document), encoding="utf-8")
    dumpmap.open(path).to_snapshot(again, force=True)
    assert "hunter2" not in again.read_text("utf-8")
    assert "texts that can hold user data are left out" in " ".join(run("info", str(again)).out.split())


def test_both_options_exclude_each_other(dump: Path) -> None:
    for command, name in (("snapshot", "o.json"), ("report", "o.html")):
        ran = run(command, str(dump), "--redact", "--keep-text", "-o", str(dump.with_name(name)))
        assert ran.code == 2
        assert "--redact removes what --keep-text keeps" in " ".join(ran.err.split())
    with pytest.raises(ValueError, match="redact removes what keep_text keeps"):
        dumpmap.open(dump).to_snapshot(dump.with_name("o.json"), redact=True, keep_text=True)


def test_encoded_texts_are_found() -> None:
    """The search itself: a canary in base64 would be seen."""
    assert fields_in(base64.b64encode(canary("prod").encode())) == {"prod", "any"}
