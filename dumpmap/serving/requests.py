"""The arguments of each tool: their names, what they accept, and what a client reads about them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from dumpmap.serving.bounds import MOST_ROWS, USUAL_ROWS

_Path = Annotated[
    str,
    Meta(
        description="An input by its name below the served folder, as `open` lists it, such as `crash.dmp` or "
        "`logs/crash.dmp`: a minidump, a JSON snapshot, or a VMMap file."
    ),
]
_Search = Annotated[
    Literal["structure", "full"],
    Meta(
        description="How owners are found: `structure` reads what runtimes, heaps, and Windows state; `full` also "
        "searches memory for pointers to what nothing claims, which takes longer."
    ),
]


class Request(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """The arguments of a tool."""


class _Paged(Request, kw_only=True, forbid_unknown_fields=True, frozen=True):
    limit: Annotated[int, Meta(ge=1, le=MOST_ROWS, description="Most rows of the answer.")] = USUAL_ROWS
    cursor: Annotated[
        str | None,
        Meta(description="`next_cursor` of the answer before, with the same other arguments, for the rows after it."),
    ] = None


class OpenRequest(_Paged, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """Arguments of `open`."""

    path: Annotated[
        str,
        Meta(
            description="An input, or a folder to list, by its name below the served folder. Empty: list everything "
            "that is served."
        ),
    ] = ""


class SummaryRequest(Request, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """Arguments of `summary`."""

    path: _Path


class DiagnoseRequest(Request, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """Arguments of `diagnose`."""

    path: _Path
    owners: _Search = "structure"


_Texts = list[str]


class RegionsRequest(_Paged, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """Arguments of `regions`."""

    path: _Path
    blocks: Annotated[bool, Meta(description="A row per region or image section instead of per allocation.")] = False
    type: Annotated[_Texts, Meta(description="Types, such as `Heap` or `Private Data`.")] = []
    kind: Annotated[_Texts, Meta(description="Parts of a kind's name, or patterns such as `TE*`.")] = []
    state: Annotated[_Texts, Meta(description="States: `committed`, `reserved`, `free`.")] = []
    protection: Annotated[_Texts, Meta(description="Protections, such as `rw`, `PAGE_READWRITE`, or `guard`.")] = []
    module: Annotated[_Texts, Meta(description="File names, or patterns such as `ms*.dll`.")] = []
    owner: Annotated[_Texts, Meta(description="Parts of an owner's name, or `none` for memory without an owner.")] = []
    min_size: Annotated[str | None, Meta(description="Smallest size, such as `64KB`.")] = None
    at: Annotated[str | None, Meta(description="An address that the row must contain, or module+0x12.")] = None
    sort: Annotated[
        str | None, Meta(description="Column to sort by; - in front sorts descending. Default: by address.")
    ] = None


class OwnersRequest(_Paged, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """Arguments of `owners`."""

    path: _Path
    by: Annotated[
        Literal["owner", "instance", "module", "kind", "size"], Meta(description="What a row stands for.")
    ] = "owner"
    sort: Annotated[Literal["size", "committed"], Meta(description="The figure to sort by.")] = "size"
    type: Annotated[_Texts, Meta(description="Only memory of these types.")] = []
    owners: _Search = "full"


class HeapsRequest(_Paged, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """Arguments of `heaps`."""

    path: _Path
    segments: Annotated[bool, Meta(description="A row per segment, large block, or front end instead.")] = False


class AddressRequest(Request, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """Arguments of `address`."""

    path: _Path
    addresses: Annotated[
        _Texts, Meta(min_length=1, max_length=16, description="Addresses in hexadecimal, or module+0x12.")
    ]
    owners: _Search = "full"


class DiffRequest(_Paged, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """Arguments of `diff`."""

    before: Annotated[str, Meta(description="The earlier input.")]
    after: Annotated[str, Meta(description="The later input.")]


class TriageRequest(_Paged, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """Arguments of `triage`."""

    path: Annotated[str, Meta(description="The folder, or one file. Empty: everything that is served.")] = ""
    where: Annotated[
        _Texts, Meta(description="Conditions on a column, such as `process_commit>1.5GB` or `verdict=out-of-commit`.")
    ] = []
    severity: Annotated[
        Literal["critical", "warning", "info"] | None, Meta(description="Only files with a finding as severe as this.")
    ] = None
    sort: Annotated[str | None, Meta(description="Column to sort by; - in front sorts descending.")] = None
    group_by: Annotated[_Texts, Meta(description="Count files by these columns, such as `verdict`.")] = []


def schema_of(request: type[Request]) -> dict[str, Any]:
    """Returns the JSON Schema of a tool's arguments."""
    _, definitions = msgspec.json.schema_components([request])
    schema: dict[str, Any] = definitions[request.__name__]
    return {name: value for name, value in schema.items() if name not in ("title", "description")}


def parse(request: type[Request], arguments: dict[str, Any]) -> Request:
    """Returns the arguments of a call.

    Raises:
        ValueError: an argument is missing, unknown, or of another kind; the message names it.
    """
    try:
        return msgspec.convert(arguments, request)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None
