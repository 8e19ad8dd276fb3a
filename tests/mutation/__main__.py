"""Changes one operator, number or condition of the product at a time and counts the changes that no test notices.

    python -m tests.mutation                     600 mutants of the rooms that compute figures
    python -m tests.mutation --count 50 --seed 7
    python -m tests.mutation --constants         mutants of what runs at import: constants and tables
    python -m tests.mutation --again FILE --tests tests/model/test_words.py
                                                 only the survivors of FILE; they meet these tests first

The work is done in a copy of the project under build/mutation. The first run records which test covers which line and
how long each test takes (`--cover` records it again). Each mutant is a fork of one process that has collected the
tests, in which the changed functions have other code. A mutant meets only the tests that cover its line, the quickest
and those of its own module first, until one fails. Results go to build/mutation/results-SEED.jsonl, one line each;
what is there is not run again. Survivors that `equivalent.txt` lists are counted as `equivalent`.

`tests/mutants.py` is something else: it damages recorded dumps, not the code.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import astuple
from itertools import chain
from pathlib import Path
from typing import Any

from coverage import CoverageData

sys.path.insert(0, str(Path(__file__).parents[1]))

from mutation.equivalent import read_list
from mutation.sample import ROOMS, Mutant, lines_of_functions, pick
from mutation.tree import PROJECT, Forks, Tree, mutants_of

WORK = PROJECT / "build" / "mutation"
TESTS = [
    *(f"tests/{room}" for room in ROOMS),
    "tests/api",
    "tests/cli/test_golden.py",
    "tests/triage/test_discovery.py",
]
LEFT_OUT = [
    "--ignore-glob=*/test_bombs.py",
    "--ignore-glob=*/test_hostile_bytes.py",
    "--ignore-glob=*/test_hostile_size.py",
]
"""What takes more than half of the time and looks at time, memory, and exceptions only, not at figures."""
BUDGET = 60.0


def record_coverage(tree: Tree, more: list[str]) -> None:
    """Records which test covers which line, and how long each takes, of the code as it is; or adds `more` tests."""
    config, times = WORK / "coveragerc", WORK / "seconds.json"
    config.write_text("[run]\nrelative_files = True\n", encoding="utf-8")
    known = json.loads(times.read_text(encoding="utf-8")) if more else {}
    done = tree.pytest(
        *(more or TESTS),
        *LEFT_OUT,
        "-p",
        "tests.mutation.recorder",
        "--cov=dumpmap",
        "--cov-context=test",
        "--cov-report=",
        f"--cov-config={config}",
        *(["--cov-append"] if more else []),
        COVERAGE_FILE=str(WORK / "coverage"),
        DUMPMAP_TEST_SECONDS=str(times),
    )
    times.write_text(json.dumps(known | json.loads(times.read_text(encoding="utf-8"))), encoding="utf-8")
    if done != 0:
        times.unlink()  # so that no later run takes it for whole
        raise SystemExit(f"tests fail before anything is changed (pytest ends with {done}); make test names them")


class Covered:
    """Which tests cover which line of the rooms, as recorded."""

    def __init__(self) -> None:
        data = CoverageData(str(WORK / "coverage"))
        data.read()
        self.lines: dict[str, dict[int, set[str]]] = {}
        self._in_functions: dict[str, set[int]] = {}
        self._early: dict[str, set[int]] = {}
        for measured in data.measured_files():
            path = Path(measured).as_posix()
            if path.split("/")[1] in ROOMS:
                lines = data.contexts_by_lineno(measured)
                self.lines[path] = {
                    line: {test.partition("|")[0] for test in tests if test} for line, tests in lines.items()
                }
                self._early[path] = {line for line, tests in lines.items() if "" in tests}
                source = (PROJECT / path).read_text(encoding="utf-8")
                self._in_functions[path] = lines_of_functions(source)

    def runs_at_import(self, mutant: Mutant) -> bool:
        """Whether a mutant is outside functions, where a test covers a line only if it is the first to import it."""
        return mutant.line not in self._in_functions[mutant.path]

    def runs_early(self, mutant: Mutant) -> bool:
        """Whether a mutant's line runs while modules are imported or tests are collected, too."""
        return mutant.line in self._early[mutant.path]

    def tests(self, mutant: Mutant) -> set[str]:
        """The tests that cover a mutant's line; of a line that runs at import, all that cover its file."""
        lines = self.lines[mutant.path]
        if self.runs_at_import(mutant):
            return set().union(*lines.values())
        return lines.get(mutant.line, set())


def quickest(tests: Iterable[str], seconds: dict[str, float], budget: float, subject: str) -> list[str]:
    """As many tests as the budget holds: the quickest, and those whose file has the name of the subject, first.

    Cases of one test are much alike, so the tenth of them counts as if it took ten times as long.
    """
    words = [word.rstrip("s") for word in subject.split("_") if word]

    def rank(test: str) -> tuple[float, str]:
        shared = sum(word in test.partition("::")[0] for word in words)
        return seconds.get(test, 1.0) / (1 + 4 * shared), test

    cases: Counter[str] = Counter()
    ranked = []
    for test in sorted(set(tests), key=rank):
        name = test.partition("[")[0]
        cases[name] += 1
        ranked.append((rank(test)[0] * cases[name], test))
    chosen: list[str] = []
    spent = 0.0
    for _, test in sorted(ranked):
        spent += seconds.get(test, 1.0)
        if chosen and spent > budget:
            break
        chosen.append(test)
    return chosen


