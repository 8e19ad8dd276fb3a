"""The folders that the server may read. Every path of a client goes through here."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from dumpmap.errors import InputError, reason_of
from dumpmap.model.values import value_class
from dumpmap.sources.files import MEMBER_MARK
from dumpmap.triage.local_files import found_job, sorted_names

_NOTHING = "no such file or folder. `open` without a path lists every input"

MOST_ENTRIES = 20_000
"""Most files and folders that a listing looks at; a larger folder is refused."""


@value_class(frozen=True, slots=True)
class Place:
    """A file or folder that the server may read.

    Attributes:
        path: the real path, without symbolic links.
        name: what answers call it: its path below the served folder.
        member: the file in an archive that was named; empty for the archive as a whole.
        unsure: whether it is a packed file of a folder that can be anything.
    """

    path: str
    name: str
    member: str = ""
    unsure: bool = False

    @property
    def location(self) -> str:
        """What `dumpmap.open` opens."""
        return self.path + (MEMBER_MARK + self.member if self.member else "")

    @property
    def title(self) -> str:
        """What answers call the input."""
        return self.name + (MEMBER_MARK + self.member if self.member else "")

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return Path(self.path).is_dir()

    @property
    def stamp(self) -> tuple[str, int, int]:
        """Changes when the file changes.

        Raises:
            InputError: the file is gone.
        """
        try:
            status = os.stat(self.path)  # noqa: PTH116 - a path is a text here
        except OSError as error:
            raise InputError(reason_of(error), source=self.title) from None
        return self.location, status.st_mtime_ns, status.st_size

    def renamed(self, text: str) -> str:
        """Returns a text with the name instead of the path."""
        return text.replace(self.location, self.title).replace(self.path, self.name)


class Folders:
    """The served folders.

    Args:
        folders: their paths.

    Raises:
        InputError: one is not a folder.
    """

    def __init__(self, folders: Iterable[Path]) -> None:
        self.roots: list[str] = []
        self._started: list[str] = []
        with contextlib.suppress(OSError):  # a folder that is gone is no place for a name
            self._started.append(str(Path.cwd()))
        for folder in folders:
            root = os.path.realpath(folder)
            if not Path(root).is_dir():
                raise InputError("is not a folder", source=str(folder))
            self.roots.append(root)

    def find(self, text: str) -> Place:
        """Returns the place of a path that a client wrote.

        It can be below a served folder, begin with that folder's own name, be what the person who started the server
        would write, or be absolute. Symbolic links are resolved first, so that none leads out.

        Raises:
            InputError: the path is outside the served folders, or nothing is there.
        """
        outer, mark, member = text.partition(MEMBER_MARK)
        whole = self._found(text)
        found = whole if whole is not None or not mark else self._found(outer, member)
        if found is not None:
            return found
        inside = any(self._is_inside(os.path.realpath(path)) for path in self._candidates(outer))
        raise InputError(_NOTHING if inside else "is outside the folders of this server", source=text)

    def find_file(self, text: str) -> Place:
        """Returns the place of a regular file; see `find`.

        Raises:
            InputError: see `find`; also if a folder or a device is there.
        """
        place = self.find(text)
        if not Path(place.path).is_file():
            kind = "is a folder" if place.is_folder else "is not a regular file"
            raise InputError(kind, source=text)
        return place

    def inputs(self, place: Place) -> Iterator[Place]:
        """Yields the inputs in a folder and its subfolders, in order; a file is its own only input.

        A link to a file counts if the file is in a served folder. Links to folders are not followed.

        Raises:
            InputError: the folder cannot be read, or has more than `MOST_ENTRIES` entries.
        """
        if not place.is_folder:
            yield place
            return
        seen = 0
        levels = [(place.path, self._names(place.path))]
        while levels:
            folder, names = levels[-1]
            name = next(names, None)
            if name is None:
                levels.pop()
                continue
            seen += 1
            if seen > MOST_ENTRIES:
                raise InputError(f"has more than {MOST_ENTRIES:,} entries; name a folder in it", source=place.title)
            path = f"{folder.rstrip(os.sep)}{os.sep}{name}"
            if _is_folder(path):
                levels.append((path, self._names(path)))
            elif (found := self._input(path)) is not None:
                yield found

    @property
    def places(self) -> list[Place]:
        """The served folders themselves."""
        return [Place(root, self._name(root)) for root in self.roots]

    def all_inputs(self) -> Iterator[Place]:
        """Yields the inputs in every served folder."""
        for place in self.places:
            yield from self.inputs(place)

    def _found(self, text: str, member: str = "") -> Place | None:
        for path in self._candidates(text):
            real = os.path.realpath(path)
            if self._is_inside(real) and Path(real).exists():
                return Place(real, self._name(real), member)
        return None

    def _candidates(self, text: str) -> Sequence[str]:
        """Returns what a text can name, the likeliest first. A text with a zero byte names nothing."""
        if "\0" in text or "://" in text:
            return ()
        if Path(text).is_absolute():
            return (text,)
        named = (str(Path(root).parent) for root in self.roots if Path(text).parts[:1] == (Path(root).name,))
        return [str(Path(folder, text)) for folder in (*self.roots, *named, *self._started)]

    def _is_inside(self, real: str) -> bool:
        return any(Path(real).is_relative_to(root) for root in self.roots)

    def _name(self, path: str) -> str:
        """Returns the path below its folder; the whole path if an earlier folder has another file of that name."""
        for place, root in enumerate(self.roots):
            if Path(path).is_relative_to(root):
                name = Path(path).relative_to(root)
                if not any(Path(other, name).exists() for other in self.roots[:place]):
                    return name.as_posix()
        return path

    def _input(self, path: str) -> Place | None:
        """Returns the place of a file if it is an input in a served folder."""
        real = os.path.realpath(path)
        job = found_job(real) if self._is_inside(real) and Path(real).is_file() else None
        return None if job is None else Place(real, self._name(path), unsure=job.unsure)

    def _names(self, folder: str) -> Iterator[str]:
        try:
            yield from sorted_names(folder)
        except OSError as error:
            raise InputError(reason_of(error), source=self._name(folder)) from None


def _is_folder(path: str) -> bool:
    """Returns whether a path is a folder and no link to one."""
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False
