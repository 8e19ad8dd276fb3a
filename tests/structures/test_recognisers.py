"""The registry of recognisers: every entry is complete, and one without a trigger costs nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.structures import memory_of, space_of, survey_process
from synth.process import ProcessBuilder

from dumpmap.model.evidence import EvidenceInfo
from dumpmap.model.kinds import KindInfo
from dumpmap.model.recognised import Found, LabelledRange
from dumpmap.structures import survey
from dumpmap.structures.recognisers import RECOGNISERS, REGISTRY, Registry
from dumpmap.structures.recognisers.protocol import Context, LoadedModule, Recogniser, without_overlaps

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("entry", RECOGNISERS, ids=lambda entry: entry.name)
def test_every_entry_has_a_module_a_trigger_and_a_page(entry: Recogniser) -> None:
    module = entry.load()
    assert module.KINDS
    assert module.EVIDENCE
    assert entry.modules or entry.exports or entry.mark or entry.condition is not None
    assert all(name == name.lower() for name in entry.modules)
    assert entry.module in (DOCS / "classification.md").read_text(encoding="utf-8")
    assert (DOCS / entry.page).is_file()


def context(*names: str, family: str = "windows") -> Context:
    process = ProcessBuilder("x64", 19045)
    modules = [LoadedModule(0x10000 * number, 0x1000, name) for number, name in enumerate(names, 1)]
    return Context(memory_of(process), space_of(process), family, 19045, 8, modules=modules)


def triggered(process: Context) -> list[str]:
    found = [entry.name for entry in REGISTRY.triggered(process)]
    assert found == [entry.name for entry in RECOGNISERS if entry.is_triggered(process)]
    return found


def test_nothing_triggers_in_an_empty_process() -> None:
    assert triggered(context("app.exe", "ntdll.dll")) == []


def test_who_waits_for_a_module_or_an_export_is_not_asked_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    ask = Recogniser.is_triggered

    def noted(self: Recogniser, process: Context) -> bool:
        asked.append(self.name)
        return ask(self, process)

    monkeypatch.setattr(Recogniser, "is_triggered", noted)
    assert list(REGISTRY.triggered(context("app.exe", "ntdll.dll"))) == []
    assert asked == [entry.name for entry in RECOGNISERS if entry.condition is not None or entry.mark is not None]
    assert len(asked) < len(RECOGNISERS)
    asked.clear()
    assert [entry.name for entry in REGISTRY.triggered(context("app.exe", "jvm.dll"))] == ["Java"]
    assert asked == [entry.name for entry in RECOGNISERS]


@pytest.mark.parametrize("name", ["coreclr.dll", "clr.dll", "mscorwks.dll", "libcoreclr.so"])
@pytest.mark.parametrize("family", ["windows", "linux"])
def test_a_module_triggers(name: str, family: str) -> None:
    assert triggered(context("app", name, family=family)) == [".NET"]


def test_a_runtime_is_named_whether_or_not_it_can_be_read() -> None:
    process = ProcessBuilder("x86", 7601)
    process.add_module("C:\\Windows\\mscorsvr.dll")
    found = survey_process(process)
    (runtime,) = found.runtimes
    assert (runtime.name, runtime.module, runtime.variant) == (".NET Framework", "mscorsvr.dll", "server")


def test_a_process_without_a_runtime_does_not_import_its_recogniser() -> None:
    code = (
        "import sys\n"
        "from dumpmap.structures.space import NoSpace\n"
        "from dumpmap.structures.survey import survey\n"
        "from dumpmap.model.memory import ExcerptMemory\n"
        "survey(ExcerptMemory(), pointer_size=8, threads=[], modules=[(0x10000, 0x1000, 'ntdll.dll')],"
        " space=NoSpace(), os_build=19045)\n"
        "print([name for name in sys.modules if name.startswith('dumpmap.structures.recognisers.')"
        " and not name.endswith('.protocol')])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_recogniser_is_one_module_and_one_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    class Module:
        KINDS: tuple[KindInfo, ...] = ()
        EVIDENCE: tuple[EvidenceInfo, ...] = ()

        def find(self, context: Context) -> Found:
            (module,) = [module for module in context.modules if module.name == "engine.dll"]
            return Found(ranges=(LabelledRange(module.base, 0x1000, "Engine heap", "engine-table", owner="Engine"),))

    class Entry(Recogniser):
        def load(self) -> Module:
            return Module()

    entry = Entry("Engine", "engine", "engine.md", modules=frozenset(("engine.dll",)))
    monkeypatch.setattr(survey, "REGISTRY", Registry.of((*RECOGNISERS, entry)))
    process = ProcessBuilder("x64", 19045).furnish()
    assert survey_process(process).ranges == ()
    module = process.add_module("C:\\app\\engine.dll")
    (part,) = survey_process(process).ranges
    assert (part.base, part.type, part.owner) == (module.base, None, "Engine")


@pytest.mark.parametrize(
    ("ranges", "kept"),
    [
        ([(0x1000, 0x1000), (0x2000, 0x1000)], [0x1000, 0x2000]),
        ([(0x1000, 0x1001), (0x2000, 0x1000)], [0x1000]),
        ([(0x3000, 0x1000), (0x1000, 0x2001)], [0x1000]),
        ([(0x1000, 0x3000), (0x2000, 0x8000), (0x4000, 0x1000)], [0x1000, 0x4000]),  # what is left out covers nothing
        ([(0x1000, 0x3000), (0x3FFF, 1)], [0x1000]),
        ([], []),
    ],
)
def test_of_two_claims_to_a_byte_the_lower_stays(ranges: list[tuple[int, int]], kept: list[int]) -> None:
    found = without_overlaps(LabelledRange(base, size, "part", "word") for base, size in ranges)
    assert [part.base for part in found] == kept
