"""The package's own files and what the page makes of them: template, style, script, and security policy."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup, escape

from dumpmap.model.types import TYPES, RegionType
from dumpmap.render.html.packing import Numbers

SCRIPTS = ("format.js", "rows.js", "owners.js", "cells.js", "grid.js", "runs.js", "canvas.js", "space.js", "page.js")
"""The parts of the page's one script, in order."""

_ON_DARK = {RegionType.FREE: "#2b313b", RegionType.UNUSABLE: "#6b7280"}
"""Colors that differ on a dark background. Most of a space is free, and a light grey would outshine the rest."""


OWNER_COLORS = ("#b9b3c9", "#4e8fd0", "#e8923a", "#5aa86a", "#d9646a", "#58b5b8", "#a98467", "#e6d98a")
"""Colors of owners by number: loaded modules, the owners that have one of their own, other owners, nobody."""


def script_json(document: Any) -> Iterator[Markup]:
    """Yields JSON that is safe inside a script element: nothing in it can end the element or open a comment."""
    for part in _json_parts(document):
        yield Markup(part.replace("<", "\\u003c"))  # noqa: S704  the element takes no markup


def _json_parts(value: Any) -> Iterator[str]:
    """Yields a value as JSON, and long columns piece by piece."""
    if isinstance(value, Numbers):
        yield from value.json_parts()
    elif isinstance(value, Mapping):
        before = "{"
        for name, member in value.items():
            yield f"{before}{json.dumps(name)}:"
            yield from _json_parts(member)
            before = ","
        yield "}" if value else "{}"
    else:
        yield json.dumps(value, separators=(",", ":"))


def policy() -> str:
    """The page's Content-Security-Policy: its own style and script, and no requests."""

    def digest(text: str) -> str:
        return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

    return (
        f"default-src 'none'; script-src 'sha256-{digest(script())}'; style-src 'sha256-{digest(style())}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


@cache
def style() -> str:
    """The page's style sheet: the colors of the types, the dark theme for both ways to choose it, and the rest."""
    colors = {f"t{int(info.type)}": info.color for info in TYPES}
    colors |= {f"o{number}": color for number, color in enumerate(OWNER_COLORS)}
    light = ";".join(f"--{name}:{color}" for name, color in colors.items())
    dark = ";".join(f"--t{int(type_)}:{color}" for type_, color in _ON_DARK.items())
    classes = "".join(f".{name}{{fill:var(--{name});background-color:var(--{name})}}" for name in colors)
    theme = f"{dark};\n{_static('dark.css')}"
    parts = (
        f":root{{{light}}}{classes}",
        _static("report.css"),
        f"@media screen and (prefers-color-scheme:dark){{:root:not([data-theme=light]){{{theme}}}}}",
        f"@media screen{{:root[data-theme=dark]{{{theme}}}}}",
    )
    return "\n" + "\n".join(parts) + "\n"


@cache
def script() -> str:
    """The page's script."""
    parts = "\n".join(_static(name) for name in SCRIPTS)
    return f'\n(() => {{\n"use strict";\n{parts}\n}})();\n'


def template(name: str) -> Template:
    """A template of the package, with autoescape on."""
    return _environment().get_template(name)


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("dumpmap.render", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["code_spans"] = code_spans
    return made


def code_spans(text: str) -> Markup:
    """Escapes a text and makes code elements of its Markdown code spans."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704  escaped


def _static(name: str) -> str:
    text = resources.files("dumpmap.render").joinpath("static", name).read_text("utf-8")
    # A browser reads CRLF as LF, and the policy has the hash of what the browser reads.
    return text.replace("\r\n", "\n")
