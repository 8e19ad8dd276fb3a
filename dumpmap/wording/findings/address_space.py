"""Findings about the address space: how much is free, in what pieces, and what holds the rest."""

from __future__ import annotations

from dumpmap.analysis.diagnosis import Diagnosis, Hit
from dumpmap.analysis.measurements import Measurements
from dumpmap.wording.explanation import Explanation
from dumpmap.wording.phrases import input_noun, limit_evidence, of_limit_words, recorded_room_text, used_text
from dumpmap.wording.text import (
    address_words,
    count_words,
    percent_words,
    sentence,
    size_left,
    size_most,
    size_words,
)


def _used_up(hit: Hit, d: Diagnosis) -> str:
    m = d.measurements
    free = f"{size_left(m.measured.total)} of {m.limit.words}" if m.measured and m.measured.total else ""
    used = used_text(m)
    return (
        f"{free or f'None of the {m.limit.words}'} is free. {size_words(m.used_total)} is in use"
        f"{f': {used}' if used else ''}. {limit_evidence(m)}"
    )


def _address_space_low(hit: Hit, d: Diagnosis) -> str:
    return _used_up(hit, d) if d.measurements.free is not None else _counted_low(d.measurements)


def _counted_low(m: Measurements) -> str:
    recorded = None if m.bounds is None else m.bounds.recorded
    if m.virtual_size is None and recorded is not None:
        return f"{sentence(recorded_room_text(recorded, size_most(recorded.size)))}. {limit_evidence(m)}"
    used, limit = m.virtual_size or 0, m.limit.size or 0
    most = "at most " if m.limit.at_most else ""
    return (
        f"By the process's counters, {of_limit_words(m, used)} is in use and {most}{size_left(limit - used)} is "
        f"not. The {input_noun(m)} does not record in what pieces. {limit_evidence(m)}"
    )


def _address_space_fragmented(hit: Hit, d: Diagnosis) -> str:
    m, space = d.measurements, d.measurements.measured
    if space is None:
        return ""
    tiny = f" {size_words(space.tiny)} of it is in blocks below 1 MB." if space.tiny else ""
    blocks = count_words(space.count, "usable block")
    return (
        f"{size_left(space.total)} of {m.limit.words} is free, but in {blocks} of at most {size_left(m.largest)}: "
        f"{percent_words(space.fragmentation or 0)} fragmented. Freeing memory elsewhere helps only if it joins "
        f"blocks.{tiny}"
    )


def _largest_free_block_small(hit: Hit, d: Diagnosis) -> str:
    m, space = d.measurements, d.measurements.measured
    if space is None or space.largest is None:
        left = f"No free block is left in the {m.limit.words} address space"
        return f"{left}: every new allocation fails. {limit_evidence(m)}"
    other = space.total - space.largest.size
    total = f"although {size_left(space.total)} is free in total" if other else "and nothing else is free"
    return (
        f"The largest free block is {size_left(m.largest)}, at {address_words(space.largest.address)}. Any larger "
        f"allocation fails, {total}. {limit_evidence(m)}"
    )


def _unusable_space(hit: Hit, d: Diagnosis) -> str:
    text = (
        f"{size_words(hit.values['unusable'])} of address space is unusable: it lies between the end of an allocation "
        "and the next 64 KB boundary."
    )
    if hit.subject:
        first = hit.subject[0]
        text += (
            f" Most of it follows {count_words(first.count, 'allocation')} of {size_words(first.size)} "
            f"({first.kind or first.type})."
        )
    return text


def _not_large_address_aware(hit: Hit, d: Diagnosis) -> str:
    where = "" if hit.values["wow64"] else " on 64-bit Windows"
    return (
        f"The program is not large address aware, so it has {d.measurements.limit.name} of address space instead of "
        f"4 GB{where}. Link it with /LARGEADDRESSAWARE if its code treats addresses as unsigned."
    )


def _reserve_exceeds_commit(hit: Hit, d: Diagnosis) -> str:
    reserved = hit.subject
    top = max(reserved, key=lambda one: reserved[one], default=None)
    most = "" if top is None else f", most of it {top.label} ({size_words(reserved[top])})"
    return (
        f"{size_words(hit.values['reserved'])} of {d.measurements.limit.words} is reserved but not committed{most}. "
        "Nothing else can use this address space."
    )


