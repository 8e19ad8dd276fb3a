"""Carries out a Dockerfile without a container engine: each stage in a copy of a Debian root, each RUN line by chroot.

It knows the instructions that `.docker/Dockerfile` has, and refuses others, so that none is left out silently.
"""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from string import Template

PASSED_ON = re.compile(r"(?i)(https?|no)_proxy|PIP_.*|SSL_CERT_FILE")
"""Variables that a build on this machine needs to reach a package registry, as `docker build` passes on proxies."""


@dataclass(frozen=True)
class Stage:
    """The instructions from one FROM to the next."""

    base: str
    name: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def values(self, instruction: str) -> list[str]:
        """Returns the arguments of every step with this instruction."""
        return [value for name, value in self.steps if name == instruction]


def parse(text: str) -> list[Stage]:
    """Reads a Dockerfile."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    stages: list[Stage] = []
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        instruction, _, value = line.strip().partition(" ")
        if instruction == "FROM":
            base, _, name = value.partition(" AS ")
            stages.append(Stage(base, name or str(len(stages))))
        elif instruction:
            stages[-1].steps.append((instruction, " ".join(value.split())))
    return stages


def ignored(path: str, patterns: list[str]) -> bool:
    """Returns whether `.dockerignore` keeps a path out: the last line that matches it or a parent of it decides."""
    parents = [str(parent) for parent in (PurePosixPath(path), *PurePosixPath(path).parents) if str(parent) != "."]
    result = False
    for line in patterns:
        keeps = line.startswith("!")
        pattern = line.removeprefix("!")
        # ** stands for any number of folders, also none.
        wanted = [pattern, pattern.removeprefix("**/")] if pattern.startswith("**/") else [pattern]
        if any(
            fnmatch.fnmatchcase(parent, one) and (one != "*" or "/" not in parent)
            for parent in parents
            for one in wanted
        ):
            result = not keeps
    return result


@dataclass
class Image:
    """A stage that is being carried out, and what a container of it starts with."""

    root: Path
    environment: dict[str, str] = field(default_factory=lambda: {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
    arguments: dict[str, str] = field(default_factory=dict)
    folder: str = "/"
    user: str = "0:0"
    start: list[str] = field(default_factory=list)

    def inside(self, path: str) -> Path:
        """Returns where a path of the image is on this machine."""
        return self.root / str(PurePosixPath(self.folder, path)).lstrip("/")

    def run(self, command: list[str], *mounts: str, read_only: bool = False) -> subprocess.CompletedProcess[str]:
        """Runs a command as the image's user, in the root, with mounts and process ids of its own that end with it.

        Args:
            command: the program and its arguments.
            mounts: shell commands that mount more; `$root` is the root.
            read_only: whether nothing in the root can be written.
        """
        script = ["set -e; root=$1; shift", 'mount --bind "$root" "$root"', 'mount -t proc proc "$root/proc"']
        script += ['mount --bind /dev "$root/dev"', 'mount -t tmpfs -o mode=1777,size=64m shm "$root/dev/shm"', *mounts]
        script += ['mount -o remount,ro,bind "$root"'] if read_only else []
        script += [f'exec chroot --userspec={self.user} --groups= "$root" "$@"']
        inside = ["/bin/sh", "-c", f'cd {shlex.quote(self.folder)} && exec "$@"', "sh", *command]
        own = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--"]
        return subprocess.run(
            [*own, "/bin/sh", "-c", "\n".join(script), "sh", str(self.root), *inside],
            env=self.environment | self.arguments,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=900,
        )


def build(text: str, context: Path, base: Path, scratch: Path) -> Image:
    """Carries out a Dockerfile and returns its last image.

    Args:
        text: the Dockerfile.
        context: the folder of the build.
        base: a Debian root with a Python, which stands for the base image.
        scratch: an empty folder for the stages.

    Raises:
        AssertionError: a RUN line failed, or an instruction is not known here.
    """
    patterns = [line for line in (context / ".dockerignore").read_text("utf-8").splitlines() if line and line[0] != "#"]
    images: dict[str, Image] = {}
    for stage in parse(text):
        root = scratch / stage.name
        subprocess.run(["cp", "-a", str(base), str(root)], check=True)
        image = images[stage.name] = Image(root)
        for instruction, value in stage.steps:
            if instruction == "RUN":
                registry = {name: given for name, given in os.environ.items() if PASSED_ON.fullmatch(name)}
                done = replace(image, environment={**image.environment, **registry}).run(["/bin/sh", "-c", value])
                assert done.returncode == 0, f"{value}\n{done.stdout}{done.stderr}"
            elif instruction == "COPY":
                _copy(image, value, images, context, patterns)
            elif instruction == "ARG":
                name, _, default = value.partition("=")
                image.arguments[name] = default
            elif instruction == "ENV":
                pairs = (word.partition("=") for word in shlex.split(value))
                image.environment |= {name: Template(given).substitute(image.environment) for name, _, given in pairs}
            elif instruction == "WORKDIR":
                image.folder = value
                image.inside(".").mkdir(parents=True, exist_ok=True)
            elif instruction == "USER":
                image.user = value
            elif instruction == "ENTRYPOINT":
                image.start = json.loads(value)
            else:
                assert instruction in ("LABEL", "CMD"), f"{instruction} is not known here"
    return images[stage.name]


def _copy(image: Image, value: str, images: dict[str, Image], context: Path, patterns: list[str]) -> None:
    """Carries out COPY: the contents of folders, and files into a folder whose name ends with a slash."""
    words = shlex.split(value)
    sources, target = words[:-1], image.inside(words[-1])
    if sources[0].startswith("--from="):
        origin, sources = images[sources[0].removeprefix("--from=")], sources[1:]
        for source in sources:
            shutil.copytree(origin.inside(source), target, symlinks=True, dirs_exist_ok=True)
        return
    for source in sources:
        paths = [context / source]
        if paths[0].is_dir():
            paths = [path for path in sorted(paths[0].rglob("*")) if path.is_file()]
        for path in paths:
            name = path.relative_to(context).as_posix()
            if ignored(name, patterns):
                continue
            place = target / (path.name if path == context / source else path.relative_to(context / source))
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)
