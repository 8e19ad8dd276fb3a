"""Protections in words."""

from __future__ import annotations

import pytest

from dumpmap.model.protection import protection_text

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
