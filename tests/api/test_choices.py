"""A word that an option does not know is an error that names the valid words."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.dumps import map_of, tiny

import dumpmap
import dumpmap.triage as triage

SEVERITIES = "critical, warning, info"
CALLS: dict[str, tuple[Callable[[Path], object], str]] = {
    "owners": (lambda path: dumpmap.open(path).owners(search=_("typo")), "search must be one of structure, full, not"),
    "types": (lambda path: dumpmap.open(path).owners(types=["typo"]), "'typo' is not a type. Types: Image"),
    "metrics": (
        lambda path: dumpmap.timeline([path, path], metrics=[_("typo")]),
        "metrics must be one of committed, size, private, not 'typo'",
    ),
    "metric": (
        lambda path: dumpmap.timeline([path, path], metrics=_("size")),
        "metrics must be one of committed, size, private, not 's'",
    ),
    "engine": (lambda path: triage.Options(engine=_("typo")), "the engines are processes, serial, dask"),
    "search": (lambda path: triage.Options(owners=_("typo")), "owners must be one of structure, full, not 'typo'"),
    "severity": (lambda path: triage.select(severity=_("typo")), SEVERITIES),
    "sort": (lambda path: triage.select(sort="typo"), "explain --all lists the columns"),
    "where": (lambda path: triage.select("typo>1"), "explain --all lists the columns"),
    "group": (lambda path: triage.group_rows([], ["typo"]), "explain --all lists the columns"),
    "fail_on": (lambda path: triage.exit_code(triage.State(), fail_on=_("typo")), SEVERITIES),
    "format": (lambda path: _written(path, "typo"), "format must be one of table, "),
    "units": (
        lambda path: _written(path, "table", units="typo"),
        "units must be one of bytes, kb, mb, auto, not 'typo'",
    ),
}


def _(word: str) -> Any:
    """A word that the types forbid."""
    return word


def _written(path: Path, format: str, **style: Any) -> None:
    with triage.run(path, triage.Options(engine="serial", cache=False)) as result:
        triage.write_result(result, format, io.StringIO(), **style)


@pytest.mark.parametrize("call", CALLS)
def test_an_unknown_word_is_an_error(call: str, tmp_path: Path) -> None:
    path = tmp_path / "a.dmp"
    path.write_bytes(tiny().thread(1).build())
    function, message = CALLS[call]
    with pytest.raises(ValueError, match=r"typo|'s'") as caught:
        function(path)
    assert message in str(caught.value)


def test_the_valid_words_differ() -> None:
    region_map = map_of(tiny().thread(1).build())
    assert list(region_map.owners(search="full").columns) == list(region_map.owners(search="structure").columns)
