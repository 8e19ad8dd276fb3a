"""Pages taken apart, for the tests of the report."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

from support.maps import decode

VOID = frozenset(("meta", "link", "input", "br", "img", "hr", "rect", "path"))
"""Elements without an end tag."""

SVG_NAMESPACE = '"http://www.w3.org/2000/svg"'
"""A name, not a request."""


class Page(HTMLParser):
    """A page taken apart: elements, attributes, and the text of each element kind."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.open: list[str] = []
        self.unbalanced: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
            self.texts.setdefault(tag, []).append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        if not self.open or self.open[-1] != tag:
            self.unbalanced.append(tag)
        else:
            self.open.pop()

    def handle_data(self, data: str) -> None:
        for tag in set(self.open):
            self.texts[tag][-1] += data

    def of(self, tag: str) -> list[dict[str, str | None]]:
        """Attributes of all elements of a kind."""
        return [attributes for name, attributes in self.elements if name == tag]


def data_of(text: str) -> dict[str, Any]:
    """The JSON document of a page."""
    match = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert match is not None
    data: dict[str, Any] = json.loads(match.group(1))
    return data


def packed_data_of(text: str) -> dict[str, Any]:
    """The JSON document of a page that holds it compressed."""
    match = re.search(r'<script type="application/octet-stream" id="data">([A-Za-z0-9+/=]*)</script>', text)
    assert match is not None
    data: dict[str, Any] = json.loads(zlib.decompress(base64.b64decode(match.group(1), validate=True)))
    return data


def check_alone(text: str) -> None:
    """Checks that a page is complete in itself: balanced, without requests and handlers, with a policy that says so."""
    page = Page(text)
    assert page.unbalanced == []
    assert page.open == []
    for tag, attributes in page.elements:
        for name in ("src", "href", "action", "srcset", "poster", "data", "formaction", "background", "ping"):
            value = attributes.get(name)
            assert value is None or value.startswith(("#", "data:")), (tag, name, value)
        assert not any(name.startswith("on") for name in attributes), (tag, attributes)
        assert "style" not in attributes, tag
    assert [tag for tag, _ in page.elements if tag in ("iframe", "object", "embed", "base", "img")] == []
    styles = "".join(page.texts["style"])
    assert "url(" not in styles
    assert "@import" not in styles
    script = page.texts["script"][-1].replace(SVG_NAMESPACE, "")
    for call in ("fetch(", "XMLHttpRequest", "import(", "WebSocket", "sendBeacon", "Worker(", "http:", "https:"):
        assert call not in script, call
    for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(", "DOMParser"):
        assert word not in script, word
    assert "</script" not in script.lower()
    assert "<!--" not in script
    policy = next(str(meta["content"]) for meta in page.of("meta") if meta.get("http-equiv"))
    directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert directives["default-src"] == "'none'"
    assert directives["base-uri"] == directives["form-action"] == "'none'"
    assert "unsafe" not in policy
    for tag, directive in (("script", "script-src"), ("style", "style-src")):
        inner = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        assert len(inner) == 1
        assert "\r" not in inner[0]
        digest = base64.b64encode(hashlib.sha256(inner[0].encode()).digest()).decode()
        assert directives[directive] == f"'sha256-{digest}'"


_NOT_OUTLINED = ("style", "script")
_MASKED = ("content", "href")
"""Attributes with hashes, the version, or the icon."""


class _Outline(HTMLParser):
    """Lines of an outline: every element with its attributes and the text it begins with, and later texts."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.lines: list[str] = []
        self.open: list[str] = []
        self.fresh = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.fresh = tag not in VOID
        shown = "".join(
            f" {name}" if value is None or name in _MASKED else f" {name}={json.dumps(value, ensure_ascii=False)}"
            for name, value in attrs
        )
        self.lines.append(f"{'  ' * len(self.open)}<{tag}{shown}>")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            self.open.pop()
        self.fresh = False

    def handle_data(self, data: str) -> None:
        text = " ".join(data.split())
        if not text or not self.open or self.open[-1] in _NOT_OUTLINED:
            return
        if self.fresh:
            self.lines[-1] += f" {text}"
        else:
            self.lines.append(f"{'  ' * len(self.open)}{text}")
        self.fresh = False


def outline(text: str) -> str:
    """A page as an indented outline of its elements and texts, without style, script, and data."""
    parser = _Outline()
    parser.feed(text)
    parser.close()
    return "\n".join(parser.lines) + "\n"


def data_text(data: dict[str, Any]) -> str:
    """A page's data, decoded: one line for each allocation, block, and row of a table."""
    return "\n".join(_data_lines(data)) + "\n"


def _data_lines(data: dict[str, Any]) -> Iterator[str]:
    for name, value in data.items():
        if name not in ("rows", "parts", "tables", "columns", "evidence"):
            yield f"{name}: {_compact(value)}"
    for column in data["columns"]:
        yield f"column {_compact(column)}"
    rows = list(decode(data))
    yield _compact(["address", *rows[0].values])
    for row in rows:
        yield _compact([hex(row.address), *row.values.values()])
        for block in row.blocks:
            yield f"  {_compact([hex(block.address), *block.values.values()])}"
    for name, table in data["tables"].items():
        yield f"{name}:"
        for column in table["columns"]:
            yield f"  column {_compact(column)}"
        children = table["children"] or [[]] * len(table["rows"])
        for values, below in zip(table["rows"], children, strict=True):
            yield f"  {_compact(values)}"
            for child in below:
                yield f"    {_compact(child)}"


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
