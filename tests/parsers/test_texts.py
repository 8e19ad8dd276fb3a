"""Texts and numbers that a program wrote for people, at the exact bounds of what is read."""

from __future__ import annotations

import pytest

from dumpmap.parsers.minidump.texts import clean, flag, number, positive, seconds


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (None, None),
        ("", None),
        ("0", 0),
        (" 7\n", 7),
        ("18446744073709551615", 18446744073709551615),
        ("18446744073709551616", None),  # 65 bits
        ("36893488147419103231", None),  # all 65 bits set
        ("99999999999999999999", None),
        ("000000000000000000001", None),  # 21 digits
        ("0x0", 0),
        ("0XfF", 255),
        ("0xffffffffffffffff", 18446744073709551615),
        ("0x10000000000000000", None),  # 17 digits
        ("0x", None),
        ("-1", None),
        ("+1", None),
        ("1_000", None),
        ("1.5", None),
        ("\u0661", None),  # a digit, but not one that a C program prints
    ],
)
def test_numbers(text: str | None, value: int | None) -> None:
    assert number(text) == value
    assert positive(text) == (value or None)


@pytest.mark.parametrize(
    ("text", "value"), [("0", 0), ("3723.9", 3723), (".5", None), ("1e3", None), (None, None), ("-0.5", None)]
)
def test_seconds(text: str | None, value: int | None) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", True),
        (" TRUE ", True),
        ("0", False),
        ("False", False),
        ("2", None),
        ("yes", None),
        ("", None),
        (None, None),
    ],
)
def test_flags(text: str | None, value: bool | None) -> None:
    assert flag(text) is value


def test_texts_are_cut_and_cleaned() -> None:
    assert clean("x" * 8192) == "x" * 8192
    assert clean("x" * 8193) == "x" * 8192
    assert clean("abcdef", 3) == "abc"
    assert clean(" a\r\nb\tc\n") == "a\nb\tc"
    # The last and first characters of each range that goes, and their neighbours that stay.
    assert clean("\x00\x08\x0b\x1f\x7f\x9f\ud800\udfff\ufffe\uffff") == ""
    assert clean("[\t\n\x20~\xa0\ud7ff\ue000\ufffd]") == "[\t\n\x20~\xa0\ud7ff\ue000\ufffd]"
