"""Protections in words."""

from __future__ import annotations

import numpy as np
import pytest

from dumpmap.model.protection import protection_codes, protection_text

COMMIT, RESERVE = 0x1000, 0x2000


@pytest.mark.parametrize(
    ("protect", "state", "text"),
    [
        (0, COMMIT, ""),
        (0, RESERVE, "Reserved"),
        (4, RESERVE, "Reserved"),
        (1, COMMIT, "No access"),
        (2, COMMIT, "Read"),
        (4, COMMIT, "Read/Write"),
        (0x104, COMMIT, "Read/Write/Guard"),
        (0x6, COMMIT, "0x6"),  # two at once: Windows never sets them
        (0x100, COMMIT, "0x100"),
    ],
)
def test_protections(protect: int, state: int, text: str) -> None:
    assert protection_text(protect, state).lower() == text.lower()


def test_a_column_of_protections() -> None:
    rows = [
        (4, COMMIT, "Read/Write"),
        (0x104, COMMIT, "Read/Write/Guard"),
        (4, RESERVE, "Reserved"),
        (0, 0x10000, ""),
        (2, COMMIT, "Read"),
        (4, COMMIT, "Read/Write"),
    ]
    odd = [(0x40000004, COMMIT, "Read/Write"), (0x6, COMMIT, "0x6"), (4, 0x80000000, "Read/Write"), (0, 7, "")]
    for column in (rows, [*rows, *odd], odd, []):
        protect, state = (np.array([row[at] for row in column], np.uint32) for at in (0, 1))
        codes, texts = protection_codes(protect, state)
        assert [texts[code] for code in codes.tolist()] == [text for _, _, text in column]
