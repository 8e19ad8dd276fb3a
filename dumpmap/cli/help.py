"""How the help of a command names its arguments: FILE, not `{FILE}` and `<str>`."""

from __future__ import annotations

import copy
from typing import Any

from typer.core import TyperArgument, TyperCommand


class Command(TyperCommand):
    """A command whose arguments are called what a reader puts there. Typer adds the kind of the value in Python."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        for parameter in self.params:
            if isinstance(parameter, TyperArgument):
                kind = copy.copy(parameter.type)  # all texts share one
                vars(kind).update(get_metavar=_nothing)
                parameter.type = kind

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Names the arguments without the braces of required ones: optional ones have brackets."""
        return [piece.strip("{}") for piece in super().collect_usage_pieces(ctx)]


def _nothing(*_: Any, **__: Any) -> str:
    return ""