EXPLANATIONS = {
    "address-space-exhausted": Explanation(
        title="The address space is used up",
        meaning="Hardly any address space is free, in whatever pieces.",
        why="Allocations fail however much memory the machine has.",
        confirm="`dumpmap free FILE` shows how much is free; `dumpmap summary FILE` shows which types hold the rest. "
        "`!address -summary` in WinDbg shows the same.",
        advice="See which types hold the space (`dumpmap summary FILE`), then which allocations (`dumpmap regions FILE "
        "--sort size`). If the program needs all of it, build it for 64 bits.",
        when="Less than {free_total_critical} of the address space is free.",
        source="limits: Microsoft on memory limits; dumpmap's authors chose the number.",
        detail=_used_up,
    ),
    "largest-free-block-small": Explanation(
        title="The largest free block is small",
        meaning="An allocation needs one contiguous block. The largest free block is smaller than what heaps and "
        "garbage collectors request in order to grow.",
        why="The process cannot go on, even if much is free in total.",
        confirm="`dumpmap free FILE` shows the largest free blocks and what lies around them. `dumpmap free FILE --fit "
        "16MB` tests a size.",
        advice="If much more is free in total, the space is fragmented: look for many small or scattered allocations "
        "and for modules at scattered addresses. If not, it is used up: look at what holds it.",
        when="The largest free block is below {largest_free_critical}.",
        lower="From there up to {largest_free_warning}, the severity is warning.",
        source="Ian Voyce on VMMap (2009): expect memory trouble below 64 MB; Tess Ferrandez (2006) for the reason.",
        detail=_largest_free_block_small,
    ),
    "address-space-fragmented": Explanation(
        title="The free address space is fragmented",
        meaning="Enough address space is free in total, but no block of it is large.",
        why="Large allocations fail although memory is free. Freeing memory elsewhere helps only if it joins blocks.",
        confirm="`dumpmap free FILE` shows the free blocks by size, and the largest with their neighbours.",
        advice="The neighbours of the largest free blocks keep them apart: see what allocates them, and group them or "
        "allocate them early.",
        when="1 - largest free block / free space is {fragmentation} or more, the largest free block is below "
        "{largest_free_warning}, and {free_total_critical} or more is free.",
        source="the definition is that of DebugDiag's report and WinDbg's `!heap -s`; that a small largest block "
        "beside much free space means fragmentation: Microsoft's explanation of `!address -summary`.",
        detail=_address_space_fragmented,
    ),
    "address-space-low": Explanation(
        title="Little address space is free",
        meaning="The process is close to the end of its address space.",
        why="The next large allocation may fail, and a heap or garbage collector that cannot grow ends the process.",
        confirm="`dumpmap free FILE` shows how much is free and in what blocks. Without a list of memory regions, "
        "`dumpmap summary FILE --format json` has the virtual size under `counters`.",
        advice="See which types hold the space (`dumpmap summary FILE`), then which allocations (`dumpmap regions FILE "
        "--sort size`).",
        when="Less than {free_total_warning} is free in an address space of up to 4 GB, or less than "
        "{wide_free_share} of a larger one, but more than for `address-space-exhausted`. Without a list of memory "
        "regions, the process's counter of virtual memory decides for up to 4 GB.",
        source="Visual Studio turns features off at 200 MB free (dotnet/roslyn, low-memory handling).",
        detail=_address_space_low,
    ),
    "unusable-space": Explanation(
        title="Small allocations waste much address space",
        meaning="VirtualAlloc starts every allocation at a multiple of 64 KB. An allocation of 4 KB makes the "
        "following 60 KB unusable.",
        why="The process loses address space that is neither in use nor free.",
        confirm="`dumpmap free FILE` lists the allocations before unusable space, by kind and size. `dumpmap regions "
        "FILE --type unusable` lists the space itself.",
        advice="Find the code that calls VirtualAlloc for small sizes, and let it allocate from a heap or in multiples "
        "of 64 KB.",
        when="{unusable_share} or more of an address space of up to 4 GB is unusable.",
        source="Benjamin Smedberg, 2013-04-11.",
        detail=_unusable_space,
    ),
    "not-large-address-aware": Explanation(
        title="The program could have more address space",
        meaning="A 32-bit program whose header does not say that it is large address aware gets 2 GB, on 64-bit "
        "Windows too.",
        why="One linker flag gives the program up to twice the address space.",
        confirm='`dumpbin /headers PROGRAM.exe` prints "Application can handle large (>2GB) addresses" if the flag is '
        "set.",
        advice="Link with /LARGEADDRESSAWARE if the code treats addresses as unsigned, or build for 64 bits.",
        when="The program's header does not have the flag, and the largest free block is below "
        "{largest_free_warning} or less than {free_total_warning} is free.",
        source="Microsoft on memory limits.",
        detail=_not_large_address_aware,
    ),
    "reserve-exceeds-commit": Explanation(
        title="A lot of address space is reserved but not committed",
        meaning="Reserved memory takes address space but no commit.",
        why="In a small address space, a reservation leaves less room for everything else.",
        confirm="`dumpmap summary FILE` shows size and committed bytes of each type. `dumpmap regions FILE --blocks "
        "--state reserve --sort size` lists the reserved regions.",
        advice="Look at the types that reserve most; the usual ones are arenas of allocators, and stacks. Lower the "
        "reserve of stacks and heaps that do not need it.",
        when="{reserve_share} or more of an address space of up to 4 GB is reserved without being committed, and the "
        "largest free block is below {largest_free_warning}.",
        lower="The severity is info if the largest free block is not small.",
        source="a rule of dumpmap's authors.",
        detail=_reserve_exceeds_commit,
    ),
}
