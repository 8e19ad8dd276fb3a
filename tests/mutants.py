#!/usr/bin/env python3
"""Damages the recorded dumps of runtimes at random and checks that recognisers claim nothing that they cannot prove.

    python -m tests.mutants node 10000        mutants of the recorded Node.js processes, in equal shares
    python -m tests.mutants java 3000 --seed 7
    python -m tests.mutants dotnet 10000 --seconds 600

A mutant ends in a map or in dumpmap's own error, within `PATIENCE` seconds. What is claimed must agree with the bytes
of the mutant, read here without the product's readers, and with the map. What a runtime or allocator claims beyond its
memory in the intact process is counted. If the damage changed the very allocation in the list of regions, the claim is
right for the mutant (`redrawn`). Otherwise it deceived (`foreign`), which is a failure.

`tests/mutation/` is something else: it changes the code and looks whether a test notices.
"""

from __future__ import annotations

import argparse
import gzip
import random
import struct
import sys
import time
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import dumpmap
from dumpmap.analysis.owners import find_owners
from dumpmap.api import RegionMap
from dumpmap.model.managed_heaps import ManagedHeap
from dumpmap.model.memory import Memory
from dumpmap.structures.recognisers.go import GoHeap
from dumpmap.structures.recognisers.hotspot import JavaMachine
from dumpmap.structures.recognisers.mimalloc import Mimalloc
from dumpmap.structures.recognisers.mimalloc_arenas import Arena
from dumpmap.structures.recognisers.partition_alloc import Partition
from dumpmap.structures.recognisers.python import PythonArenas
from dumpmap.structures.recognisers.v8 import Isolate

FOLDER = Path(__file__).parent / "fixtures"
FAMILIES = ("node", "java", "dotnet", "go", "python", "mimalloc", "partitionalloc")
WATCHED = frozenset((".NET", "Go runtime", "Python", "mimalloc", "PartitionAlloc", "OpenBLAS", "Wine"))
"""Owners whose claims are compared with those in the intact process."""

PATIENCE = 20.0
"""Seconds of processor time that one map may take: a hundred times as long as the slowest intact one."""

_WORDS = (0, 1, 7, 8, 0xFFFF, 0x10000, 1 << 31, (1 << 32) - 1, 1 << 46, (1 << 47) - 8, 1 << 63, (1 << 64) - 1)


