"""Twice the text takes about twice the steps, for every reader of texts, whatever the text consists of.

Steps are calls of Python and C functions, so that a busy machine changes nothing. What a single call of C does is
measured by the seconds of `test_bombs.py`.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable

import pytest
from support.bombs import COLUMNS, CSV_HEAD, SNAPSHOT_HEAD
from support.counting import steps_of
from support.dumps import tiny
from synth.writers import ModuleAnnotations, unreal_xml

import dumpmap
from dumpmap.parsers import linux_maps
from dumpmap.parsers.opening import read_source
from dumpmap.sources.files import BufferSource

LINE = "{0:08x}-{1:08x} rw-p 00000000 08:01 1 /lib/x.so\n"
REGION = '<Region Address="%d" Size="4096" UseType="1" MemoryType="131072" Protection="4" Details="%d"/>'


def maps(unit: Callable[[int], str]) -> Callable[[int], bytes]:
    """A dump with /proc/PID/maps of so many units."""
    return lambda count: tiny().linux_maps("".join(map(unit, range(count)))).build()


def snapshot(member: str, unit: Callable[[int], str], form: str = "[{}]") -> Callable[[int], bytes]:
    """A snapshot with so many values in a member."""

    def make(count: int) -> bytes:
        values = form.replace("{}", ",".join(map(unit, range(1, count + 1))))
        return SNAPSHOT_HEAD + f'"{member}":{values}}}'.encode()

    return make


def xml(unit: Callable[[int], str], behind: str = "</Snapshot></root>") -> Callable[[int], bytes]:
    """A file of VMMap with so many units."""
    return lambda count: f"<root><Snapshot>{''.join(map(unit, range(1, count + 1)))}{behind}".encode()


def csv(unit: Callable[[int], str]) -> Callable[[int], bytes]:
    """A table of VMMap with so many units behind its headings."""
    return lambda count: CSV_HEAD + "".join(map(unit, range(1, count + 1))).encode()


def txt(unit: Callable[[int], str]) -> Callable[[int], bytes]:
    """A text of VMMap with so many units behind its headings."""
    head = "Process: a.exe\nPID: 1\n\nAddress\tType\tSize\tCommitted\tPrivate\tDetails\n"
    return lambda count: (head + "".join(map(unit, range(1, count + 1)))).encode()


def row(number: int) -> str:
    return f'"{number << 16:x}","Private Data","4","4","4",""\n'


ROWS = '{"columns":[' + COLUMNS.decode() + '],"rows":[{}]}'
INPUTS: dict[str, Callable[[int], bytes]] = {
    "csv": csv(row),
    "csv, fields that do not end": csv(lambda _: '"a","b\n'),
    "csv, quotes": csv(lambda _: '""'),
    "csv, blank lines": csv(lambda _: " \n"),
    "csv, unknown types": csv(lambda n: f'"{n << 16:x}","T{n}","4","4","4",""\n'),
    "csv, one address": csv(lambda _: row(1)),
    "txt": txt(lambda n: f"{n << 16:x}\tPrivate Data\t4\t4\t4\t\n"),
    "txt, blocks": txt(lambda n: f"  {n << 16:x}\tPrivate Data\t4\t4\t4\t\n"),
    "mmp": xml(lambda n: REGION % (n << 16, n)),
    "mmp, one address": xml(lambda n: REGION % (65536, n)),
    "mmp, falling addresses": xml(lambda n: REGION % ((1 << 40) - (n << 16), n)),
    "mmp, other elements": xml(lambda n: f"<a b='{n}'>x</a>"),
    "mmp, text": xml(lambda _: "x &amp; "),
    "mmp, cut off": xml(lambda n: REGION % (n << 16, n), behind="<"),
    "json, regions": snapshot(
        "regions", lambda n: f'["0x{n << 16:x}","0x{n << 16:x}",4,4096,"commit",4,"private"]', ROWS
    ),
    "json, modules": snapshot("modules", lambda n: f'{{"base":"0x{n << 16:x}","size":1,"path":"a{n}"}}'),
    "json, memory": snapshot("memory", lambda n: f'{{"address":"0x{n << 16:x}","data":"AAAA"}}'),
    "json, memory that falls": snapshot("memory", lambda n: f'{{"address":"0x{9999 - n:x}000","data":"AAAA"}}'),
    "json, annotations": snapshot("annotations", lambda n: f'"k{n}":"v"', "{{}}"),
    "json, a wrong annotation": snapshot("annotations", lambda n: f'"k{n}":"v"', '{{},"z":5}'),
    "json, handles": snapshot("handle_types", lambda n: f'"k{n}":{n}', "{{}}"),
    "json, comments": snapshot("comments", lambda n: f'"c{n}"'),
    "LinuxMaps": maps(lambda n: LINE.format((n + 1) << 12, (n + 2) << 12)),
    "LinuxMaps, falling": maps(lambda n: LINE.format((9000 - n) << 12, (9001 - n) << 12)),
    "LinuxMaps, overlapping": maps(lambda n: LINE.format(4096, (n + 2) << 12)),
    "LinuxMaps, other files": maps(lambda n: LINE.format((n + 1) << 12, (n + 2) << 12).replace("x.so", f"{n}.so")),
    "LinuxMaps, no lines of it": maps(lambda _: "x y\n"),
    "LinuxMaps, empty lines": maps(lambda _: "\n"),
    "annotations, Crashpad": lambda count: tiny().crashpad_info(*((f"k{n}", "v") for n in range(count))).build(),
    "annotations, of a module": lambda count: (
        tiny()
        .module(0x10000, 0x1000, "a.dll")
        .crashpad_info(
            modules=[ModuleAnnotations(0, tuple(f"t{n}" for n in range(count)), (), (("x", 1, b"1"),) * count)]
        )
        .build()
    ),
    "annotations, Mozilla": lambda count: tiny().soft_errors(json.dumps([{"a": n} for n in range(count)])).build(),
    "annotations, Unreal": lambda count: (
        tiny().unreal_context(unreal_xml({f"V{n}": "x" for n in range(count)}, [(1, "main", True)]), "utf-8").build()
    ),
    "annotations, Unreal's threads": lambda count: (
        tiny().unreal_context(unreal_xml({}, [(n, "worker", False) for n in range(count)]), "utf-8").build()
    ),
    "comment": lambda count: tiny().comment_a("a b\r\n" * count).build(),
}


def steps(data: bytes) -> int:
    """Counts the calls that reading takes."""

    def read() -> None:
        with contextlib.suppress(dumpmap.DumpmapError):
            read_source(BufferSource("x", data))

    return steps_of(read)


@pytest.mark.parametrize("name", INPUTS)
def test_twice_the_input_takes_twice_the_steps(name: str) -> None:
    make = INPUTS[name]
    steps(make(2))  # imports, and what is made once
    few, once, twice = steps(make(10)), steps(make(200)), steps(make(400))
    assert twice - once <= 1.2 * (once - few) * 200 / 190 + 200


def test_the_measure_notices_what_is_not_linear(monkeypatch: pytest.MonkeyPatch) -> None:
    real = linux_maps.parse_maps

    def quadratic(text: str) -> object:
        for _ in text.splitlines():
            real(text)
        return real(text)

    monkeypatch.setattr(linux_maps, "parse_maps", quadratic)
    with pytest.raises(AssertionError):
        test_twice_the_input_takes_twice_the_steps("LinuxMaps")
