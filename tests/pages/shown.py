"""The outputs that pages show: each is what its commands print now."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from .blocks import Block, blocks, shown, with_output
from .pictures import PICTURES
from .sandbox import Ran, Sandbox, is_run


class CommandError(Exception):
    """A command whose output a page shows has failed."""


class Reading:
    """The commands of a page, run in order in one folder: each once, and none before somebody asks for it.

    Args:
        page: the text of the page.
    """

    def __init__(self, page: str) -> None:
        self._blocks = [block for block in blocks(page) if block.has_commands]
        self.wanted = [commands for commands, _ in shown(page)]
        """The blocks whose output the page shows."""
        self._ran: list[tuple[Block, list[Ran]]] = []
        self._folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self._sandbox = Sandbox(Path(self._folder.name))

    def ran(self, until: int | None = None) -> list[tuple[Block, list[Ran]]]:
        """The blocks that begin no later than `until`, or all, with what their commands did, if they are run here.

        Raises:
            ValueError: the page shows the output of a program that is not run here.
        """
        for block in self._blocks[len(self._ran) :]:
            if until is not None and block.start > until:
                break
            commands = (one for one in block.commands() if block in self.wanted or (is_run(one) and not remote(one)))
            self._ran.append((block, [self._sandbox.run(command) for command in commands]))
        return [(block, ran) for block, ran in self._ran if until is None or block.start <= until]


@cache
def reading(page: str) -> Reading:
    """The commands of a page; the tool that writes outputs and the test that all commands run share it."""
    return Reading(page)


def remote(command: str) -> bool:
    """Whether a command needs a server that is not here."""
    return bool(re.search(r"\b(s3|tcp)://", command))


def _outputs(page: str) -> Iterator[str]:
    """What the blocks with an output print."""
    read = reading(page)
    for block, ran in read.ran(read.wanted[-1].start):
        if block in read.wanted:
            for one in ran:
                _check(one)
            yield "".join(one.out for one in ran).rstrip("\n")


def _check(ran: Ran) -> None:
    if ran.code not in (0, 1):  # 1 is the answer of a gate
        raise CommandError(f"{ran.command}: exit code {ran.code}: {ran.err}")


def with_outputs(page: str) -> str:
    """Returns a page whose blocks of output are what its commands print."""
    outputs = [output for _, output in shown(page)]
    return with_output(page, zip(outputs, _outputs(page), strict=True)) if outputs else page


def add_pages(wanted: dict[Path, str | None], docs: Path) -> None:
    """Adds the pages that show outputs, and the pictures, to the texts that belong into files."""
    wanted |= {docs / name: draw() for name, draw in PICTURES.items()}
    new = [path for path in wanted if path.suffix == ".md" and not path.exists()]
    for path in (docs.parent / "README.md", *docs.rglob("*.md"), *new):
        page = wanted[path] if path in wanted else path.read_text(encoding="utf-8") if path.exists() else None
        if page is not None:
            wanted[path] = with_outputs(page)
