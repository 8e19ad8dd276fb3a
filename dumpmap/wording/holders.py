"""Who holds the address space, and what is requested next: what an engineer asks after the verdict."""

from __future__ import annotations

from dumpmap.analysis.measurements import Measurements
from dumpmap.model.types import RegionType
from dumpmap.wording.phrases import heap_title, input_noun, used_text
from dumpmap.wording.text import count_words, sentence, size_words


def needs_text(m: Measurements) -> str:
    """What is requested next: by the heap that needs most, and by the garbage collector."""
    needs: list[tuple[str, int]] = []
    if m.free is not None and any(heap.info.next_segment for heap in m.map.heaps):
        most = max(m.heaps, key=lambda row: row.next_segment or 0)
        needs.append((heap_title(most), most.next_segment or 0))
    if m.collector_segment is not None:
        needs.append((f"the {m.collector_segment.collector} garbage collector", m.collector_segment.size))
    if not needs:
        return ""
    (first, size), *others = needs
    text = f"{sentence(first)} requests {size_words(size)} when it grows"
    return text + "".join(f", {who} {size_words(size)}" for who, size in others) + "."


def holders_text(m: Measurements) -> str:
    """What holds the address space: shares of it, or sizes where the map shows only a part."""
    stacks = {RegionType.STACK: count_words(len(m.map.stacks), "thread stack")} if m.map.stacks else {}
    words = used_text(m, stacks)
    if not words:
        return ""
    if not m.whole:
        return f"Known so far: {words} that the {input_noun(m)} shows."
    top = m.map.line(next(iter(m.used)))
    extra = ""
    if top.size and top.committed is not None and top.committed < top.size / 2:
        extra = f"; only {size_words(top.committed)} of {top.name} is committed"
    return f"In use: {words}{extra}."
