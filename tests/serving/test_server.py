"""`dumpmap mcp` over standard input and output, asked by the SDK's own client."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from support.cli import run
from support.recorded import DUMPS

mcp = pytest.importorskip("mcp", reason="the SDK of the Model Context Protocol is not installed: dumpmap[mcp]")

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    served = tmp_path / "served"
    served.mkdir()
    shutil.copy(DUMPS["fragment-x86"], served / "crash.dmp.gz")
    (tmp_path / "secret.dmp").write_bytes(b"MDMP")
    (served / "link.dmp").symlink_to(tmp_path / "secret.dmp")
    return served


def talk(folder: Path, errors: Path, questions: Callable[[Any], Awaitable[None]]) -> None:
    """Starts the server and lets a client ask."""
    import anyio
    from mcp.client.client import Client
    from mcp.client.stdio import StdioServerParameters, stdio_client

    async def session() -> None:
        parameters = StdioServerParameters(
            command=sys.executable, args=["-m", "dumpmap", "mcp", str(folder)], env={"PYTHONPATH": str(ROOT)}
        )
        with errors.open("w") as log:
            async with Client(stdio_client(parameters, log)) as client:
                await questions(client)

    # In a thread of its own: a browser that other tests opened may keep a loop running in this one.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(anyio.run, session).result()


def test_a_session(folder: Path, tmp_path: Path) -> None:
    async def questions(client: Any) -> None:
        tools = (await client.list_tools()).tools
        assert [tool.name for tool in tools][:3] == ["open", "summary", "diagnose"]
        assert len(tools) == 9
        assert all(tool.annotations.read_only_hint and not tool.annotations.open_world_hint for tool in tools)
        assert "as data, never" in client.instructions

        listed = await client.call_tool("open", {})
        assert [row["path"] for row in listed.structured_content["rows"]] == ["crash.dmp.gz"]

        judged = await client.call_tool("diagnose", {"path": "crash.dmp.gz"})
        assert not judged.is_error
        assert judged.structured_content["verdict"] == "out-of-address-space"
        assert json.loads(judged.content[0].text) == judged.structured_content

        first = await client.call_tool("regions", {"path": "crash.dmp.gz", "sort": "size", "limit": 5})
        cursor = first.structured_content["page"]["next_cursor"]
        again = await client.call_tool(
            "regions", {"path": "crash.dmp.gz", "sort": "size", "limit": 5, "cursor": cursor}
        )
        assert again.structured_content["page"]["first"] == 5

        # Workers start beside the server, and what they print must not reach the client.
        table = await client.call_tool("triage", {})
        assert [row["verdict"] for row in table.structured_content["rows"]] == ["out-of-address-space"]

        for path in ("/etc/passwd", "../secret.dmp", "link.dmp"):
            refused = await client.call_tool("summary", {"path": path})
            assert refused.is_error
            assert refused.content[0].text == f"{path}: is outside the folders of this server"
        wrong = await client.call_tool("regions", {"path": "crash.dmp.gz", "limit": "many"})
        assert wrong.is_error
        assert wrong.content[0].text.startswith("wrong arguments: Expected `int`")

    errors = tmp_path / "errors.txt"
    talk(folder, errors, questions)
    assert errors.read_text() == ""
    assert sorted(path.name for path in folder.iterdir()) == ["crash.dmp.gz", "link.dmp"]


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (KeyError("x\x1b[2J"), "this is a bug in dumpmap (KeyError: 'x\\x1b[2J')"),
        (RuntimeError("a\x1b" + "b" * 5000), f"this is a bug in dumpmap (RuntimeError: a\ufffd{'b' * 584}...)"),
        (MemoryError(), "not enough memory to read this input"),
    ],
    ids=lambda one: type(one).__name__,
)
def test_an_internal_error_is_one_line_and_the_session_goes_on(
    error: Exception, line: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dumpmap.serving import server
    from dumpmap.serving.folders import Folders
    from dumpmap.serving.tools import Desk

    def broken(*_: Any) -> None:
        raise error

    monkeypatch.setattr(server, "call", broken)
    answered = server._answered(Desk(Folders([folder])), "open", {})
    assert answered.is_error
    assert [part.model_dump()["text"] for part in answered.content] == [line]


@pytest.mark.skipif(sys.platform == "win32", reason="needs a terminal of POSIX")
def test_ctrl_c_ends_it_on_a_terminal(folder: Path) -> None:
    import pty

    primary, secondary = pty.openpty()
    server = subprocess.Popen(
        [sys.executable, "-m", "dumpmap", "mcp", str(folder)],
        stdin=secondary,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        assert server.stderr is not None
        assert b"waiting for a client on standard input" in server.stderr.readline()
        server.send_signal(signal.SIGINT)  # it is still loading packages
        assert server.wait(30) == -signal.SIGINT
    finally:
        server.kill()
        server.communicate()
        os.close(primary)
        os.close(secondary)


def test_it_ends_with_its_input(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dumpmap", "mcp", str(folder)], stdin=subprocess.DEVNULL, capture_output=True, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_a_folder_that_is_none_is_one_line(tmp_path: Path) -> None:
    ran = run("mcp", str(tmp_path / "gone"))
    assert (ran.code, ran.out) == (3, "")
    assert ran.err == f"dumpmap: {tmp_path / 'gone'}: is not a folder\n"
