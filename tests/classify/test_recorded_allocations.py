"""Every allocation that a recorded program made is in the map, with its type, size and committed bytes."""

from __future__ import annotations

import numpy as np
import pytest
from support.recorded import COMPLETE, allocations, number, region_map, truth

from dumpmap.model.winnt import MemState


@pytest.mark.parametrize("name", COMPLETE)
def test_type_size_and_committed_bytes(name: str) -> None:
    m = region_map(name)
    frame = m.allocations.set_index("address")
    for wanted in allocations(name):
        purpose = wanted["purpose"]
        row = frame.loc[number(wanted["address"])]
        assert row["type"] == wanted["expected"], purpose
        assert row["size"] == wanted["size"], purpose
        assert row["committed"] == wanted["committed"], purpose


@pytest.mark.parametrize("name", COMPLETE)
def test_regions_with_state_and_protection(name: str) -> None:
    m = region_map(name)
    raw = m.snapshot.regions
    assert raw is not None
    states = {"commit": MemState.MEM_COMMIT, "reserve": MemState.MEM_RESERVE}
    for wanted in allocations(name):
        inside = raw.allocation_base == np.uint64(number(wanted["address"]))
        listed = raw.take(inside)
        found = list(
            zip(listed.base.tolist(), listed.size.tolist(), listed.state.tolist(), listed.protect.tolist(), strict=True)
        )
        expected = [(number(base), size, states[state], protect) for base, size, state, protect in wanted["regions"]]
        assert found == expected, wanted["purpose"]


@pytest.mark.parametrize("name", COMPLETE)
def test_guard_pages_are_seen_as_guard(name: str) -> None:
    frame = region_map(name).regions
    for wanted in allocations(name):
        rows = frame[frame["allocation"] == number(wanted["address"])]
        guarded = rows[rows["protection"].str.endswith("/Guard")]
        assert int(guarded["size"].sum()) == wanted["guard"], wanted["purpose"]


@pytest.mark.parametrize("name", COMPLETE)
def test_groups_of_alike_allocations(name: str) -> None:
    frame = region_map(name).allocations.set_index("address")
    for group in truth(name).get("groups", []):
        rows = frame.loc[[number(address) for address in group["addresses"]]]
        assert len(rows) == group["count"], group["purpose"]
        assert set(rows["type"]) == {group["expected"]}, group["purpose"]
        assert int(rows["size"].sum()) == group["size"], group["purpose"]
        assert int(rows["committed"].sum()) == group["committed"], group["purpose"]


@pytest.mark.parametrize("name", COMPLETE)
def test_a_file_mapped_as_data_is_shareable_in_a_dump(name: str) -> None:
    frame = region_map(name).allocations.set_index("address")
    for wanted in allocations(name):
        if wanted["expected_live"] == "Mapped File":
            assert frame.loc[number(wanted["address"])]["type"] == "Shareable", wanted["purpose"]


@pytest.mark.parametrize("name", COMPLETE)
def test_a_loaded_dll_that_is_mapped_once_more_is_named(name: str) -> None:
    m = region_map(name)
    wanted = {
        number(allocation["address"]): allocation["file"]
        for allocation in allocations(name)
        if allocation["purpose"] == "the same DLL, mapped as data"
    }
    assert {copy.address: copy.module for copy in m.mapped_copies} == wanted
    for address in wanted:
        location = m.at(address)
        assert location is not None
        assert location.inferred
