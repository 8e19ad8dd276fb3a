"""Sizes in words, alone and beside each other."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dumpmap.model.sizes import Rounding, rounded_share, size_left, size_most, size_words, sizes_apart

GB = 1 << 30
UNITS = {"bytes": 0, "byte": 0, "KB": 10, "MB": 20, "GB": 30, "TB": 40, "PB": 50, "EB": 60}
SIZES = st.integers(0, 62).flatmap(lambda bits: st.integers(0, 1 << bits))


def read(text: str) -> float:
    """The bytes that a text shows."""
    match = re.fullmatch(r"([\d,]+(?:\.\d+)?) (\w+)", text)
    assert match is not None, text
    return float(match[1].replace(",", "")) * (1 << UNITS[match[2]])


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        (((int(2.25 * GB), "nearest"), (int(2.14 * GB), "up")), ["2.25 GB", "2.14 GB"]),
        (((3 * GB, "nearest"), (2 * GB, "up")), ["3 GB", "2 GB"]),
        (((2 * GB, "nearest"), (2 * GB - 65536, "nearest")), ["2 GB", "1.9999 GB"]),
        (((2 * GB, "nearest"), (2 * GB - 1, "nearest")), ["2,147,483,648 bytes", "2,147,483,647 bytes"]),
        (((2 * GB, "nearest"), (2 * GB, "down")), ["2 GB", "2 GB"]),
        (((1, "nearest"), (2, "nearest")), ["1 byte", "2 bytes"]),
    ],
)
def test_compared_sizes_have_the_decimals_that_show_the_difference(
    sizes: tuple[tuple[int, Rounding], ...], words: list[str]
) -> None:
    assert sizes_apart(*sizes) == words


@given(SIZES, SIZES, st.sampled_from(["nearest", "down", "up"]), st.sampled_from(["nearest", "down", "up"]))
@example(0, 0, "up", "down")
def test_the_order_of_two_sizes_can_be_read(one: int, other: int, first: Rounding, second: Rounding) -> None:
    left, right = map(read, sizes_apart((one, first), (other, second)))
    if one >= 1 << 50 or other >= 1 << 50:  # a float does not hold all bytes of these
        assert (left <= right) if one <= other else (left >= right)
    else:
        assert (left < right, left == right) == (one < other, one == other)


@given(SIZES)
def test_what_is_left_is_rounded_down_and_an_upper_bound_up(size: int) -> None:
    assert read(size_left(size)) <= size <= read(size_most(size))
    assert read(size_words(size)) == pytest.approx(size, rel=0.05)


def test_one_byte_is_singular() -> None:
    assert (size_words(1), size_left(1), size_most(1), size_words(0)) == ("1 byte", "1 byte", "1 byte", "0 bytes")


@pytest.mark.parametrize(
    ("share", "rounded"),
    [(None, None), (0, 0), (1e-9, 0.0001), (0.12345, 0.1235), (0.99999, 0.9999), (1, 1), (1.00001, 1.0), (1.5, 1.5)],
)
def test_only_all_of_a_share_is_rounded_to_one(share: float | None, rounded: float | None) -> None:
    assert rounded_share(share) == rounded
