"""The sentences about what limits a comparison."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from dumpmap.analysis.caveats import Caveat, CaveatId
from dumpmap.wording.text import part_words

_Values = Mapping[str, int]

_SENTENCES: Mapping[CaveatId, str | Callable[[_Values], str]] = {
    "different-processes": (
        "The inputs show different processes, or it is unknown whether they show the same one. Addresses mean little "
        "then, and anonymous memory is matched by type, size, and commit, which says nothing about its contents."
    ),
    "no-region-list": lambda values: (
        f"{_inputs(values)} no list of memory regions, so memory missing from its map can exist nevertheless. "
        "Only modules and counters are compared."
    ),
    "region-list-cut-off": lambda values: (
        f"The {'first' if values['a'] else 'second'} input's list of memory regions is truncated. "
        "Memory beyond its end is not compared."
    ),
    "different-pointer-sizes": "One process is 32-bit, the other 64-bit.",
    "owners-of-one-input": lambda values: (
        f"The {'first' if values['a'] else 'second'} input is a VMMap file, which names few owners. "
        "What both inputs have belongs to its owner in the other one; the rest has the owner that is known, or none."
    ),
    "owners-of-other-inputs": (
        "VMMap files name few owners. What they have in common with the input before or after them belongs to its "
        "owner there; the rest has the owner that is known, or none."
    ),
    "several-processes": "The inputs show more than one process. A difference between them is not necessarily growth.",
    "incomplete-inputs": (
        "Some inputs have no list of memory regions, or a truncated one. Their totals are at least what is shown, and "
        "growth is computed without them."
    ),
    "times-missing": lambda values: (
        f"{part_words(values['count'], values['of'], 'input', 'does', 'do')} not record when "
        f"{'it was' if values['count'] == 1 else 'they were'} captured, so slopes are per sample."
    ),
    "times-equal": "All inputs were captured in the same second, so slopes are per sample.",
    "sorted-by-time": "The inputs are sorted by capture time.",
}


def _inputs(values: _Values) -> str:
    if values["a"] and values["b"]:
        return "Both inputs have"
    return f"The {'first' if values['a'] else 'second'} input has"


def caveat_texts(caveats: Iterable[Caveat]) -> tuple[str, ...]:
    """Writes caveats as sentences."""
    return tuple(_text(caveat) for caveat in caveats)


def _text(caveat: Caveat) -> str:
    sentence = _SENTENCES[caveat.id]
    return sentence if isinstance(sentence, str) else sentence(caveat.values)
