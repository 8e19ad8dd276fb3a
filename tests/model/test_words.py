"""Shares in words: only all of it is 100 %."""

from __future__ import annotations

import pytest

from dumpmap.model.formulas import as_text, from_cell
from dumpmap.wording.text import percent_text, percent_words


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (1.0, "100 %"),
        (0.99999999, "99.9 %"),
        (0.9978, "99.8 %"),
        (0.9904, "99.0 %"),
        (0.99, "99 %"),
        (0.987, "99 %"),
        (0.61, "61 %"),
        (0.052, "5.2 %"),
        (1.004, "100.4 %"),
        (1.0004, "over 100 %"),
        (0.0, "0 %"),
        (0.00001, "<0.1 %"),
        (0.00049, "<0.1 %"),
        (0.0005, "0.1 %"),
    ],
)
def test_only_all_of_it_is_100_percent_and_only_nothing_is_0_percent(share: float, words: str) -> None:
    assert percent_words(share) == percent_text(share) == words


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+x", "'+x"),
        ("-5", "'-5"),
        ("@a", "'@a"),
        ("a=b", "a=b"),
        ("", ""),
        ("'a", "'a"),
        ("'=1", "''=1"),
    ],
)
def test_a_text_in_a_cell_comes_back(text: str, cell: str) -> None:
    assert as_text(text) == cell
    assert from_cell(cell) == text
