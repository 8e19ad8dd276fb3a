"""What all tests share."""

from __future__ import annotations

import gc
import os
import signal
from pathlib import Path

import pytest
from support.browser import browser

__all__ = ["browser"]

FIXTURES = Path(__file__).parent / "fixtures"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the flag that writes golden outputs anew."""
    parser.addoption("--refresh-golden", action="store_true", help="write the golden outputs anew")


def pytest_configure() -> None:
    """Searches for unused cycles as seldom as the program does, and lets signals end what tests start.

    A shell starts a background job with some signals ignored.
    """
    gc.set_threshold(50_000)
    for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, usual)
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_collection_finish() -> None:
    """Takes the tests themselves out of every search for unused cycles: they are half a million objects."""
    gc.freeze()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts modules with tests that take long first: a module is one worker's, and the last ones should be short."""
    long = {item.path for item in items if any(item.get_closest_marker(name) for name in ("slow", "wine", "chromium"))}
    items.sort(key=lambda item: item.path not in long)


def corpus_folder() -> Path | None:
    """The folder of public dumps, if it is there."""
    named = os.environ.get("DUMPMAP_CORPUS")
    folder = Path(named) if named else Path(__file__).parents[2] / "shared" / "corpus"
    return folder if folder.is_dir() else None


@pytest.fixture(autouse=True)
def _plain_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Output must not depend on who runs the tests."""
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.delenv("DUMPMAP_DEBUG", raising=False)


@pytest.fixture
def fixtures() -> Path:
    """The folder of recorded fixtures."""
    return FIXTURES


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder of public dumps; tests that ask for it are skipped where it is missing."""
    folder = corpus_folder()
    if folder is None:
        pytest.skip("the public dump corpus is not here: set DUMPMAP_CORPUS to its folder")
    return folder
