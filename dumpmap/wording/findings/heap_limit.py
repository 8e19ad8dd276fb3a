"""Findings about the limit that a runtime sets for its own heap."""

from __future__ import annotations

from dumpmap.analysis.diagnosis import Diagnosis, Hit
from dumpmap.wording.explanation import Explanation
from dumpmap.wording.phrases import heap_limit_text
from dumpmap.wording.shortage import reached_text
from dumpmap.wording.text import sentence


def _reached(hit: Hit, d: Diagnosis) -> str:
    heap = d.measurements.heap_limit
    if heap is None:
        return ""
    how = "" if hit.values["strength"] == "recorded" else " dumpmap infers this from the figures."
    return f"{sentence(reached_text(heap))}.{how} Source: {heap.source}."


def _near(hit: Hit, d: Diagnosis) -> str:
    return (
        f"{sentence(heap_limit_text(hit.subject))}. No failure of this heap is recorded. Source: {hit.subject.source}."
    )


_CONFIRM = (
    "`dumpmap diagnose FILE` shows the heap limit with its source, and `dumpmap info FILE` shows what the writer "
    "recorded."
)
_ADVICE = (
    "Find what fills the heap: take a heap snapshot of the runtime (Chrome DevTools for V8, dotnet-gcdump for .NET, "
    "a heap dump for Java). To raise the limit, use the runtime's own setting: `--max-old-space-size` for V8, "
    "`GCHeapHardLimit` for .NET, `-Xmx` for Java. V8 with pointer compression cannot exceed 4 GB."
)

EXPLANATIONS = {
    "runtime-heap-limit-reached": Explanation(
        title="A runtime reached the limit of its own heap",
        meaning="A runtime such as V8, .NET, or Java limits its own heap. The heap reached this limit, and the runtime "
        "ended the process.",
        why="Neither more RAM nor a larger page file nor more address space helps: only a smaller heap or a higher "
        "limit does.",
        confirm=_CONFIRM,
        advice=_ADVICE,
        when="The writer of the dump recorded that a runtime ran out of its heap, and the place names the limit (V8: "
        "`Reached heap limit`) or the figures agree; or a failed allocation is recorded, no other limit explains it, "
        "and {heap_limit_warning} or more of a runtime's limit is in use.",
        source="Electron's annotations `electron.v8-oom.*`, Chromium's `v8-oom-*`; V8's source on where it gives up.",
        detail=_reached,
    ),
    "runtime-heap-limit-near": Explanation(
        title="A runtime's heap is near or over its own limit",
        meaning="A runtime such as V8, .NET, or Java uses almost all the memory that it allows itself.",
        why="At the limit, the runtime collects garbage again and again, and then ends the process, however much "
        "memory the machine has.",
        confirm=_CONFIRM,
        advice=_ADVICE,
        when="The heap of a runtime uses {heap_limit_warning} or more of its limit, and no failure is put down to it.",
        source="as for the commit: 90 % may be too late already (Friedman and Pentakalos).",
        detail=_near,
    ),
}
