"""Every heap of a recorded process, with the sizes that the process printed."""

from __future__ import annotations

from typing import Any

import pytest
from support.recorded import COMPLETE, PLAIN, number, region_map, truth

KINDS = {"wine": "Wine heap", "custom": "custom allocator", "nt": "NT heap"}


def ranges(heap: dict[str, Any]) -> list[tuple[int, int, int, str]]:
    """(base, size, committed, kind) of what the process printed for a heap, by address."""
    return sorted((number(part["base"]), part["size"], part["committed"], part["kind"]) for part in heap["ranges"])


@pytest.mark.parametrize("name", COMPLETE)
def test_the_heap_stream_is_read_as_the_process_wrote_it(name: str) -> None:
    recorded = {heap.address: heap for heap in region_map(name).snapshot.heaps}
    for wanted in truth(name)["heaps"]:
        heap = recorded[number(wanted["address"])]
        assert heap.id == wanted["id"]
        assert heap.name == wanted["name"]
        assert heap.kind == KINDS[wanted["kind"]]
        assert heap.flags == wanted["flags"]
        assert sorted((r.base, r.size, r.committed, r.kind) for r in heap.ranges) == ranges(wanted)


@pytest.mark.parametrize("name", COMPLETE)
def test_each_heap_has_the_allocations_that_it_printed(name: str) -> None:
    found = {heap.info.address: heap for heap in region_map(name).heaps}
    assert set(found) == {number(heap["address"]) for heap in truth(name)["heaps"]}
    for wanted in truth(name)["heaps"]:
        heap = found[number(wanted["address"])]
        assert heap.name == wanted["name"]
        assert list(heap.allocations) == [(base, size) for base, size, _, _ in ranges(wanted)]
        assert {part.base: part.committed for part in heap.ranges} == {
            base: committed for base, _, committed, _ in ranges(wanted)
        }


@pytest.mark.parametrize("name", COMPLETE)
def test_the_map_shows_each_range_as_heap_with_its_size_and_committed_bytes(name: str) -> None:
    frame = region_map(name).allocations.set_index("address")
    for heap in truth(name)["heaps"]:
        for base, size, committed, _ in ranges(heap):
            row = frame.loc[base]
            assert row["type"] == "Heap"
            assert (row["size"], row["committed"]) == (size, committed)
            assert row["details"].startswith("Heap ID: ")
            if heap["name"]:
                assert row["details"].endswith(f"({heap['name']})")


@pytest.mark.parametrize("name", COMPLETE)
def test_nothing_else_is_a_heap(name: str) -> None:
    line = region_map(name).summary().loc["Heap"]
    parts = [part for heap in truth(name)["heaps"] for part in ranges(heap)]
    assert line["size"] == sum(size for _, size, _, _ in parts)
    assert line["committed"] == sum(committed for _, _, committed, _ in parts)
    assert line["private"] == line["committed"]
    assert line["largest"] == max(size for _, size, _, _ in parts)


@pytest.mark.parametrize("name", COMPLETE)
def test_any_block_of_a_heap_lies_in_it(name: str) -> None:
    m = region_map(name)
    titles = {heap.info.address: heap.title for heap in m.heaps}
    for heap in truth(name)["heaps"]:
        for address, _ in heap["blocks"]:
            location = m.at(number(address))
            assert location is not None
            assert location.type.label == "Heap"
            assert location.heap == titles[number(heap["address"])]


@pytest.mark.parametrize("name", PLAIN)
def test_without_peb_and_heap_stream_heaps_are_unknown_not_zero(name: str) -> None:
    m = region_map(name)
    assert m.heaps == ()
    assert m.heap_list_captured is None
    assert m.summary().loc["Heap"].isna().all()
