"""Words among the variables of modules: which values are looked for, and where."""

from __future__ import annotations

import pytest
from support.structures import memory_of, space_of
from synth.process import ProcessBuilder

from dumpmap.structures.module_data import ModuleData
from dumpmap.structures.recognisers.protocol import Context, LoadedModule


@pytest.fixture(name="data", params=[4, 8])
def fixture_data(request: pytest.FixtureRequest) -> tuple[ModuleData, int, int]:
    """A module with the values 1 and the largest, both twice, once not aligned; where its variables are; the width."""
    width = request.param
    process = ProcessBuilder("x64" if width == 8 else "x86", 19045)
    module = process.add_module("app.dll")
    start = module.sections[".data"][0]
    process.write(start, bytes(0x200))
    for at, value in ((0x40, 1), (0x61, 1), (0x80, (1 << 8 * width) - 1), (0xC3, (1 << 8 * width) - 1)):
        process.write(start + at, value.to_bytes(width, "little"))
    modules = [LoadedModule(module.base, module.size, "app.dll")]
    context = Context(memory_of(process), space_of(process), "windows", 19045, width, modules=modules)
    return ModuleData(context, width), start, width


def test_only_aligned_words_of_the_values_are_found(data: tuple[ModuleData, int, int]) -> None:
    words, start, width = data
    largest = (1 << 8 * width) - 1
    assert [(word.value, word.address - start) for word in words.find([1, largest])] == [(1, 0x40), (largest, 0x80)]


def test_what_no_pointer_can_be_is_not_looked_for(data: tuple[ModuleData, int, int]) -> None:
    words, _, width = data
    assert list(words.find([0, -1, 1 << 8 * width])) == []
