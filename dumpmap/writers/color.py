"""Whether standard output takes color."""

from __future__ import annotations

import os
import sys


def has_color() -> bool:
    """Tells whether text on standard output has color.

    A terminal has it and a pipe does not. NO_COLOR turns it off everywhere, FORCE_COLOR turns it on everywhere else.
    """
    is_terminal = sys.stdout is not None and sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
    return (is_terminal or bool(os.environ.get("FORCE_COLOR"))) and not os.environ.get("NO_COLOR")
