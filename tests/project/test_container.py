"""The Dockerfile: what its lines promise, and its own steps carried out in a Debian root, without a registry of images.

The root is made by debootstrap once, in $DUMPMAP_CONTAINER_BASE, and stands for the base image: it has the same Debian,
with Debian's own Python. That takes minutes: `make container-check` sets the variable, and `make test` skips it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.dockerfile import Image, build, ignored, parse
from support.recorded import DUMPS, region_map

from dumpmap import __version__

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / ".docker" / "Dockerfile"
BASE = Path(os.environ.get("DUMPMAP_CONTAINER_BASE", ""))

pytestmark = pytest.mark.skipif(not DOCKERFILE.exists(), reason="the source archive has no dot-files")


def test_what_a_container_starts_with() -> None:
    *_, last = parse(DOCKERFILE.read_text("utf-8"))
    assert last.values("ENTRYPOINT") == ['["dumpmap"]']
    assert last.values("WORKDIR") == ["/data"]
    assert last.values("USER") == ["10001:10001"]
    assert last.steps.index(("USER", "10001:10001")) > max(
        index for index, (name, _) in enumerate(last.steps) if name == "RUN"
    )


def test_both_stages_have_the_same_base() -> None:
    """A virtual environment finds its Python by path."""
    stages = parse(DOCKERFILE.read_text("utf-8"))
    assert len({stage.base for stage in stages}) == 1
    assert "-slim-" in stages[0].base


def test_only_what_the_wheel_needs_gets_into_a_build() -> None:
    patterns = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    patterns = [line for line in patterns if line and not line.startswith("#")]
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        pytest.skip("this is no git repository")
    kept = [name for name in done.stdout.split() if not ignored(name, patterns)]
    package = [name for name in done.stdout.split() if name.startswith("dumpmap/")]
    assert sorted(kept) == sorted([*package, "LICENSE", "README.md", "pyproject.toml"])
    for name in ("crash.dmp", "dist/dumpmap.pyz", ".git/config", "dumpmap/__pycache__/api.cpython-312.pyc", ".env"):
        assert ignored(name, patterns), name


def base() -> Path:
    """The Debian root, made if it is not there."""
    if "DUMPMAP_CONTAINER_BASE" not in os.environ:
        pytest.skip("takes minutes: make container-check runs it")
    if sys.platform != "linux" or os.getuid() != 0:
        pytest.skip("a Debian root needs Linux and the rights of root")
    for program in ("debootstrap", "unshare", "chroot"):
        if shutil.which(program) is None:
            pytest.skip(f"needs {program}")
    probe = subprocess.run(["unshare", "--mount", "--pid", "--fork", "--", "true"], capture_output=True, text=True)
    if probe.returncode:
        pytest.skip(f"unshare is not permitted here: {probe.stderr.strip()}")
    if not (BASE / "usr/bin/python3").exists():
        scratch = BASE.with_name(f"{BASE.name}.{os.getpid()}")
        packages = "ca-certificates,python3,python3-venv"
        done = subprocess.run(
            ["debootstrap", "--variant=minbase", f"--include={packages}", "bookworm", str(scratch)],
            capture_output=True,
            text=True,
        )
        if done.returncode:
            shutil.rmtree(scratch, ignore_errors=True)
            pytest.skip(f"debootstrap failed: {done.stdout.strip().splitlines()[-1:]}")
        try:
            scratch.rename(BASE)
        except OSError:  # another run was faster
            shutil.rmtree(scratch)
    return BASE


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """The last stage, after every step of the Dockerfile."""
    root = base()
    folder = tmp_path_factory.mktemp("container")
    own = folder / "base"
    subprocess.run(["cp", "-a", str(root), str(own)], check=True)
    # The build reaches the registry as this machine does.
    bundle = Path("/etc/ssl/certs/ca-certificates.crt")
    if bundle.exists():
        shutil.copy(bundle, own / "etc/ssl/certs/ca-certificates.crt")
    shutil.copy("/etc/resolv.conf", own / "etc/resolv.conf")
    try:
        yield build(DOCKERFILE.read_text("utf-8"), ROOT, own, folder)
    except AssertionError as failed:
        if any(word in str(failed) for word in ("Could not find a version", "Connection", "timed out")):
            pytest.skip("cannot reach a package registry")
        raise
    finally:
        shutil.rmtree(folder)  # a gigabyte


@pytest.mark.slow
def test_it_runs_as_docs_say(image: Image, tmp_path: Path) -> None:
    """Read-only root, no rights, the folder of dumps read-only at /data, and nothing else that could be written."""
    dumps = tmp_path / "dumps"
    dumps.mkdir()
    shutil.copy(DUMPS["layout-x64"], dumps / "app.dmp.gz")
    (dumps / "app.dmp.gz").chmod(0o644)
    data = f'mount --bind "{dumps}" "$root/data"; mount -o remount,ro,bind "$root/data"'

    def container(*arguments: str, more: str = ":") -> str:
        done = image.run([*image.start, *arguments], data, more, read_only=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert container("--version").strip() == f"dumpmap {__version__}"
    shown = json.loads(container("summary", "app.dmp.gz", "--format", "json"))
    assert shown["total"]["size"] == region_map("layout-x64").total.size
    assert "<html" in container("report", "app.dmp.gz", "-o", "-")
    assert json.loads(container("triage", ".", "--no-cache", "--format", "json"))["rows"][0]["status"] == "ok"
    tmpfs = 'mount -t tmpfs -o mode=1777 none "$root/tmp"'
    assert json.loads(container("triage", ".", "--format", "json", more=tmpfs))["rows"][0]["status"] == "ok"
    assert [path.name for path in dumps.iterdir()] == ["app.dmp.gz"]


@pytest.mark.slow
def test_its_user_can_change_nothing(image: Image) -> None:
    script = "import os, sys; print(os.getuid(), os.getgid(), os.getgroups(), os.access(sys.prefix, os.W_OK))"
    done = image.run(["python3", "-c", script])
    assert done.stdout.split() == ["10001", "10001", "[]", "False"], done.stderr
    writable = image.run(["find", "/opt", "/data", "/home", "/usr", "/etc", "-writable", "-not", "-type", "l"])
    assert writable.stdout.split() == []


@pytest.mark.slow
def test_nothing_of_the_build_is_left(image: Image) -> None:
    assert not image.inside("/src").exists()
    assert not image.inside("/opt/tools").exists()
    assert not image.inside("/root/.cache").exists()
    environment = image.inside("/opt/dumpmap")
    assert not list(environment.glob("lib/python3*/site-packages/pip*"))
    assert not list(environment.glob("lib/python3*/site-packages/tests"))
    # Without write access, modules that are not compiled would be compiled at every start.
    assert list(environment.glob("lib/python3*/site-packages/dumpmap/__pycache__/*.pyc"))
