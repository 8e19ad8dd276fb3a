"""A session with `dumpmap mcp`, as the client of the protocol's official SDK has it, for docs/mcp.md."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

from .blocks import ROOT


@dataclass(frozen=True)
class Question:
    """A call of a tool.

    Attributes:
        why: a sentence that introduces it.
        tool: the tool.
        arguments: what the client sends.
        shown: the parts of the answer that the page shows, by their path.
    """

    why: str
    tool: str
    arguments: Mapping[str, Any]
    shown: tuple[str, ...] = ()


QUESTIONS = (
    Question(
        "What ran out?",
        "diagnose",
        {"path": "fragment-x86.dmp.gz"},
        ("verdict", "sentence", "signals.id", "signals.strength", "address_space.free", "address_space.fragmentation"),
    ),
    Question(
        "Who took the private memory of another process?",
        "owners",
        {"path": "runtimes/node-22.dmp.gz", "type": ["private-data"], "limit": 1},
        ("owned_share", "rows", "page.first", "page.count", "page.total"),
    ),
    Question(
        "A file outside the served folder is refused, whether or not it exists:", "summary", {"path": "/etc/passwd"}
    ),
    Question("So is a way out of it:", "summary", {"path": "../../pyproject.toml"}),
)


@cache
def transcript() -> str | None:
    """Returns the session as Markdown, or None where the SDK is not installed."""
    if importlib.util.find_spec("mcp") is None:
        return None
    import anyio

    # In a thread of its own: a browser that was opened before may keep a loop running in this one.
    with ThreadPoolExecutor(1) as pool:
        lines: list[str] = pool.submit(anyio.run, _session).result()
    return "\n".join(lines)


async def _session() -> list[str]:
    """Starts the server over the recorded dumps, and asks."""
    from mcp.client.client import Client
    from mcp.client.stdio import StdioServerParameters, stdio_client

    server = StdioServerParameters(
        command=sys.executable,
        args=["-m", "dumpmap", "mcp", "tests/fixtures"],
        env={"PYTHONPATH": str(ROOT)},
        cwd=ROOT,
    )
    async with Client(stdio_client(server)) as client:
        tools = ", ".join(f"`{tool.name}`" for tool in (await client.list_tools()).tools)
        lines = ["The server runs as `dumpmap mcp tests/fixtures`. The client lists the tools:", "", tools + ".", ""]
        for question in QUESTIONS:
            answer = await client.call_tool(question.tool, dict(question.arguments))
            lines += _written(question, answer)
    return lines


def _written(question: Question, answer: Any) -> Iterator[str]:
    """Writes a call and its answer."""
    asked = {"tool": question.tool, "arguments": question.arguments}
    if answer.is_error:
        given = {"isError": True, "text": answer.content[0].text}
    else:
        given = _parts(answer.structured_content, question.shown)
    yield from (question.why, "", "```json", json.dumps(asked), "```", "")
    yield from ("```json", json.dumps(given, indent=2, ensure_ascii=False), "```", "")


def _parts(document: Any, paths: tuple[str, ...]) -> Any:
    """Returns the parts of a document that paths name; a path through a list applies to each of its items."""
    if isinstance(document, list):
        return [_parts(item, paths) for item in document]
    found: dict[str, Any] = {}
    for name in dict.fromkeys(path.partition(".")[0] for path in paths):
        below = tuple(path.partition(".")[2] for path in paths if path.partition(".")[0] == name)
        found[name] = _parts(document[name], below) if any(below) else document[name]
    return found
