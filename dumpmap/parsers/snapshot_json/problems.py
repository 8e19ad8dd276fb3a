"""What is wrong with a JSON snapshot, in one line that names the field."""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence

import msgspec
from msgspec import Raw

from dumpmap.errors import SnapshotError
from dumpmap.parsers.snapshot_json.columns import LARGEST_COUNT, LARGEST_SIZE

DECODING_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding a wrong text raises."""

_WITH_PLACE = re.compile(r"(?P<problem>.*?)(?: - at `\$?\.?(?P<place>.*)`)?", re.DOTALL)
_ROW_PLACE = re.compile(r"\[(\d+)\](?:\[(\d+)\])?")
_ANY_KEY = "[...]"


def explain(error: Exception, text: memoryview, name: str, columns: Sequence[str] | None = None) -> SnapshotError:
    """Makes an error that says what is wrong with the text and where.

    Args:
        error: what the decoder raised.
        text: the whole document.
        name: the file's name.
        columns: the columns of the rows, if the rows were being decoded.
    """
    if isinstance(error, RecursionError):
        return SnapshotError("lists or objects are nested too deeply", source=name)
    if isinstance(error, UnicodeDecodeError):
        try:
            codecs.utf_8_decode(text, "strict", True)
        except UnicodeDecodeError as precise:
            error = precise
        return SnapshotError("the text is not UTF-8", source=name, place=f"byte {error.start}")
    if not isinstance(error, msgspec.ValidationError):
        message = str(error)
        if "truncated" in message:
            return SnapshotError("the JSON text is cut off", source=name, place=f"byte {len(text)}")
        problem, _, place = message.removeprefix("JSON is malformed: ").partition(" (")
        if columns is not None:
            place = "regions.rows"
        return SnapshotError(f"not valid JSON: {problem}", source=name, place=place.rstrip(")") or None)
    match = _WITH_PLACE.fullmatch(str(error))
    problem, place = (match["problem"], match["place"] or "") if match else (str(error), "")
    if columns is not None:
        place = _row_place(place, columns)
        if problem.startswith("Expected `array` of length"):
            problem = f"the row must have {len(columns)} values, one for each column"
    missing = re.fullmatch("Object missing required field `(.*)`", problem)
    if missing:
        place, problem = f"{place}.{missing[1]}".removeprefix("."), "the field is missing"
    elif "matching regex" in problem:
        problem = 'expected a hexadecimal number of up to 64 bits such as "0x7ff0"'
    if _ANY_KEY in place:
        place = _named_key(place, text)
    problem = problem.replace("`", "")
    return SnapshotError(problem[:1].lower() + problem[1:], source=name, place=place or None)


def _row_place(place: str, columns: Sequence[str]) -> str:
    match = _ROW_PLACE.match(place)
    if match is None:
        return "regions.rows"
    row = f"regions.rows[{match[1]}]"
    return row if match[2] is None else f"{row}.{columns[int(match[2])]}"


def _named_key(place: str, text: memoryview) -> str:
    """Completes a path that ends in an unnamed key of an object, `[...]`, with the first key that has a wrong value."""
    before = place[: place.index(_ANY_KEY)]
    top = re.split(r"[.\[]", before)[0]
    try:
        value = msgspec.json.decode(msgspec.json.decode(text, type=dict[str, Raw])[top])
        for step in re.findall(r"\[(\d+)\]|\.(\w+)", before):
            value = value[int(step[0])] if step[0] else value[step[1]]
        entries = value.items()
    except (*DECODING_ERRORS, KeyError, IndexError, TypeError, AttributeError):
        return place  # behind the wrong value, the text can be anything: damaged, or the same member once more
    for key, item in entries:
        if top == "annotations":
            good = isinstance(item, str)
        else:
            blank = item is None and top == "recorded_summary"
            top_value = LARGEST_SIZE if top == "recorded_summary" else LARGEST_COUNT
            good = blank or (isinstance(item, int) and not isinstance(item, bool) and 0 <= item <= top_value)
        if not good:
            return f"{before}[{key!r}]"
    return place
