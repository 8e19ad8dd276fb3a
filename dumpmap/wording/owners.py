"""Sentences about owners."""

from __future__ import annotations

from dumpmap.analysis.owner_parts import PartKey
from dumpmap.analysis.ownership import OwnerAt
from dumpmap.model.types import RegionType
from dumpmap.wording.text import address_text, size_words


def part_text(key: PartKey) -> str:
    """Names a part: `V8 old space`, `Thread stacks: Guard`, `foo.dll`, `allocations of 1.1 MB`."""
    if not key.owner:
        return f"allocations of {size_words(key.size_each)}" if key.type is not None else "rest of shared allocations"
    if key.kind == RegionType.IMAGE.label:
        return key.owner
    return key.kind if key.owner in key.kind else f"{key.owner}: {key.kind}"


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
