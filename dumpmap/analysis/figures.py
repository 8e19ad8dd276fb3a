"""A figure of two maps."""

from __future__ import annotations

from typing import Any

from dumpmap.model.values import value_class


@value_class(frozen=True, slots=True)
class FigureChange:
    """A figure on both sides; None is unknown, and then the change is too.

    Where one of the maps is incomplete, its figure is a lower bound: both are given, but no change.

    Attributes:
        a: the figure of the first map.
        b: that of the second.
        comparable: whether there is a change to state.
        least_a: whether the first figure is a lower bound.
        least_b: whether the second is.
    """

    a: float | None
    b: float | None
    comparable: bool = True
    least_a: bool = False
    least_b: bool = False

    @property
    def delta(self) -> float | None:
        """The change."""
        return None if self.a is None or self.b is None or not self.comparable else self.b - self.a

    def to_dict(self) -> dict[str, Any]:
        """Returns plain data."""
        return {"a": self.a, "b": self.b, "delta": self.delta}
