"""Live capture on Windows, for real: Windows programs under Wine, captured by the one-file capture.

The main question: a process that is captured live and dumped at the same moment has the same map both times.

`tests/fixtures/record/wine.sh setup` and `build` prepare this; `setup32` as well for 32-bit processes and a
32-bit Windows Python.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.capture import loaded
from support.wine import WINE_HOME, Recorded, compare, record, record_wow64, says, windows_path

import dumpmap
from dumpmap.api import map_snapshot
from dumpmap.capture import build
from dumpmap.model.memory import RecordingMemory
from dumpmap.parsers.opening import open_snapshot

pytestmark = [pytest.mark.wine, pytest.mark.slow]

WIDTH = "a 32-bit program cannot capture a 64-bit process; use a 64-bit Python or the x64 dumpmap-capture.exe"

BARE = ("-I", "-S")
"""Without site-packages."""


@pytest.fixture(scope="module")
def x64(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """A 64-bit process on 64-bit Windows."""
    folder = tmp_path_factory.mktemp("wine")
    pyz = folder / "dumpmap-capture.pyz"
    build.write(pyz)
    return record(folder, {"x64": [windows_path(WINE_HOME / "python" / "python.exe"), *BARE, windows_path(pyz)]}, pyz)


@pytest.fixture(scope="module")
def wow64(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    """32-bit and 64-bit processes on 64-bit Windows, captured by Pythons of both widths."""
    pyz = tmp_path_factory.mktemp("pyz") / "dumpmap-capture.pyz"
    build.write(pyz)
    commands = {"x64": ["C:\\dumpmap\\python\\python.exe", *BARE, pyz.name]}
    files = [pyz]
    python32 = WINE_HOME / "python32"
    if (python32 / ".complete").exists():
        commands["x86"] = ["C:\\dumpmap\\python32\\python32.exe", *BARE, pyz.name]
        files.append(python32)
    with record_wow64(tmp_path_factory.mktemp("wine32"), commands, *files) as recorded:
        yield recorded


# --- the same map, live and dumped ------------------------------------------------------------------------------------


def test_a_process_captured_and_dumped_at_the_same_moment(x64: Recorded) -> None:
    compare(x64, "layout64", "x64")


def test_a_wow64_process_captured_and_dumped_at_the_same_moment(wow64: Recorded) -> None:
    compare(wow64, "layout32", "x64")


def test_files_make_mapped_files(x64: Recorded) -> None:
    check_purposes(x64, "layout64", "x64")


def test_files_make_mapped_files_wow64(wow64: Recorded) -> None:
    check_purposes(wow64, "layout32", "x64")


def check_purposes(recorded: Recorded, scene: str, label: str) -> None:
    """Every allocation that the program made on purpose has the type that it must have in a live capture."""
    live = dumpmap.open(recorded.output / f"{scene}.{label}.json")
    table = {int(row["address"]): row for row in live.allocations.to_dict("records")}
    truth = recorded.truth(scene)
    arenas = {part["base"] for heap in truth["heaps"] if heap["kind"] == "custom" for part in heap["ranges"]}
    checked = set()
    for made in truth["allocations"]:
        if made["address"] in arenas:
            continue
        row = table[int(made["address"], 16)]
        found = (row["type"], row["size"], row["committed"])
        assert found == (made["expected_live"], made["size"], made["committed"]), made
        if made["file"] and made["expected_live"] == "Mapped File":
            assert made["file"] in row["details"]
        checked.add(row["type"])
    assert checked >= {"Private Data", "Shareable", "Mapped File", "Image"}


@pytest.mark.parametrize("scene", ["layout32", "layout64"])
def test_pythons_of_both_widths_agree(wow64: Recorded, scene: str) -> None:
    outcome = wow64.result["captures"].get(f"{scene} x86")
    if outcome is None:
        pytest.skip("there is no 32-bit Windows Python: tests/fixtures/record/wine.sh setup32")
    if scene == "layout64":
        assert outcome["code"] == 3
        assert says(outcome)[0].endswith(f": {WIDTH}")
        assert not (wow64.output / "layout64.x86.json").exists()
        return
    assert outcome["code"] == 0
    compare(wow64, scene, "x86")
    narrow, wide = (dumpmap.open(wow64.output / f"{scene}.{label}.json") for label in ("x86", "x64"))
    # They list different TEBs of a thread, and Wine's own blocks are found from the 32-bit one only.
    for one, other in ((narrow.allocations, wide.allocations), (narrow.regions, wide.regions)):
        labelled = one["owner"] == "Wine"
        assert labelled.sum() < len(one) / 4
        assert one[~labelled].equals(other[~labelled])
        figures = [name for name in one if name not in ("details", "kind", "evidence", "inferred", "owner")]
        assert one[figures].equals(other[figures])


def test_the_bytes_are_those_that_the_map_needs(x64: Recorded) -> None:
    path = x64.output / "layout64.x64.json"
    snapshot = open_snapshot(path)
    recording = RecordingMemory(snapshot.memory)
    map_snapshot(snapshot, memory=recording, read_parameters=False)
    used = {address for start, data in recording.excerpts() for address in range(start, start + len(data))}
    held = {address for start, size in snapshot.memory.ranges() for address in range(start, start + size)}
    # A capture reads what any classification could need; almost all of it is used.
    assert used <= held
    assert len(held - used) < len(held) / 10
    assert path.stat().st_size < 200_000


def test_the_facts(x64: Recorded) -> None:
    snapshot = open_snapshot(x64.output / "layout64.x64.json")
    truth = x64.truth("layout64")
    process, recorded = snapshot.process, truth["process"]
    assert (process.name, process.architecture, process.pointer_size, process.wow64) == (
        "layout64.exe",
        "x64",
        8,
        False,
    )
    assert process.pid == recorded["pid"] == x64.result["pid"]
    assert process.os.version == recorded["windows"]
    assert process.command_line is None
    assert snapshot.peb == int(recorded["peb"], 16)
    system = snapshot.system
    assert (system.min_address, system.max_address) == (
        int(recorded["min_address"], 16),
        int(recorded["max_address"], 16),
    )
    assert (system.page_size, system.allocation_granularity) == (
        recorded["page_size"],
        recorded["allocation_granularity"],
    )
    assert system.physical_total
    assert snapshot.counters.working_set
    assert snapshot.counters.virtual_size
    assert snapshot.counters.private_usage
    assert snapshot.regions is not None
    totals = truth["totals"]
    assert len(snapshot.regions) == totals["regions"]
    assert int(snapshot.regions.base[-1] + snapshot.regions.size[-1]) == int(totals["end"], 16)
    threads = {thread.id: thread for thread in snapshot.threads}
    assert threads.keys() == {thread["tid"] for thread in truth["threads"]}
    for expected in truth["threads"]:
        thread = threads[expected["tid"]]
        assert thread.name == expected["name"]
        assert thread.teb == int(expected["teb"], 16)
        assert thread.stack_pointer is not None  # the process was frozen
        low, high = int(expected["deallocation_stack"], 16), int(expected["stack_base"], 16)
        assert low < thread.stack_pointer < high
    modules = {module.base: module for module in snapshot.modules}
    for expected in truth["modules"]:
        module = modules[int(expected["base"], 16)]
        assert (module.size, module.timestamp) == (expected["size"], expected["timestamp"])
        assert module.path.lower() == expected["path"].lower()


def test_stack_pointers_of_32_bit_threads(wow64: Recorded) -> None:
    snapshot = open_snapshot(wow64.output / "layout32.x64.json")
    assert (snapshot.process.architecture, snapshot.process.wow64) == ("x86", True)
    threads = {thread.id: thread for thread in snapshot.threads}
    for expected in wow64.truth("layout32")["threads"]:
        pointer = threads[expected["tid"]].stack_pointer
        assert pointer is not None
        assert int(expected["deallocation_stack"], 16) < pointer < int(expected["stack_base"], 16)


# --- the command line on Windows --------------------------------------------------------------------------------------


def test_a_good_capture_says_one_line(x64: Recorded) -> None:
    outcome = x64.result["captures"]["layout64 x64"]
    assert outcome["code"] == 0
    assert outcome["out"] == ""
    (line,) = says(outcome)
    assert f"layout64.exe ({x64.result['pid']}), " in line


def test_by_name(x64: Recorded) -> None:
    assert x64.result["by name"]["code"] == 0
    assert open_snapshot(x64.output / "named.json").process.pid == x64.result["pid"]


def test_a_file_that_is_there(x64: Recorded) -> None:
    assert x64.result["exists"]["code"] == 4
    (line,) = says(x64.result["exists"])
    assert line.endswith("named.json: already exists; use --force to overwrite it")


def test_two_of_a_name(x64: Recorded) -> None:
    assert x64.result["two of a name"]["code"] == 3
    (line,) = says(x64.result["two of a name"])
    assert line.startswith("dumpmap: layout64: 2 processes have this name; pass one of their ids: ")
    assert str(x64.result["pid"]) in line


def test_a_series_ends_with_the_process(x64: Recorded) -> None:
    series = x64.result["series"]
    assert series["code"] == 0
    last = says(series)[-1]
    assert last.startswith(f"dumpmap: layout64.exe ({x64.result['pid']}): the process exited after ")
    count = int(last.split("after ")[1].split()[0])
    files = sorted(x64.output.glob("series-*.json.gz"))
    assert [file.name for file in files] == [f"series-{number:04d}.json.gz" for number in range(1, count + 1)]
    assert 2 <= count < 50
    assert len({len(dumpmap.open(file).allocations) for file in files}) == 1


def test_no_such_process(x64: Recorded) -> None:
    assert x64.result["no such process"]["code"] == 3
    assert says(x64.result["no such process"]) == ["dumpmap: 999996: no such process"]


def test_a_process_that_has_ended(x64: Recorded) -> None:
    assert x64.result["ended"]["code"] == 3
    assert says(x64.result["ended"]) == [f"dumpmap: layout64.exe ({x64.result['pid']}): the process has exited"]


@pytest.mark.parametrize("label", ["limited", "denied"])
def test_access_denied(x64: Recorded, label: str) -> None:
    outcome = x64.result[label]
    assert outcome["code"] == 3
    assert says(outcome) == [f"dumpmap: python.exe ({outcome['pid']}): access denied; run dumpmap as administrator"]
    assert not (x64.output / f"{label}.json").exists()


def test_without_the_right_to_read_memory(x64: Recorded) -> None:
    outcome = x64.result["map only"]
    assert outcome["code"] == 0
    assert any("the capture contains the map without bytes" in line for line in says(outcome))
    live = dumpmap.open(x64.output / "map only.json")
    assert live.snapshot.memory.ranges() == []
    assert {"python.exe", "ntdll.dll"} <= {module.name.lower() for module in live.snapshot.modules}
    assert live.largest_free_block is not None


def test_working_set_of_its_own_process(x64: Recorded) -> None:
    """Wine answers QueryWorkingSetEx for the caller itself."""
    itself = x64.result["itself"]
    snapshot = loaded(itself["document"])
    assert snapshot.warnings == ()
    regions = snapshot.regions
    assert regions is not None
    numbers = regions.numbers
    (row,) = (regions.base == itself["touched"]).nonzero()[0]
    assert int(regions.size[row]) == 1 << 20
    assert int(numbers["total_ws"][row]) == int(numbers["private_ws"][row]) == 300 * 1024
    assert (numbers["total_ws"] == numbers["private_ws"] + numbers["shareable_ws"]).all()
    assert (numbers["total_ws"] <= regions.size.astype("int64")).all()
    image = regions.type == 0x1000000
    assert int(numbers["total_ws"][image].sum()) > 0
