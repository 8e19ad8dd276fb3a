"""Sizes with units, as dumpmap writes and reads them."""

from __future__ import annotations

import pytest

from dumpmap.model.sizes import parse_number, parse_size, size_left, size_most, size_words

KB, MB, GB, TB, PB, EB = (1 << 10 * power for power in range(1, 7))


@pytest.mark.parametrize(
    ("value", "words", "left", "most"),
    [
        (0, "0 bytes", "0 bytes", "0 bytes"),
        (1, "1 byte", "1 byte", "1 byte"),
        (KB - 1, "1023 bytes", "1023 bytes", "1023 bytes"),
        (KB, "1 KB", "1 KB", "1 KB"),
        (KB + 1, "1.0 KB", "1.0 KB", "1.1 KB"),
        (64 * KB, "64 KB", "64 KB", "64 KB"),
        (15 * MB + 896 * KB, "15.9 MB", "15.8 MB", "15.9 MB"),  # 15.875
        (18 * MB + 192 * KB, "18.2 MB", "18.1 MB", "18.2 MB"),  # 18.1875
        (100 * MB - 1, "100.0 MB", "99.9 MB", "100 MB"),
        (100 * MB, "100 MB", "100 MB", "100 MB"),
        (100 * MB + 1, "100 MB", "100 MB", "101 MB"),
        (MB - 1, "1024 KB", "1023 KB", "1024 KB"),
        (GB, "1 GB", "1 GB", "1 GB"),
        (GB + GB // 2, "1.5 GB", "1.5 GB", "1.5 GB"),
        (128 * TB - 64 * KB, "128 TB", "127 TB", "128 TB"),
        (3 * PB, "3 PB", "3 PB", "3 PB"),
        (2 * EB, "2 EB", "2 EB", "2 EB"),
    ],
)
def test_sizes_in_words(value: int, words: str, left: str, most: str) -> None:
    assert (size_words(value), size_left(value), size_most(value)) == (words, left, most)


@pytest.mark.parametrize(("value", "words"), [(-1, "-1 byte"), (-KB, "-1 KB"), (-MB - MB // 2, "-1.5 MB")])
def test_negative_sizes(value: int, words: str) -> None:
    assert size_words(value) == words


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("65536", (65536, False)),
        ("1,024", (1024, False)),
        ("1_000", (1000, False)),
        ("0.75", (0.75, False)),
        ("64KB", (64 * KB, True)),
        ("64 kib", (64 * KB, True)),
        ("64k", (64 * KB, True)),
        ("1.5 GB", (1.5 * GB, True)),
        ("3MiB", (3 * MB, True)),
        ("2t", (2 * TB, True)),
        ("7 bytes", (7, True)),
        ("7b", (7, True)),
        (" 5 ", (5, False)),
        ("", None),
        ("KB", None),
        (".5", None),
        ("-5", None),
        ("5 pb", None),
        ("5x", None),
        ("1e3", None),
    ],
)
def test_numbers(text: str, number: tuple[float, bool] | None) -> None:
    assert parse_number(text) == number


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("65536", 65536),
        ("0x10000", 65536),
        (" 0xFFFF_ffff ", 0xFFFFFFFF),
        ("1.5 KB", 1536),
        ("4194304 TB", 1 << 62),
        ("0x4000000000000000", 1 << 62),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["0x4000000000000001", "4611686018427387905", "4194305 TB"])
def test_sizes_that_exceed_any_address_space(text: str) -> None:
    with pytest.raises(ValueError, match="exceeds any address space"):
        parse_size(text)


@pytest.mark.parametrize("text", ["", "x", "0x", "0xg", "1 2", "-1"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        parse_size(text)
