"""Sentences about owners."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dumpmap.analysis.owners import PARTLY_COMMITTED, Group
from dumpmap.analysis.ownership import OwnerAt
from dumpmap.analysis.takers import Taker
from dumpmap.model.protection import NO_ACCESS
from dumpmap.model.region_map import RegionMap
from dumpmap.model.types import RegionType
from dumpmap.wording.text import address_text, count_words, hex_text, size_words

if TYPE_CHECKING:  # it imports what compares two maps
    from dumpmap.analysis.part_sums import PartKey


def part_text(key: PartKey) -> str:
    """Names a part: `V8 old space`, `Thread stacks: Guard`, `foo.dll`, `allocations of 1.1 MB`."""
    if not key.owner:
        return f"allocations of {size_words(key.size_each)}" if key.type is not None else "rest of shared allocations"
    if key.kind in ("", RegionType.IMAGE.label):
        return key.owner
    return key.kind if key.owner in key.kind else f"{key.owner}: {key.kind}"


def group_text(group: Group, region_map: RegionMap) -> str:
    """Describes a group: `85 allocations of 16 MB, reserved`, or `allocation of 1 MB at 0x120000, reserved`."""
    # What a map without a list of regions knows are the bytes that the dump has, not how they were allocated.
    noun = "captured range" if region_map.partial else "allocation"
    size = size_words(group.size_each)
    if group.count == 1:
        what = f"{noun} of {size} at {hex_text(group.address)}"
    else:
        what = f"{count_words(group.count, noun)} of {size}"
    return f"{what}, {state_text(group)}"


def state_text(group: Group) -> str:
    """Describes the state of allocations: `reserved`, or `partly committed, Read/Write`."""
    # The protection is that of the whole allocation. Memory is often reserved without access; committed pages are not.
    idle = group.state == PARTLY_COMMITTED and group.protection == NO_ACCESS
    return f"{group.state}, {group.protection}" if group.protection and not idle else group.state


def taker_text(taker: Taker, region_map: RegionMap) -> str:
    """Names an owner or a group."""
    return taker.owner if taker.group is None else group_text(taker.group, region_map)


def owner_text(owner: OwnerAt) -> str:
    """Names the owner of an address: `V8 (node.exe), isolate 0xcb6558, inferred`."""
    name = owner.name
    module = f" ({name.module})" if name.module not in ("", name.owner) else ""
    instance = name.instance if name.instance not in ("", name.owner.rpartition(" ")[2]) else ""
    return ", ".join(filter(None, (name.owner + module, instance, "inferred" if owner.inferred else "")))


def proof_text(owner: OwnerAt, address_width: int) -> str:
    """Says what proves the owner of an address: what it was read from, and where that is."""
    if owner.proof is None:
        return f"Other parts of the allocation are proved to be {owner.name.owner}'s; this part is between them"
    from dumpmap.classify.vocabulary import EVIDENCE  # which imports every recogniser

    meaning = {info.name: info.meaning for info in EVIDENCE}.get(owner.proof.evidence, owner.proof.evidence)
    return f"{meaning.rstrip('.')} (at {address_text(owner.proof.address, address_width)})"
