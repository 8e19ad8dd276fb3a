"""The figures of a stack, against numbers that are chosen and not computed by dumpmap."""

from __future__ import annotations

import pytest
from support.scenes import GRANULE, MB, Scene
from synth.minidump import PAGE_READWRITE

from dumpmap.model.snapshot import Thread

BASE = 0x100000
PAGE_GUARD = 0x100


def stack_scene() -> Scene:
    """A stack of 1 MB at 1 MB: 40 KB committed at its end, and a guard page below them."""
    scene = Scene()
    scene.allocate(MB, base=BASE, commit=0)
    scene.commit(BASE + MB - 0xB000, 0x1000, PAGE_READWRITE | PAGE_GUARD)
    scene.commit(BASE + MB - 0xA000, 0xA000)
    scene.allocate(GRANULE, base=BASE + MB)
    return scene


@pytest.mark.parametrize(
    ("pointer", "headroom"),
    [
        (BASE - 1, None),
        (BASE, 0),
        (BASE + 1, 1),
        (0x1F6238, 0xF6238),
        (BASE + MB - 1, MB - 1),
        (BASE + MB, MB),  # nothing was pushed yet
        (BASE + MB + 1, None),
    ],
)
def test_headroom_is_what_lies_below_the_stack_pointer(pointer: int, headroom: int | None) -> None:
    thread = Thread(7, stack_base=BASE + MB - 0x1000, stack_size=0x1000, stack_pointer=pointer)
    (stack,) = stack_scene().map(threads=[thread]).stacks
    assert stack.headroom == headroom
    assert stack.stack_pointer == (None if headroom is None else pointer)


def test_every_figure_of_a_stack() -> None:
    thread = Thread(7, stack_base=BASE + MB - 0x1000, stack_size=0x1000, stack_pointer=BASE + MB - 0x3000)
    (stack,) = stack_scene().map(threads=[thread]).stacks
    assert (stack.thread_id, stack.base, stack.end) == (7, BASE, BASE + MB)
    assert (stack.reserve, stack.committed, stack.guard) == (MB, 0xB000, 0x1000)
    assert stack.evidence == "thread-list"
    assert not stack.inferred
