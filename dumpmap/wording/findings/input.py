"""Findings about the input itself: what is missing, damaged, or contradictory."""

from __future__ import annotations

from typing import Any

from dumpmap.analysis.diagnosis import Diagnosis, Hit
from dumpmap.wording.explanation import Explanation
from dumpmap.wording.phrases import input_noun
from dumpmap.wording.text import sentence


def _more(count: int) -> str:
    return f" ({count - 1} more)" if count > 1 else ""


def _dump_too_small(hit: Hit, d: Diagnosis) -> str:
    from dumpmap.wording.advice import ADVICE

    how = f" To get them: {ADVICE[hit.subject[0]].how}." if hit.subject else ""
    return (
        f"The {input_noun(d.measurements)} has no list of memory regions, so free space, the largest free block, and "
        f"most totals are unknown.{how}"
    )


def _missing(hit: Hit) -> dict[str, Any]:
    from dumpmap.wording.advice import ADVICE

    advice = [ADVICE[lack] for lack in hit.subject]
    return {"missing": [{"what": item.missing, "adds": item.adds, "how": item.how} for item in advice]}


def _input_damaged(hit: Hit, d: Diagnosis) -> str:
    values = hit.values
    return (
        f"Parts of the {input_noun(d.measurements)} could not be read, and findings that need them are missing: "
        f"{values['warnings'][0]}{_more(values['count'])}."
    )


def _input_contradictory(hit: Hit, d: Diagnosis) -> str:
    return f"{sentence(hit.values['warnings'][0])}{_more(hit.values['count'])}."


EXPLANATIONS = {
    "dump-too-small": Explanation(
        title="The input has no list of memory regions",
        meaning="The input records modules, threads, and counters, but not the regions of the address space. dumpmap "
        "shows the figures that the input has; the rest is unknown, not zero.",
        why="Without the list, nothing shows how much address space is free or what holds the rest.",
        confirm="`dumpmap info FILE` lists the streams of the dump; MemoryInfoList is missing.",
        advice="Capture a dump with MiniDumpWithFullMemoryInfo; it costs 48 bytes per region. `dumpmap info FILE` says "
        "how.",
        when="The input has no list of memory regions, and the verdict does not name the limit: it is `cannot-tell` or "
        "`out-of-memory`.",
        source="Microsoft on MINIDUMP_TYPE and on WinDbg's .dump.",
        detail=_dump_too_small,
        extra_values=_missing,
    ),
    "input-damaged": Explanation(
        title="Parts of the input could not be read",
        meaning="The file is truncated or damaged. dumpmap shows what it could read.",
        why="Findings that need the missing parts are missing too, and sums can be too low.",
        confirm="`dumpmap info FILE` lists the warnings and the state of every stream. Compare the size of the file "
        "with the original.",
        advice="Get the file again. A truncated dump is often written while memory or disk space runs out.",
        when="dumpmap printed warnings while it read the input.",
        source="Benjamin Smedberg (2013-04-11) on empty dumps at low memory.",
        detail=_input_damaged,
    ),
    "input-contradictory": Explanation(
        title="The input contradicts itself",
        meaning="Facts of the input do not agree, or structures in the process's memory are not as expected.",
        why="What depends on these facts may be wrong.",
        confirm="`dumpmap info FILE` lists all warnings.",
        advice="Read the warnings before you rely on what they concern.",
        when="dumpmap printed warnings while it classified the memory, and the list of memory regions is not cut off. "
        "What was not captured is no contradiction: `dumpmap info FILE` lists it as a note.",
        source="a rule of dumpmap's authors.",
        detail=_input_contradictory,
    ),
}
