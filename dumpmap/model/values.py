"""`value_class`: the decorator of the records that dumpmap defines by the hundred.

To mypy it is `dataclasses.dataclass`, so a change of a frozen value does not pass the checks. While dumpmap runs,
nothing guards a value: Python makes a guarded one with 14 fields in 2 microseconds and this one in 0.2. A definition
takes a quarter of the time too, because what compares, hashes and shows a value is not compiled for each class. A
command defines 140 of them before it does anything.

Only the standard library is used here: the live capture makes the same values on a bare Python.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from functools import cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar, cast

_T = TypeVar("_T")

if TYPE_CHECKING:
    from dataclasses import dataclass as value_class
    from functools import cached_property
else:
    from dataclasses import dataclass

    class cached_property:
        """`functools.cached_property` without its lock, which before Python 3.12 takes longer than most properties."""

        def __init__(self, make: Callable[[Any], Any]) -> None:
            self._make, self._name, self.__doc__ = make, make.__name__, make.__doc__

        def __get__(self, instance: Any, owner: Any = None) -> Any:
            if instance is None:
                return self
            value = instance.__dict__[self._name] = self._make(instance)
            return value

    def value_class(*, frozen: bool, slots: bool) -> Callable[[type[_T]], type[_T]]:
        """Makes a dataclass. A `frozen` one has a hash, and mypy lets nobody change it."""

        def make(kind: type[_T]) -> type[_T]:
            own = vars(kind)
            made = dataclass(slots=slots, repr=False, eq=False)(kind)
            if "__repr__" not in own:
                made.__repr__ = _shown
            if "__eq__" not in own:
                made.__eq__, made.__hash__ = _comparing(made, frozen)
            return made

        return make


def _comparing(kind: type, frozen: bool) -> tuple[Callable[[Any, Any], Any], Callable[[Any], int] | None]:
    """Returns what compares and what hashes the values of a class, as `dataclass` would generate them."""
    names = [field.name for field in fields(kind) if field.compare]
    compared: Callable[[Any], Any] = attrgetter(*names) if names else lambda _: ()

    def equal(one: Any, other: Any) -> Any:
        return compared(one) == compared(other) if one.__class__ is other.__class__ else NotImplemented

    def hashed(one: Any) -> int:
        return hash(compared(one))

    return equal, hashed if frozen else None


def _shown(one: Any) -> str:
    shown = (f"{field.name}={getattr(one, field.name)!r}" for field in fields(one) if field.repr)
    return f"{type(one).__qualname__}({', '.join(shown)})"


def changed(one: _T, **changes: Any) -> _T:
    """Returns a value with other members, as `dataclasses.replace` does in two to six times the time.

    Raises:
        TypeError: a member that it does not have.
    """
    kind: Any = type(one)
    places, members = _members(kind)
    values = list(members(one))
    for name, value in changes.items():
        if name not in places:
            raise TypeError(f"{kind.__name__} has no member {name}")
        values[places[name]] = value
    return cast("_T", kind(*values))


@cache
def _members(kind: Any) -> tuple[dict[str, int], Callable[[object], tuple[Any, ...]]]:
    """Returns the places of the members of a value, two or more, and what gets them all in their order."""
    names = [field.name for field in fields(kind)]
    return {name: place for place, name in enumerate(names)}, attrgetter(*names)


__all__ = ["cached_property", "changed", "value_class"]
