"""Picks mutants: a place in the code first, then one of the changes that can be made there. Needs no cosmic-ray."""

from __future__ import annotations

import ast
import hashlib
from dataclasses import dataclass

ROOMS = ("model", "structures", "classify", "analysis", "parsers")
"""The packages of `dumpmap` whose figures and bounds the tests have to hold."""


@dataclass(frozen=True, order=True)
class Mutant:
    """One change: the `occurrence`-th place in a file where an operator of cosmic-ray applies."""

    path: str
    line: int
    column: int
    operator: str
    occurrence: int

    @property
    def name(self) -> str:
        """One word that names the mutant in the records."""
        return f"{self.path}:{self.line}:{self.column}:{self.operator.removeprefix('core/')}:{self.occurrence}"


def idle_places(source: str) -> set[tuple[int, int]]:
    """Where a change means nothing: in annotations, which are text only, and in decorators of classes (`frozen`)."""
    spans: list[ast.expr] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.AnnAssign | ast.arg) and node.annotation is not None:
            spans.append(node.annotation)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.returns is not None:
            spans.append(node.returns)
        elif isinstance(node, ast.ClassDef):
            spans += node.decorator_list
    return {
        (line, column)
        for span in spans
        for line in range(span.lineno, (span.end_lineno or span.lineno) + 1)
        for column in range(
            span.col_offset if line == span.lineno else 0,
            (span.end_col_offset or 0) if line == span.end_lineno else 400,
        )
    }


def lines_of_functions(source: str) -> set[int]:
    """The lines inside functions. The others run once, when the module is imported."""
    return {
        line
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for line in range((node if isinstance(node, ast.Lambda) else node.body[0]).lineno, (node.end_lineno or 0) + 1)
    }


def pick(mutants: list[Mutant], count: int, seed: int) -> list[Mutant]:
    """Picks `count` places by a seed and one mutant at each: an operator with many forms weighs no more.

    Each place has a fixed rank, so an edit changes the sample only where the code was edited.
    """
    places: dict[tuple[str, int, int], list[Mutant]] = {}
    for mutant in sorted(mutants):
        places.setdefault((mutant.path, mutant.line, mutant.column), []).append(mutant)

    def rank(place: tuple[str, int, int]) -> bytes:
        return hashlib.sha256(repr((seed, place)).encode()).digest()

    chosen = sorted(places, key=rank)[:count]
    return [places[place][int.from_bytes(rank(place)) % len(places[place])] for place in chosen]
