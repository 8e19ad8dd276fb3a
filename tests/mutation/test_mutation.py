"""The mutation tester: which changes it picks, and that its list of changes without effect is in step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mutation.equivalent import LIST, Equivalent, read_list
from mutation.forks import replace_code
from mutation.sample import Mutant, idle_places, lines_of_functions, pick

PROJECT = Path(__file__).parents[2]
SOURCE = '''from __future__ import annotations

LIMIT: "dict[int, 3]" = 7


def double(value: int | None = 5) -> tuple[int, int] | None:
    """2 * value."""
    return value * 2 if value is not None else None
'''


def test_annotations_and_what_runs_at_import_are_known() -> None:
    lines = SOURCE.splitlines()
    texts = {(number, lines[number - 1][column]) for number, column in idle_places(SOURCE)}
    assert {(3, "3"), (6, "|")} <= texts
    assert not texts & {(3, "7"), (6, "5"), (8, "2")}
    assert lines_of_functions(SOURCE) == {7, 8}
    decorated = "@dataclass(frozen=True)\nclass One:\n    value = 5\n"
    assert {line for line, _ in idle_places(decorated)} == {1}


def test_a_seed_picks_the_same_mutants_again_one_at_each_place() -> None:
    found = [Mutant("a.py", line, 0, f"core/{name}", 0) for line in range(20) for name in ("Add", "Sub", "Not")]
    chosen = pick(found, 6, 20)
    assert chosen == pick(found[::-1], 6, 20)
    assert len({one.line for one in chosen}) == 6
    everything = pick(found, 10_000, 20)
    assert sorted(one.line for one in everything) == list(range(20))
    assert any(pick(found, 6, seed) != chosen for seed in range(5))
    # What is added elsewhere changes the sample only by what it puts in.
    more = [Mutant("b.py", line, 0, "core/Add", 0) for line in range(20)]
    assert {one for one in pick([*found, *more], 6, 20) if one.path == "a.py"} <= set(chosen)


def test_places_in_annotations_are_not_changed(tmp_path: Path) -> None:
    pytest.importorskip("cosmic_ray")
    from mutation.tree import mutants_of

    (tmp_path / "code.py").write_text(SOURCE)
    found = mutants_of(tmp_path, "code.py")
    lines = SOURCE.splitlines()
    assert {lines[one.line - 1][one.column] for one in found if one.operator == "core/NumberReplacer"} == set("752")
    assert not [one for one in found if "BinaryOperator_BitOr" in one.operator]
    assert "core/ReplaceBinaryOperator_Mul_Add" in {one.operator for one in found}


def test_changes_without_effect_name_lines_that_exist() -> None:
    entries = list(read_list())
    assert len({one.key for one in entries}) == len(entries)
    sources = "".join(path.read_text("utf-8") for path in (PROJECT / "dumpmap").rglob("*.py"))
    for one in entries:
        assert one.new != one.old
        assert one.reason.endswith(".")
        if one.path == "*":
            assert one.old in sources, f"{LIST.name}: no file has {one.old}"
            continue
        lines = {line.strip() for line in (PROJECT / one.path).read_text("utf-8").splitlines()}
        assert one.old in lines, f"{LIST.name}: {one.path} has no line {one.old}"


def test_an_entry_that_lacks_a_line_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("# a comment\ndumpmap/a.py\n- old\n+ new\nBoth are 0.\n\ndumpmap/b.py\n- old\n")
    entries = read_list(path)
    assert next(entries).key == ("dumpmap/a.py", "old", "new")
    with pytest.raises(ValueError, match="not an entry of four lines"):
        next(entries)


def test_an_entry_for_all_files_explains_one_change_of_a_line() -> None:
    one = Equivalent("*", "size == 4", "size <= 4", "There is 4 and 8.")
    assert one.explains("a.py", "if size == 4 and other_size == 4:", "if size <= 4 and other_size == 4:")
    assert one.explains("b.py", "if size == 4 and other_size == 4:", "if size == 4 and other_size <= 4:")
    assert not one.explains("a.py", "if size == 4 and other_size == 4:", "if size <= 4 and other_size <= 4:")
    assert not one.explains("a.py", "if size == 4:", "if size == 4:")
    assert not one.explains("a.py", "if size == 4:", "if size >= 4:")
    line = Equivalent("a.py", "size == 4", "size <= 4", "There is 4 and 8.")
    assert line.explains("a.py", "size == 4", "size <= 4")
    assert not line.explains("b.py", "size == 4", "size <= 4")


def test_the_code_of_a_function_is_replaced_and_what_runs_at_import_is_not() -> None:
    before = "LIMIT = 7\n\n\ndef twice(value):\n    return (lambda: 2 * value)()\n"
    module: dict[str, Any] = {}
    exec(compile(before, "mutant", "exec"), module)
    assert replace_code(before, before.replace("2 * value", "3 * value")) == 1
    assert module["twice"](5) == 15
    assert replace_code(before, before.replace("LIMIT = 7", "LIMIT = 8")) == 0
    assert module["LIMIT"] == 7
