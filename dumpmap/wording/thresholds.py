"""What each threshold of the diagnosis decides, and where its number comes from."""

from __future__ import annotations

from collections.abc import Mapping

from dumpmap.analysis.rules import THRESHOLD
from dumpmap.model.values import value_class
from dumpmap.wording.text import percent_words, size_words


@value_class(frozen=True, slots=True)
class ThresholdText:
    """The texts of one threshold.

    Attributes:
        meaning: what it decides.
        source: where the number comes from.
    """

    meaning: str
    source: str


_OWN = "chosen by dumpmap's authors; no source gives a number"

THRESHOLD_TEXTS: Mapping[str, ThresholdText] = {
    "largest_free_warning": ThresholdText(
        "a largest free block below this is small",
        "Ian Voyce on VMMap (2009), Tess Ferrandez (2006): the garbage collector reserved 64 MB at a time",
    ),
    "largest_free_critical": ThresholdText(
        "a largest free block below this leaves no room to go on",
        "chosen by dumpmap's authors: two of the largest segments that NT heaps request in recordings (15.8 MB)",
    ),
    "free_total_warning": ThresholdText(
        "free address space below this is little",
        "Visual Studio turns features off at 200 MB free (dotnet/roslyn, low-memory handling)",
    ),
    "free_total_critical": ThresholdText(
        "free address space below this counts as used up",
        "chosen by dumpmap's authors: as much as one block should have (`largest_free_warning`)",
    ),
    "wide_free_share": ThresholdText(
        "less than this share free is little, in an address space above 4 GB",
        _OWN,
    ),
    "fragmentation": ThresholdText(
        "free space counts as fragmented from this value of 1 - largest free block / free space",
        "definition: DebugDiag and WinDbg's `!heap -s`; number chosen by dumpmap's authors, for DebugDiag does not "
        "publish its own",
    ),
    "unusable_share": ThresholdText(
        "this share lost after small allocations is much, in an address space up to 4 GB",
        "that 4 KB allocations waste the rest of 64 KB: Benjamin Smedberg (2013); number chosen by dumpmap's authors",
    ),
    "commit_warning": ThresholdText(
        "the system is near its commit limit from this value of commit charge / limit",
        "Friedman and Pentakalos: 90 % may be too late already",
    ),
    "commit_reached": ThresholdText(
        "the commit limit counts as reached from this value of commit charge / limit",
        "95 % as in dyad's out-of-memory signals",
    ),
    "job_warning": ThresholdText(
        "a job is near its limit from this value of private commit / limit",
        "as for the system; a job's limit does not grow (Raymond Chen, 2022-02-04, on reading it from a dump)",
    ),
    "job_headroom_critical": ThresholdText(
        "a job's limit counts as reached with less than this left",
        "chosen by dumpmap's authors: one large heap segment",
    ),
    "heap_limit_warning": ThresholdText(
        "the heap of a runtime is near its own limit from this value of used / limit",
        "as for the commit; V8 gives up at 97 % in a recorded report of Electron",
    ),
    "gc_segment": ThresholdText(
        "the .NET workstation collector reserves this much at a time in 32 bits; the server collector reserves more",
        "Microsoft's garbage collection fundamentals: workstation 16 MB; server 64, 32, or 16 MB by processors",
    ),
    "many_threads": ThresholdText(
        "more threads than this are many",
        "msos warns above 200",
    ),
    "stack_share": ThresholdText(
        "this share reserved for stacks is much, in an address space up to 4 GB",
        "2,000 threads of 1 MB fill 2 GB (Raymond Chen, 2005-07-29); share chosen by dumpmap's authors",
    ),
    "stack_headroom": ThresholdText(
        "a stack overflow at least this far from the stack's end is a failed commit",
        "that such a fault means a failed commit: Raymond Chen, 2022-02-04; distance chosen by dumpmap's authors",
    ),
    "many_heaps": ThresholdText(
        "more heaps than this are many",
        _OWN,
    ),
    "heap_fragmentation": ThresholdText(
        "this uncommitted share of a heap's reservation is much (`!heap -s`: virtual address fragmentation)",
        "definition: WinDbg's `!heap -s`; number chosen by dumpmap's authors",
    ),
    "heap_fragmentation_size": ThresholdText(
        "a heap that reserves less is not judged by its fragmentation",
        _OWN,
    ),
    "type_share": ThresholdText(
        "a type that holds more than this share of the memory in use dominates",
        _OWN,
    ),
    "type_size": ThresholdText(
        "with less memory in use, no type dominates",
        _OWN,
    ),
    "reserve_share": ThresholdText(
        "this share reserved but not committed is much, in an address space up to 4 GB",
        _OWN,
    ),
    "repeated_size": ThresholdText(
        "repeated mappings of a file, or copies of a module, are reported from this total",
        _OWN,
    ),
}
"""The texts of every threshold."""


THRESHOLD_COLUMNS = ("threshold", "default", "what it decides", "where the number comes from")
"""Columns of the tables of thresholds in the documentation."""


def threshold_row(name: str) -> tuple[str, ...]:
    """Writes the row of a threshold for such a table."""
    text = THRESHOLD_TEXTS[name]
    return f"`{name}`", default_text(name), text.meaning, text.source


def default_text(name: str) -> str:
    """Writes the default value of a threshold with its unit."""
    threshold = THRESHOLD[name]
    if threshold.unit == "bytes":
        return size_words(int(threshold.default))
    return percent_words(threshold.default) if threshold.unit == "share" else f"{threshold.default:,.0f}"
