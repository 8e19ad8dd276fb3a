"""Reads the list of the changes that change nothing: `equivalent.txt`.

An entry has the file, the line before and after the change, and why no test can notice it. Lines name the change, not
line numbers, so that an entry stays valid until somebody edits the line itself. An entry for the file `*` is about a
part of a line, wherever it stands: a comparison that no value can answer otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

LIST = Path(__file__).with_name("equivalent.txt")


@dataclass(frozen=True)
class Equivalent:
    """A change that changes nothing: its file, its line before and after, and the reason."""

    path: str
    old: str
    new: str
    reason: str

    def explains(self, path: str, old: str, new: str) -> bool:
        """Whether a change of a line is this one."""
        if self.path != "*":
            return self.key == (path, old, new)
        parts = old.split(self.old)
        made = (self.old.join(parts[:at]) + self.new + self.old.join(parts[at:]) for at in range(1, len(parts)))
        return new in made

    @property
    def key(self) -> tuple[str, str, str]:
        """What identifies the change."""
        return self.path, self.old, self.new


def read_list(file: Path = LIST) -> Iterator[Equivalent]:
    """Yields the entries of the list: blocks of four lines between empty ones; lines with # are comments."""
    lines = [line for line in file.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    for block in "\n".join(lines).strip().split("\n\n"):
        match block.splitlines():
            case [path, old, new, *reason] if old.startswith("- ") and new.startswith("+ ") and reason:
                yield Equivalent(path, old[2:], new[2:], " ".join(line.strip() for line in reason))
            case _:
                raise ValueError(f"{file}: not an entry of four lines:\n{block}")
