"""A pytest plugin that runs mutants in forks: what all of them need is imported and collected once.

The tests are collected as they are. For each mutant, a child process replaces the code of the functions that it
changes, and runs the mutant's tests. What runs at import or while tests are collected cannot be changed this way; such
a mutant is `apart`, and needs a process of its own.
"""

from __future__ import annotations

import gc
import json
import math
import os
import resource
import signal
import time
from collections.abc import Iterator
from itertools import pairwise
from types import CodeType, FunctionType
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings

_OUTCOMES = {0: "survived", 2: "apart", -signal.SIGXCPU: "hung"}
_WAIT = 20
"""Seconds for each one of computing: a process that only waits has hung, too, and one on a busy machine has not."""


def _codes(code: CodeType) -> Iterator[CodeType]:
    """Every code object in another one, in the order of the source."""
    for part in code.co_consts:
        if isinstance(part, CodeType):
            yield part
            yield from _codes(part)


def replace_code(before: str, after: str) -> int:
    """Replaces the code of every function that differs between two texts of a module; returns how many were replaced.

    Functions inside functions need no replacement: their code is part of the outer one's.
    """
    old, new = (list(_codes(compile(text, "mutant", "exec"))) for text in (before, after))
    if len(old) != len(new):
        return 0
    changed = {one: other for one, other in zip(old, new, strict=True) if one != other}
    functions = [one for one in gc.get_objects() if isinstance(one, FunctionType) and one.__code__ in changed]
    for function in functions:
        function.__code__ = changed[function.__code__]
    return len(functions)


def _run(session: pytest.Session, request: dict[str, Any]) -> int:
    """Runs the tests of a mutant until one fails; 0 none failed, 1 one failed, 2 the code could not be replaced."""
    if request["before"] != request["after"] and not replace_code(request["before"], request["after"]):
        return 2
    items = {item.nodeid: item for item in session.items}
    wanted = [item for test in request["tests"] for item in _items_of(items, test)]
    for item, following in pairwise((*wanted, None)):
        if item is not None:
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.testsfailed:
            return 1
    return 0


def _items_of(items: dict[str, pytest.Item], test: str) -> list[pytest.Item]:
    """The collected tests that a name means: one test, or all of a file or folder."""
    if test in items:
        return [items[test]]
    return [item for name, item in items.items() if name.startswith((f"{test}::", f"{test}/", f"{test}["))]


def _outcome(child: int, patience: float) -> str:
    end = time.monotonic() + patience
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return _OUTCOMES.get(os.waitstatus_to_exitcode(status), "killed")
        time.sleep(0.01)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "hung"


def pytest_configure() -> None:
    """One example that fails is enough: it need not be a small one, and the next mutant must not meet it first.

    That examples take long is the machine, not the mutant.
    """
    phases = (Phase.explicit, Phase.generate)
    settings.register_profile(
        "mutants",
        phases=phases,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    settings.load_profile("mutants")


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool:
    """Answers requests, one a line, until there are no more."""
    source, target = (int(number) for number in os.environ["DUMPMAP_MUTANTS"].split(","))
    with os.fdopen(source, encoding="utf-8") as requests, os.fdopen(target, "w", encoding="utf-8") as answers:
        for line in requests:
            request = json.loads(line)
            child = os.fork()
            if not child:
                code = 1
                try:
                    os.setsid()
                    limit = 1 + math.ceil(time.process_time() + request["seconds"])
                    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 5))
                    code = _run(session, request)
                finally:
                    os._exit(code)
            print(_outcome(child, _WAIT * request["seconds"]), file=answers, flush=True)
    return True
