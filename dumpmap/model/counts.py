"""Counts with their nouns: the only place that knows a singular from a plural."""

from __future__ import annotations


def count_words(count: int, one: str, many: str | None = None) -> str:
    """Writes a count with its noun: `1 heap`, `12 heaps`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def part_words(part: int, whole: int, noun: str, one: str = "", many: str = "") -> str:
    """Writes a part of a count, with the verb if one is given: `1 of 12 threads has`, `3 of 12 threads have`.

    Args:
        part: how many.
        whole: of how many.
        noun: what they are, in the singular.
        one: the verb if the part is one.
        many: the verb if it is more.
    """
    verb = one if part == 1 else many
    return f"{part:,} of {count_words(whole, noun)}" + (f" {verb}" if verb else "")
