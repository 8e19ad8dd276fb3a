"""Evidence: the words for what in the input proves a label.

A row's evidence is one or more of these words, joined by `+`. This table holds the words of the general rules; each
recogniser brings its own. `dumpmap.classify.vocabulary` has all of them.
"""

from __future__ import annotations

from dumpmap.model.values import value_class


@value_class(frozen=True, slots=True)
class EvidenceInfo:
    """A word of evidence.

    Attributes:
        name: the word.
        meaning: what the label rests on, in one sentence.
    """

    name: str
    meaning: str


SAME_ALLOCATION = "same-allocation"
"""Evidence of what lies in an allocation whose other parts one owner proved to be its own. Such ranges are inferred."""

GENERAL_EVIDENCE: tuple[EvidenceInfo, ...] = (
    EvidenceInfo(SAME_ALLOCATION, "Other parts of the allocation are proved to be the owner's. It is inferred."),
    EvidenceInfo("memory-info", "The input's list of regions: MemoryInfoList, or VirtualQuery on a live process."),
    EvidenceInfo("linux-maps", "The text of /proc/PID/maps."),
    EvidenceInfo("module-list", "The input's list of modules."),
    EvidenceInfo("pe-header", "The PE header at the start of the image, read from process memory."),
    EvidenceInfo("image-file", "The PE header of a file that --image-path found by name, timestamp, and size."),
    EvidenceInfo("teb", "The address of the thread environment block, or its stack fields."),
    EvidenceInfo("thread-list", "The stack range or the TEB address in the input's thread list."),
    EvidenceInfo("stack-pointer", "The stack pointer in a thread's saved context points into the allocation."),
    EvidenceInfo("peb", "A pointer in the process environment block."),
    EvidenceInfo("function-table", "A function table that the program registered for generated code."),
    EvidenceInfo("signature", "The first bytes are those of a known structure. No pointer leads to it."),
    EvidenceInfo("system", "Windows uses this address for the same purpose in every process."),
    EvidenceInfo("memory-list", "The input contains these bytes but does not record their use."),
    EvidenceInfo("gap", "No region of the input covers this address range."),
    EvidenceInfo("recorded", "The type that another tool's file (VMMap) states."),
)
"""The words of the general rules, those of the region list first."""
