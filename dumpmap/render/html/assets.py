"""The package's own files and what the page makes of them: template, style, script, and security policy."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib import resources
from typing import Any, Literal

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup, escape

from dumpmap._version import __version__
from dumpmap.model.types import TYPES, RegionType
from dumpmap.render.html.packing import Numbers
from dumpmap.writers.snapshot_json import clean_text

PageName = Literal["report", "triage", "diff", "timeline"]

_TABLES = ("format.js", "tables.js", "cells.js", "grid.js", "export.js", "shell.js")
_CHARTS = ("columns.js", "charts.js")
_SPACE = ("runs.js", "canvas.js", "zoom.js")
_MEMORY = ("rows.js", "owners.js", *_SPACE, "space.js", "page.js", "proofs.js")

SCRIPTS: Mapping[PageName, tuple[str, ...]] = {
    "report": ("data.js", *_TABLES, *_MEMORY),
    "diff": ("inflate.js", *_TABLES, *_CHARTS, *_SPACE, "strips.js", "diff.js"),
    "timeline": ("inflate.js", *_TABLES, *_CHARTS, "timeline.js"),
    "triage": ("inflate.js", *_TABLES, *_CHARTS, "dumps.js", "overtime.js", "scatter.js", "triage.js"),
}
"""The parts of the one script of each page, in order."""

_SHEETS = ("report.css", "print.css")
_STYLES: Mapping[PageName, tuple[str, ...]] = {
    "report": _SHEETS,
    "triage": (*_SHEETS, "charts.css"),
    "diff": (*_SHEETS, "charts.css"),
    "timeline": (*_SHEETS, "charts.css"),
}

_ON_DARK = {RegionType.FREE: "#2b313b", RegionType.UNUSABLE: "#6b7280"}
"""Colors that differ on a dark background. Most of a space is free, and a light grey would outshine the rest."""


_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")

OWNER_COLORS = ("#b9b3c9", "#4e8fd0", "#e8923a", "#5aa86a", "#d9646a", "#58b5b8", "#a98467", "#e6d98a")
"""Colors of owners by number: loaded modules, the owners that have one of their own, other owners, nobody."""

MODULES_COLOR, OTHERS_COLOR, NOBODY_COLOR = 0, 6, 7
NAMED_OWNERS = 5
"""Owners with a color of their own: more colors are hard to tell apart."""


SEVERITY_COLORS = ("#c8443c", "#e0982c", "#5b8def", "#74b48a", "#8d96a5", "#c3c9d4")
"""Colors of the worst finding of a dump by rank: critical, warning, info, none; no map, and not opened."""

_VERDICT_COLORS = (
    "#c8443c",
    "#8f4bb5",
    "#b5703c",
    "#7d2f45",
    "#e9a49f",
    "#cba6e0",
    "#e0bf9a",
    "#74b48a",
    "#b9c0cc",
    "#8d96a5",
)
"""Colors of the verdicts in their order, then of a file without a map. What is low is paler than what ran out."""


def script_json(document: Any) -> Iterator[str]:
    """Yields JSON that is safe inside a script element: nothing in it can end the element or open a comment."""
    return (part.replace("<", "\\u003c") for part in json_parts(document))


def json_parts(value: Any) -> Iterator[str]:
    """Yields a value as JSON, and long columns piece by piece."""
    if isinstance(value, Numbers):
        yield from value.json_parts()
    elif isinstance(value, Mapping):
        before = "{"
        for name, member in value.items():
            yield f"{before}{json.dumps(name)}:"
            yield from json_parts(member)
            before = ","
        yield "}" if value else "{}"
    else:
        yield json.dumps(value, separators=(",", ":"))


def render_page(page: PageName, data: Iterable[str], *, packed: bool = False, **context: Any) -> Iterator[str]:
    """Yields a page part by part: its template with style, script, policy, and data.

    Args:
        page: which page.
        data: parts of the JSON document of its data, safe inside a script element, or of that document packed.
        packed: whether the data is packed.
        context: what the template shows.
    """
    parts = template(f"{page}.html").generate(
        version=__version__,
        policy=policy(page),
        style=Markup(style(page)),  # noqa: S704  the package's own files
        script=Markup(script(page)),  # noqa: S704
        data=map(Markup, data),  # escaped by script_json, or base64
        data_type="application/octet-stream" if packed else "application/json",
        **context,
    )
    return map(_shown, parts)


def _shown(part: str) -> str:
    """Replaces what file names and texts of a dump may contain and no page shows: control characters and surrogates."""
    return _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", clean_text(part))


def policy(name: PageName) -> str:
    """The Content-Security-Policy of a page: its own style and script, and no requests."""

    def digest(text: str) -> str:
        return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

    return (
        f"default-src 'none'; script-src 'sha256-{digest(script(name))}'; style-src 'sha256-{digest(style(name))}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


@cache
def style(name: PageName) -> str:
    """The style sheet of a page: the colors of the types, the dark theme for both ways to choose it, and the rest."""
    colors = {f"t{int(info.type)}": info.color for info in TYPES}
    colors |= {f"o{number}": color for number, color in enumerate(OWNER_COLORS)}
    if name != "report":
        colors |= {f"s{number}": color for number, color in enumerate(SEVERITY_COLORS)}
        colors |= {f"v{number}": color for number, color in enumerate(_VERDICT_COLORS)}
    light = ";".join(f"--{key}:{color}" for key, color in colors.items())
    dark = ";".join(f"--t{int(type_)}:{color}" for type_, color in _ON_DARK.items())
    classes = "".join(f".{key}{{fill:var(--{key});background-color:var(--{key})}}" for key in colors)
    theme = f"{dark};\n{static('dark.css')}"
    parts = (
        f":root{{{light}}}{classes}",
        *map(static, _STYLES[name]),
        f"@media screen and (prefers-color-scheme:dark){{:root:not([data-theme=light]){{{theme}}}}}",
        f"@media screen{{:root[data-theme=dark]{{{theme}}}}}",
    )
    return "\n" + "\n".join(parts) + "\n"


@cache
def script(name: PageName) -> str:
    """The script of a page. It may wait for its data, which some pages unpack."""
    parts = "\n".join(map(static, SCRIPTS[name]))
    return f'\n(async () => {{\n"use strict";\n{parts}\n}})();\n'


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


def static(name: str) -> str:
    """Returns a file of the package's folder of scripts and styles."""
    text = resources.files("dumpmap.render").joinpath("static", name).read_text("utf-8")
    # A browser reads CRLF as LF, and the policy has the hash of what the browser reads.
    return text.replace("\r\n", "\n")
