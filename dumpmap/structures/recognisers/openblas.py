"""OpenBLAS, which NumPy, SciPy, and Julia compute with: a buffer for each thread that computes, 32 MB in most builds.

Its module keeps two tables. One is for its end: the address of each buffer, and the function in the same module that
frees it. The other one is for use: a lock, the address, and whether the buffer is in use, in a slot of its own. A
buffer is claimed if it is an allocation and is in both, and all buffers have one size. Read in recorded processes of
NumPy 1.26; compared with public source (OpenMathLib/OpenBLAS: driver/others/memory.c, `release_info` and `memory`).
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterator

from dumpmap.model.evidence import EvidenceInfo
from dumpmap.model.kinds import KindInfo
from dumpmap.model.process import PeImage
from dumpmap.model.recognised import Found, LabelledRange
from dumpmap.structures.layouts.pe import IMAGE_SCN_MEM_EXECUTE
from dumpmap.structures.recognisers.protocol import Context, LoadedModule, without_overlaps
from dumpmap.structures.recognisers.words import variable_words

NAME, KIND, EVIDENCE_WORD = "OpenBLAS", "OpenBLAS buffer", "openblas-tables"

KINDS: tuple[KindInfo, ...] = (
    KindInfo(KIND, None, "A work buffer of a thread that computes.", "OpenBLAS's two tables of its buffers."),
)

EVIDENCE: tuple[EvidenceInfo, ...] = (
    EvidenceInfo(EVIDENCE_WORD, "OpenBLAS's tables of buffers to use and of buffers to free both name the allocation."),
)

_RECORD_WORDS, _SLOT_WORDS = 3, 6
"""Words of a record: address, function, attributes. Words of a slot that are looked at: lock, address, whether it is in
use, and the first ones of a space that nobody writes to."""

_MAX_MODULES = 16


def find(context: Context) -> Found:
    """Finds the buffers of every OpenBLAS in the process."""
    modules = [module for module in context.modules if "openblas" in module.name]
    found = [part for module in modules[:_MAX_MODULES] for part in _buffers(context, module)]
    return Found(ranges=without_overlaps(found))


def _buffers(context: Context, module: LoadedModule) -> Iterator[LabelledRange]:
    """The buffers of one module."""
    image = context.image_of(module)
    if image is None:
        return
    width, sizes = image.pointer_size, dict(context.large_allocations)
    records: dict[int, dict[int, int]] = defaultdict(dict)
    slots: dict[int, int] = {}
    for at, words in variable_words(context.memory, module.base, image, width):
        for index in [index for index, word in enumerate(words) if word in sizes]:
            place, base = at + index * width, words[index]
            if _is_record(words, index, module.base, image):
                records[words[index + 1]][base] = place
            elif _is_slot(words, index, width):
                slots[base] = place - width
    for named in records.values():
        if len({sizes[base] for base in named}) != 1 or not slots.keys() >= named.keys():
            continue
        for base, place in named.items():
            context.memory.read(place, _RECORD_WORDS * width)
            context.memory.read(slots[base], _SLOT_WORDS * width)
            yield LabelledRange(
                base, sizes[base], KIND, EVIDENCE_WORD, details=module.name, owner=NAME, module=module.name
            )


def _is_record(words: array[int], index: int, base: int, image: PeImage) -> bool:
    """Whether an address is followed by a function of the module."""
    if index + _RECORD_WORDS > len(words):
        return False
    function = words[index + 1] - base
    return any(
        section.characteristics & IMAGE_SCN_MEM_EXECUTE and 0 <= function - section.address < section.size
        for section in image.sections
    )


def _is_slot(words: array[int], index: int, width: int) -> bool:
    """Whether an address has a lock before it, and behind it a mark of use and nothing else."""
    if index < 1 or index + _SLOT_WORDS - 1 > len(words):
        return False
    lock, used, unused = words[index - 1], words[index + 1], words[index + 2 : index + _SLOT_WORDS - 1]
    # In 64 bits, some builds have a number before the mark.
    marks = (used,) if width == 4 else (used & 0xFFFFFFFF, used >> 32)
    return lock <= 1 and marks[-1] <= 1 and not any(unused)
