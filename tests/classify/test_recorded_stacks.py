"""Every stack of a recorded process: thread, place, reserved, committed and guard bytes."""

from __future__ import annotations

import pytest
from support.recorded import COMPLETE, PLAIN, number, region_map, stacks, truth


@pytest.mark.parametrize("name", COMPLETE)
def test_each_stack_with_its_thread_and_figures(name: str) -> None:
    found = {(stack.thread_id, stack.bits): stack for stack in region_map(name).stacks}
    wanted = list(stacks(name))
    assert len(found) == len(wanted)
    for expected in wanted:
        stack = found[expected["tid"], expected["bits"]]
        assert stack.base == number(expected["allocation_base"])
        assert stack.reserve == expected["reserve"]
        assert stack.end == number(expected["allocation_base"]) + expected["reserve"]
        assert stack.committed == expected["committed"]
        assert stack.guard == expected["guard"]
        assert stack.teb == number(expected["teb"])
        assert stack.name == expected["name"]
        assert stack.evidence == "teb"
        assert not stack.inferred


@pytest.mark.parametrize("name", COMPLETE)
def test_stacks_are_of_type_stack_with_the_thread_in_the_details(name: str) -> None:
    frame = region_map(name).allocations.set_index("address")
    for expected in stacks(name):
        row = frame.loc[number(expected["allocation_base"])]
        assert row["type"] == "Stack"
        assert row["details"] == f"Thread ID: {expected['tid']} ({expected['name']})"
        assert row["size"] == expected["reserve"]
        assert row["committed"] == expected["committed"]


@pytest.mark.parametrize("name", COMPLETE)
def test_nothing_else_is_a_stack(name: str) -> None:
    line = region_map(name).summary().loc["Stack"]
    assert line["size"] == sum(stack["reserve"] for stack in stacks(name))
    assert line["committed"] == sum(stack["committed"] for stack in stacks(name))
    assert line["largest"] == max(stack["reserve"] for stack in stacks(name))


@pytest.mark.parametrize("name", COMPLETE)
def test_guard_pages_of_stacks_are_rows_of_their_own(name: str) -> None:
    frame = region_map(name).regions
    for expected in stacks(name):
        rows = frame[frame["allocation"] == number(expected["allocation_base"])]
        guard = rows[rows["kind"] == "Guard"]
        assert int(guard["size"].sum()) == expected["guard"]
        assert guard["protection"].str.endswith("/Guard").all()


@pytest.mark.parametrize("name", PLAIN)
def test_without_a_memory_list_a_stack_claims_no_more_than_was_captured(name: str) -> None:
    m = region_map(name)
    by_thread = {stack.thread_id: stack for stack in m.stacks}
    assert set(by_thread) == {thread["tid"] for thread in truth(name)["threads"]}
    for expected in truth(name)["threads"]:
        stack = by_thread[expected["tid"]]
        assert number(expected["allocation_base"]) <= stack.base
        assert stack.end == number(expected["stack_base"])
        assert stack.guard is None
        assert stack.reserve is None, "where the reservation begins is not in such a dump"
        assert stack.headroom is None, "how far the stack can grow is not in such a dump"
