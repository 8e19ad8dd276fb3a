"""A recorded process, trimmed to what a map reads, has the owners that its whole dump had."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import dumpmap
from dumpmap.analysis.owners import find_owners
from dumpmap.api import map_snapshot
from dumpmap.model.memory import ExcerptMemory, RecordingMemory

FIXTURES = Path(__file__).parents[1] / "fixtures"
STATED: dict[str, dict[str, Any]] = json.loads((FIXTURES / "owners.json").read_text(encoding="utf-8"))
LEAST = {".NET": 0.98, "Go runtime": 0.99, "Python": 0.97, "mimalloc": 0.95, "PartitionAlloc": 0.95}
"""The share of Private Data that facts claim in a process of a runtime or allocator."""


def dump_of(name: str) -> Path:
    (path,) = FIXTURES.glob(f"*/{name}.dmp.gz")
    return path


@pytest.mark.parametrize("name", STATED)
def test_the_owners_are_those_of_the_whole_dump(name: str) -> None:
    found, stated = find_owners(dumpmap.open(dump_of(name))), STATED[name]
    assert found.private_committed == stated["private_committed"]
    owners = sorted([owner.owner, owner.module, owner.instance, owner.committed] for owner in found.owners)
    assert owners == stated["owners"]
    assert found.owned_share == stated["owned_share"]
    assert found.owned_share_facts == stated["owned_share_facts"]


@pytest.mark.parametrize("name", STATED)
def test_a_snapshot_has_the_same_owners(name: str) -> None:
    snapshot = dumpmap.open(dump_of(name)).snapshot
    recording = RecordingMemory(snapshot.memory)
    owners = find_owners(map_snapshot(snapshot, memory=recording))
    assert find_owners(map_snapshot(snapshot, memory=ExcerptMemory(recording.excerpts()))) == owners


@pytest.mark.parametrize("owner", LEAST)
def test_facts_name_most_of_the_private_memory(owner: str) -> None:
    shares = [
        stated["owned_share_facts"] for stated in STATED.values() if owner in {row[0] for row in stated["owners"]}
    ]
    assert min(shares) > LEAST[owner]
