"""Bounded list walks: whole rings, one missing node, circles, endless lists."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from dumpmap.structures.walk import NOT_CAPTURED, ListWalk, walk_list

HEAD = 0x100


def ring(count: int) -> dict[int, tuple[int, int]]:
    """Returns Flink and Blink of a head and `count` nodes."""
    addresses = [HEAD, *(0x1000 * (index + 1) for index in range(count))]
    size = len(addresses)
    return {address: (addresses[(index + 1) % size], addresses[index - 1]) for index, address in enumerate(addresses)}


def walk(links: dict[int, tuple[int, int]], limit: int = 1000) -> ListWalk[int]:
    def visit(node: int) -> tuple[int, int, int] | str:
        return (*links[node], node) if node in links else NOT_CAPTURED

    return walk_list(HEAD, *links[HEAD], visit, limit)


def test_a_whole_ring() -> None:
    found = walk(ring(5))
    assert [node for node, _ in found.nodes] == [0x1000, 0x2000, 0x3000, 0x4000, 0x5000]
    assert found.closed
    assert not found.problems


def test_an_empty_ring() -> None:
    found = walk(ring(0))
    assert found.closed
    assert not found.nodes


@settings(deadline=None)
@given(st.integers(2, 30), st.data())
def test_one_missing_node_costs_only_itself(count: int, data: st.DataObject) -> None:
    links = ring(count)
    lost = data.draw(st.integers(1, count)) * 0x1000
    del links[lost]
    found = walk(links)
    assert [node for node, _ in found.nodes] == [node for node in sorted(links) if node != HEAD]
    assert not found.closed
    assert not found.problems
    assert found.missing == [f"leaves the captured bytes at {lost:#x}"]
    assert found.lost == lost


def test_two_missing_nodes_lose_what_is_between_them() -> None:
    links = ring(9)
    del links[0x3000], links[0x7000]
    found = walk(links)
    assert [node for node, _ in found.nodes] == [0x1000, 0x2000, 0x8000, 0x9000]
    assert not found.problems
    assert len(found.missing) == 2
    assert found.lost is None


def test_a_circle_ends_and_the_rest_is_found_from_behind() -> None:
    links = ring(6)
    links[0x3000] = (0x2000, 0x2000)
    found = walk(links)
    assert sorted(node for node, _ in found.nodes) == [0x1000 * index for index in range(1, 7)]
    assert any("loops" in problem for problem in found.problems)


def test_a_node_that_points_back_elsewhere_is_noted_and_followed() -> None:
    links = ring(4)
    links[0x3000] = (0x4000, 0x1000)
    found = walk(links)
    assert len(found.nodes) == 4
    assert found.closed
    assert len(found.problems) == 1


def test_an_endless_list_stops_at_the_limit() -> None:
    visited = 0

    def visit(node: int) -> tuple[int, int, None]:
        nonlocal visited
        visited += 1
        return node + 0x1000, node - 0x1000, None

    found = walk_list(HEAD, 0x1000, 0x7FFF0000, visit, 50)
    assert visited == len(found.nodes) == 50
    assert any("does not end" in problem for problem in found.problems)


@settings(deadline=None)
@given(
    st.dictionaries(st.integers(1, 8), st.tuples(st.integers(1, 10), st.integers(1, 10)), max_size=8),
    st.integers(1, 10),
    st.integers(1, 10),
)
def test_any_links_end_and_give_every_node_once(links: dict[int, tuple[int, int]], flink: int, blink: int) -> None:
    found = walk({HEAD: (flink, blink), **links})
    nodes = [node for node, _ in found.nodes]
    assert len(nodes) == len(set(nodes)) <= len(links)
