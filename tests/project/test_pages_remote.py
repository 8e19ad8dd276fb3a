"""The commands of pages that read from a bucket or use a cluster: with a server of S3 and a scheduler of the test's."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pages.blocks import blocks, pages
from pages.sandbox import FIXTURES, Sandbox, is_run
from pages.shown import remote

REMOTE = [
    (path.name, command)
    for path in pages()
    for block in blocks(path.read_text(encoding="utf-8"))
    if block.has_commands
    for command in block.commands()
    if is_run(command) and remote(command)
]
FILES = {
    "2026/crash.dmp": "starve-x64.dmp.gz",
    "2026/other.dmp": "layout-x86.dmp.gz",
    "dumps/a.dmp": "leak-x64-after.dmp.gz",
}


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A bucket named `bucket`, which the variables and the profile of AWS's tools lead to."""
    server_module = pytest.importorskip("moto.server", reason="needs moto[server]")
    s3fs = pytest.importorskip("s3fs")
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    _, port = server.get_host_and_port()
    url = f"http://127.0.0.1:{port}"
    (tmp_path / "aws").write_text("[profile crashes]\nregion = us-east-1\n", encoding="utf-8")
    (tmp_path / "credentials").write_text("[crashes]\naws_access_key_id = a\naws_secret_access_key = b\n", "utf-8")
    for name, value in {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_CONFIG_FILE": str(tmp_path / "aws"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    files = s3fs.S3FileSystem(key="a", secret="b", endpoint_url=url)
    files.mkdir("bucket", acl="public-read")
    for name, fixture in FILES.items():
        files.put_file(str(FIXTURES / fixture), f"bucket/{name}")
    yield
    server.stop()


@pytest.fixture
def scheduler(bucket: None, tmp_path: Path) -> Iterator[str]:
    """The address of a scheduler with one worker."""
    pytest.importorskip("distributed")
    code = (
        "from distributed import LocalCluster\n"
        "if __name__ == '__main__':\n"
        "    cluster = LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None)\n"
        "    print(cluster.scheduler_address, flush=True)\n"
        "    input()\n"
    )
    (tmp_path / "cluster.py").write_text(code, encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "cluster.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    yield process.stdout.readline().strip()
    process.communicate("\n", timeout=30)


@pytest.mark.slow
def test_commands_that_need_a_server_run(scheduler: str, tmp_path: Path) -> None:
    assert len(REMOTE) > 5
    for number, (page, command) in enumerate(REMOTE):
        folder = tmp_path / str(number)
        folder.mkdir()
        # Workers of an earlier test of this process have the variables of their time.
        ran = Sandbox(folder).run(re.sub(r"tcp://[\w.:]+", scheduler, command), apart=True)
        assert ran.code in (0, 1), f"{page}: {command}: {ran.err}"
        assert "unreadable" not in ran.err, f"{page}: {command}: {ran.err}"
