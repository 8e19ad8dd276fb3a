"""The outputs that pages show: each is what its commands print now."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from .blocks import blocks, shown, with_output
from .pictures import PICTURES
from .sandbox import Ran, Sandbox, is_run


class CommandError(Exception):
    """A command whose output a page shows has failed."""


@cache
def _outputs(page: str) -> tuple[str, ...]:
    """Runs the commands of a page in order, and returns what the blocks with an output print."""
    texts = []
    wanted = [commands for commands, _ in shown(page)]
    with tempfile.TemporaryDirectory() as folder:
        sandbox = Sandbox(Path(folder))
        for block in blocks(page):
            if block.has_commands and block.start <= wanted[-1].start:
                ran = [sandbox.run(command) for command in block.commands() if block in wanted or is_run(command)]
                if block in wanted:
                    for one in ran:
                        _check(one)
                    texts.append("".join(one.out for one in ran).rstrip("\n"))
    return tuple(texts)


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
