"""Checks of options whose values are words."""

from __future__ import annotations

from collections.abc import Iterable


def check_choice(name: str, value: object, choices: Iterable[str]) -> None:
    """Checks a word that a caller gives.

    Raises:
        ValueError: it is none of the choices; the error names them.
    """
    words = tuple(choices)
    if value not in words:
        raise ValueError(f"{name} must be one of {', '.join(words)}, not {value!r}")
