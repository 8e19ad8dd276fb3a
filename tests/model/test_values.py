"""Tests that a value behaves as the dataclass that it is to mypy."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from dataclasses import dataclass, field

import pytest

from dumpmap.model.values import cached_property, changed, value_class


@value_class(frozen=True, slots=True)
class Range:
    """A value."""

    base: int
    size: int = 4096
    notes: list[str] = field(default_factory=list)
    seen: int = field(default=0, compare=False, repr=False)


@value_class(frozen=False, slots=True)
class Count:
    """A value that changes."""

    count: int = 0


@value_class(frozen=True, slots=True)
class Empty:
    """A value without members."""


@value_class(frozen=True, slots=True)
class Named:
    """A value that prints and compares in its own way."""

    name: str

    def __repr__(self) -> str:
        return "named"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Named) and self.name.lower() == other.name.lower()

    def __hash__(self) -> int:
        return hash(self.name.lower())


@dataclass(frozen=True, slots=True)
class _Generated:
    base: int
    size: int = 4096


def test_values_compare_and_show_as_a_dataclass_does() -> None:
    assert Range(1, seen=3) == Range(1, seen=4)
    assert Range(1) != Range(2)
    other: object = Count(1)
    assert Range(1) != other
    assert repr(Range(1, notes=["a"])) == "Range(base=1, size=4096, notes=['a'])"
    assert repr(_Generated(1)).removeprefix("_Generated") == "(base=1, size=4096)"
    assert Empty() == Empty()
    assert len({Empty(), Empty()}) == 1
    assert Named("A") == Named("a")
    assert repr(Named("A")) == "named"
    assert len({Named("A"), Named("a")}) == 1


def test_a_value_that_changes_has_no_hash() -> None:
    count = Count()
    count.count += 2
    assert count == Count(2)
    with pytest.raises(TypeError):
        hash(count)


def test_values_copy_pickle_and_change() -> None:
    one = Range(1, notes=["a"])
    assert copy.copy(one) == one == pickle.loads(pickle.dumps(one))
    assert changed(one, size=8) == dataclasses.replace(one, size=8) == Range(1, 8, ["a"])
    assert dataclasses.asdict(one) == {"base": 1, "size": 4096, "notes": ["a"], "seen": 0}
    assert not hasattr(one, "__dict__")
    with pytest.raises(TypeError):
        changed(one, nothing=1)


class Squared:
    """Computes on demand."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.computed = 0

    @cached_property
    def square(self) -> int:
        """The square."""
        self.computed += 1
        return self.number**2


def test_a_cached_property_is_computed_once_for_each_object() -> None:
    two, three = Squared(2), Squared(3)
    assert (two.square, three.square, two.square, three.square) == (4, 9, 4, 9)
    assert (two.computed, three.computed) == (1, 1)
    assert Squared.square.__doc__ == "The square."