def mutant(good: bytes, chance: random.Random) -> bytes:
    """Damages a dump in one of four ways: bytes, words, a run of bytes moved elsewhere, or the end cut off."""
    data = bytearray(good)
    way = chance.random()
    if way < 0.35:
        for _ in range(chance.choice((1, 4, 30, 400))):
            data[chance.randrange(len(data))] = chance.randrange(256)
    elif way < 0.85:
        for _ in range(chance.choice((1, 3, 20, 200))):
            place, other = (chance.randrange(len(data) // 8 - 1) * 8 for _ in range(2))
            (old,) = struct.unpack_from("<Q", data, place)
            new = chance.choice((*_WORDS, old + 8, old - 8, old * 2, old ^ 1 << chance.randrange(64), None))
            word = data[other : other + 8] if new is None else struct.pack("<Q", new & (1 << 64) - 1)
            data[place : place + 8] = word
    elif way < 0.97:
        size = chance.choice((16, 256, 4096))
        source, target = (chance.randrange(max(1, len(data) - size)) for _ in range(2))
        data[target : target + size] = data[source : source + size]
    else:
        del data[chance.randrange(len(data)) :]
    return bytes(data)


def check(region_map: RegionMap) -> Counter[str]:
    """Checks what a map of a mutant claims; returns what there was."""
    seen: Counter[str] = Counter()
    for isolate in region_map.structures.facts_of(Isolate):
        seen["isolates"] += 1
        check_isolate(region_map, isolate)
    for machine in region_map.structures.facts_of(JavaMachine):
        seen["machines"] += 1
        check_machine(region_map, machine)
    seen.update(check_others(region_map))
    for found in region_map.structures.found:
        ranges = sorted((part.base, part.base + part.size) for part in found.ranges)
        assert all(low < high for low, high in ranges)
        assert all(one[1] <= other[0] for one, other in pairwise(ranges)), "ranges overlap"
    owners = find_owners(region_map)
    lines = [line for line in region_map.summary_lines[1:] if line.name not in ("Free", "Unusable", "Page Table")]
    assert sum(owner.size for owner in owners.owners) + owners.unowned_size == sum(line.size or 0 for line in lines)
    return seen


def check_isolate(region_map: RegionMap, isolate: Isolate) -> None:
    """An isolate has spaces, which their pages prove in words of one width, and limits of a possible size."""
    assert isolate.spaces
    assert any(proves(region_map.snapshot.memory, isolate, form) for form in ("Q", "I"))
    if isolate.limits is not None:
        assert 0 < isolate.limits.old_generation < 1 << 47
        assert isolate.limits.semispace is None or isolate.limits.semispace.bit_count() == 1


def proves(memory: Memory, isolate: Isolate, form: str) -> bool:
    """Whether each space states the sum of its pages, and each page names itself, its size, its heap, and its space."""

    def words(address: int, count: int) -> tuple[int, ...]:
        data = memory.read(address, count * struct.calcsize(f"<{form}"))
        return () if data is None else struct.unpack(f"<{count}{form}", data)

    for space in isolate.spaces:
        if space.committed != sum(page.size for page in space.pages) or words(space.address, 4)[3:] != (
            space.committed,
        ):
            return False
        for page in space.pages:
            header = words(page.base, 16)
            header += words(header[1], 16) if header else ()
            if (page.base, page.size) not in pairwise(header) or not {isolate.heap, space.address} <= set(header):
                return False
    return True


def check_machine(region_map: RegionMap, machine: JavaMachine) -> None:
    """The parts of the heap fill its reservation; what lies beside it fills allocations; threads have IDs and names."""
    if machine.heap is not None:
        low, high = machine.heap[0], sum(machine.heap)
        assert machine.parts[0][0] == low
        assert machine.parts[-1][1] == high
        assert all(one[1] == other[0] for one, other in pairwise(machine.parts))
    for start, end, kind in (*machine.code, *machine.cards, *machine.metaspace, *machine.side):
        allocation = region_map.space.allocation(start)
        assert allocation is not None, kind
        assert start < end <= sum(allocation), kind
        if kind.startswith(("Java code", "Java card")):
            continue
        if kind not in ("Java class-data archive", "Java block offset table"):
            assert allocation == (start, end - start), kind
    for thread in machine.threads:
        assert thread.thread_id
        assert 0 < len(thread.name) <= 256


def check_others(region_map: RegionMap) -> Counter[str]:
    """Checks Go, Python, and allocators: what is claimed is in the map, and its header and its module's word agree."""
    space, memory, facts = region_map.space, region_map.snapshot.memory, region_map.structures.facts_of
    seen: Counter[str] = Counter()

    def word(address: int, width: int) -> int:
        return int.from_bytes(memory.read(address, width) or b"", "little")

    seen["managed heaps"] += len(facts(ManagedHeap))
    for heap in facts(GoHeap):
        seen["Go heaps"] += 1
        assert all(arena % (4 << 20) == 0 and space.allocation(arena) for arena in heap.arenas.arenas)
    for arenas in facts(PythonArenas):
        seen["Python heaps"] += 1
        assert all(space.allocation(base) == (base, arenas.layout.arena) for base in arenas.arenas)
    for copy in facts(Mimalloc):
        seen["mimallocs"] += 1
        for segment in copy.segments:
            header = memory.read(segment.base, 0x200) or b""
            widths = [
                width
                for width in (4, 8)
                if (segment.base ^ word(copy.secret_at, width)).to_bytes(8, "little")[:width] in header
            ]
            allocation = space.allocation(segment.base)
            assert widths, "a segment without the cookie"
            assert allocation is not None
            assert segment.base + segment.size <= sum(allocation)
    for arena in facts(Arena):
        seen["mimalloc 3 arenas"] += 1
        assert space.allocation(arena.base) == (arena.base, arena.size)
        assert word(arena.listed_at, 8) == arena.described_at
    for partition in facts(Partition):
        seen["partitions"] += 1
        assert any(word(partition.proof_at, width) ^ partition.root == (1 << 8 * width) - 1 for width in (4, 8))
        assert all(word(page.base + 0x1000, 4) == partition.root & 0xFFFFFFFF for page in partition.pages)
    return seen


Claims = dict[str, list[tuple[int, int]]]


def claims_of(region_map: RegionMap) -> Iterator[tuple[str, str, int, int]]:
    """Yields owner, kind, start, and end of what watched owners claim as facts."""
    for found in region_map.structures.found:
        for part in found.ranges:
            if part.owner in WATCHED and not part.inferred:
                yield part.owner, part.kind, part.base, part.base + part.size


def intact_claims(region_map: RegionMap) -> Claims:
    """The joined claims of each owner in the intact process."""
    joined: Claims = {}
    for owner, _, start, end in sorted(claims_of(region_map), key=lambda claim: (claim[0], claim[2])):
        parts = joined.setdefault(owner, [])
        if parts and start <= parts[-1][1]:
            parts[-1] = (parts[-1][0], max(end, parts[-1][1]))
        else:
            parts.append((start, end))
    return joined


def foreign(region_map: RegionMap, whole: RegionMap, intact: Claims) -> Counter[str]:
    """Counts, by kind, claims on memory that the owner did not have in the intact process, `whole`."""
    counts: Counter[str] = Counter()
    for owner, kind, start, end in claims_of(region_map):
        if not any(low <= start and end <= high for low, high in intact.get(owner, ())):
            redrawn = region_map.space.allocation(start) != whole.space.allocation(start)
            counts[f"{'redrawn' if redrawn else 'foreign'} {kind}"] += 1
    return counts


def run(family: str, count: int, seed: int, *, seconds: float = 1e9, progress: bool = False) -> Counter[str]:
    """Maps `count` mutants of a family in equal shares, or as many as `seconds` suffice for; returns how they ended."""
    paths = sorted(FOLDER.glob(f"*/{family}-*.dmp.gz"))
    ended: Counter[str] = Counter()
    began = time.perf_counter()
    for number, path in enumerate(paths):
        good, chance = gzip.decompress(path.read_bytes()), random.Random(f"{seed} {path.name}")
        share = count // len(paths) + (number < count % len(paths))
        whole = dumpmap.open(good)
        intact, executed = intact_claims(whole), 0
        for index in range(share):
            start = time.process_time()
            if time.perf_counter() - began > seconds * (number + 1) / len(paths):
                break
            executed += 1
            try:
                region_map = dumpmap.open(mutant(good, chance))
                ended.update(check(region_map))
                beyond = foreign(region_map, whole, intact)
                ended.update(beyond)
                if progress and any(name.startswith("foreign") for name in beyond):
                    print(f"{path.name}: mutant {index} of seed {seed}: {dict(beyond)}", flush=True)
                ended["maps"] += 1
            except dumpmap.DumpmapError:
                ended["errors"] += 1
            except Exception as error:
                raise AssertionError(f"{path.name}: mutant {index} of seed {seed}: {error!r}") from error
            spent = time.process_time() - start
            assert spent < PATIENCE, f"{path.name}: mutant {index} of seed {seed} took {spent:.1f} s"
            ended["slowest, ms"] = max(ended["slowest, ms"], int(spent * 1000))
        if progress:
            print(path.name, executed, *([] if executed == share else ["of", share]), dict(ended), flush=True)
    return ended


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("family", choices=FAMILIES)
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=1e9, help="end after this time")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    ended = run(options.family, options.count, options.seed, seconds=options.seconds, progress=True)
    print(f"{ended['maps'] + ended['errors']:,} mutants of {options.count:,}:", dict(ended))
    return int(any(name.startswith("foreign") for name in ended))


if __name__ == "__main__":
    sys.exit(main())