def run(tree: Tree, mutants: list[Mutant], covered: Covered, results: Path, first: list[str], budget: float) -> None:
    """Runs the mutants that have no result yet; all meet the tests `first`."""
    seconds = json.loads((WORK / "seconds.json").read_text(encoding="utf-8"))
    done = {record["name"] for record in records_of(results)}
    forks = Forks(tree, [*TESTS, *LEFT_OUT, *(test for test in first if not test.startswith(tuple(TESTS)))])
    for number, mutant in enumerate(mutants, 1):
        if mutant.name in done:
            continue
        subject = Path(mutant.path).stem
        change, tests = tree.change(mutant), [*first, *quickest(covered.tests(mutant), seconds, budget, subject)]
        expected = sum(seconds.get(test, 1.0) for test in tests)
        outcome = "apart" if change.is_valid else "invalid"
        if outcome == "apart" and not covered.runs_at_import(mutant):
            outcome = forks.meet(change, tests, 5 + 3 * expected)
        if outcome == "apart" or (outcome == "survived" and covered.runs_early(mutant)):
            outcome = tree.meet(change, tests, 120 + 5 * expected)
        old, new = change.line
        record = {**vars(mutant), "name": mutant.name, "outcome": outcome, "old": old, "new": new, "tests": len(tests)}
        with results.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        print(f"{number}/{len(mutants)} {outcome:8} {mutant.path}:{mutant.line}  {old}  ->  {new}", flush=True)


def records_of(results: Path) -> list[dict[str, Any]]:
    """The records of a file of results; survivors that the list explains are `equivalent`."""
    known = list(read_list())
    text = results.read_text(encoding="utf-8") if results.exists() else ""
    records: list[dict[str, Any]] = [json.loads(line) for line in text.splitlines()]
    for record in records:
        change = record["path"], record["old"], record["new"]
        if record["outcome"] == "survived" and any(one.explains(*change) for one in known):
            record["outcome"] = "equivalent"
    return records


def survivors(tree: Tree, results: Path) -> list[Mutant]:
    """The survivors in a file of results, without those whose line has been edited since."""
    names = ("path", "line", "column", "operator", "occurrence")
    found = []
    for record in records_of(results):
        mutant = Mutant(**{name: record[name] for name in names})
        if record["outcome"] != "survived":
            continue
        if tree.change(mutant).line == (record["old"], record["new"]):
            found.append(mutant)
        else:
            print(f"edited since, left out: {mutant.name}")
    return found


def mutants_in(tree: Tree, paths: Iterable[str]) -> list[Mutant]:
    """Every mutant of these files; those of a file that has not changed since are not looked for again."""
    cache = WORK / "mutants.json"
    known = json.loads(cache.read_text(encoding="utf-8")) if cache.exists() else {}
    found: dict[str, list[list[Any]]] = {}
    for path in paths:
        key = hashlib.sha256(path.encode() + (tree.folder / path).read_bytes()).hexdigest()
        found[key] = known.get(key) or [list(astuple(mutant)) for mutant in mutants_of(tree.folder, path)]
    cache.write_text(json.dumps(found), encoding="utf-8")
    return [Mutant(*fields) for fields in chain.from_iterable(found.values())]


def main() -> None:
    """Picks, runs and counts the mutants."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=600)
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--constants", action="store_true", help="mutate what runs at import, not functions")
    parser.add_argument(
        "--cover",
        nargs="*",
        metavar="TESTS",
        help="record again which test covers which line, as the code has changed; or add these tests to what is known",
    )
    parser.add_argument(
        "--budget", type=float, default=BUDGET, help="seconds of tests, as recorded, that one mutant meets at most"
    )
    parser.add_argument("--again", type=Path, help="run only the survivors of this file of results")
    parser.add_argument("--tests", nargs="+", default=[], help="tests that every mutant meets first")
    options = parser.parse_args()
    kind = "again" if options.again else "constants" if options.constants else "results"
    results = WORK / (f"{kind}.jsonl" if options.again else f"{kind}-{options.seed}.jsonl")
    tree = Tree(WORK / f"tree-{kind}")  # a run beside another one has a copy of its own
    tree.copy()
    if options.cover is not None or not (WORK / "seconds.json").exists():
        record_coverage(tree, options.cover or [])
    covered = Covered()
    if options.again:
        results.unlink(missing_ok=True)
        mutants = survivors(tree, options.again)
    else:
        everything = mutants_in(tree, sorted(covered.lines))
        if options.constants:
            reached = [mutant for mutant in everything if covered.runs_at_import(mutant)]
        else:
            reached = [mutant for mutant in everything if covered.lines[mutant.path].get(mutant.line)]
        print(f"{len(everything)} mutants, {len(reached)} of them on lines of this sample")
        mutants = pick(reached, options.count, options.seed)
    run(tree, mutants, covered, results, options.tests, options.budget)
    counts = Counter(record["outcome"] for record in records_of(results))
    print(", ".join(f"{count} {outcome}" for outcome, count in counts.most_common()))


if __name__ == "__main__":
    main()
