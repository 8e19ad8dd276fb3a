"""Findings and the verdict with a form for notebooks."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from dumpmap.wording.findings import Finding
from dumpmap.wording.verdicts import Verdict as VerdictData


class Findings(list[Finding]):
    """A list of findings, most severe first, that a notebook shows as text."""

    def _repr_html_(self) -> str:
        from dumpmap.render.html.blocks import blocks_fragment
        from dumpmap.views.diagnose import finding_blocks

        return blocks_fragment(finding_blocks(self))


class Verdict(VerdictData):
    """The verdict on a map: `verdict` is its ID, `sentence` the statement; it prints as both."""

    __slots__ = ()

    @classmethod
    def of(cls, verdict: VerdictData) -> Verdict:
        """Returns the same verdict."""
        return cls(**{field.name: getattr(verdict, field.name) for field in fields(verdict)})

    def __str__(self) -> str:
        return f"{self.verdict}: {self.sentence}"

    def __repr__(self) -> str:
        return f"<Verdict {self}>"

    def __rich_console__(self, console: Any, options: Any) -> Any:
        from dumpmap.render.terminal import to_rich
        from dumpmap.views.diagnose import verdict_blocks

        yield from to_rich(verdict_blocks(self))

    def _repr_html_(self) -> str:
        from dumpmap.render.html.blocks import blocks_fragment
        from dumpmap.views.diagnose import verdict_blocks

        return blocks_fragment(verdict_blocks(self))
