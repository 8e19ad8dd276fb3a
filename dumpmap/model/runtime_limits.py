"""The limit of a runtime's own heap, as the variables in its memory state it. Standard library only."""

from __future__ import annotations

from dumpmap.model.values import value_class


@value_class(frozen=True, slots=True)
class RuntimeLimit:
    """The heap of a runtime against its own limit.

    A recogniser puts it into `Found.facts`; `dumpmap.analysis.heap_limits` collects it for the diagnosis.

    Attributes:
        runtime: such as `V8` or `Java`.
        used: bytes of the heap in use; None if unknown.
        limit: bytes that the heap may use at most; None if unknown.
        source: which variables say so.
        garbage: whether `used` can be mostly garbage, because the runtime has no reason to remove it before the limit.
            Then a full heap shows nothing.
    """

    runtime: str
    used: int | None
    limit: int | None
    source: str
    garbage: bool = False
