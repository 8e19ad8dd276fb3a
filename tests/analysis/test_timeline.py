"""Timelines: slopes and their intervals against known series, and growth told from noise."""

from __future__ import annotations

import datetime as dt
import json
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.scenes import FIXTURES, GB, KB, MB, Scene, commit_at, crash
from synth.minidump import MEM_IMAGE, PAGE_EXECUTE_READ

import dumpmap
from dumpmap.analysis.events import events_of
from dumpmap.analysis.exception_names import exception_name
from dumpmap.analysis.groups import group_of
from dumpmap.analysis.samples import take_samples
from dumpmap.analysis.subjects import Naming, Subject
from dumpmap.analysis.timeline import Forecast, _forecasts
from dumpmap.analysis.trend import fit_lines, student_t
from dumpmap.api import RegionMap, map_snapshot, timeline
from dumpmap.model.snapshot import Counters, Module, System, Thread
from dumpmap.model.types import RegionType
from dumpmap.render.markdown import to_markdown
from dumpmap.views.timeline import timeline_view, value_table
from dumpmap.wording.timeline import group_name

START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def at(seconds: float) -> dt.datetime:
    """A time."""
    return START + dt.timedelta(seconds=seconds)


def process(seconds: float | None, blocks: int, *, other: int = 4, **facts: object) -> RegionMap:
    """A process with blocks of 1 MB, and `other` MB in one block of changing size."""
    scene = Scene(64)
    scene.allocate(MB, base=0x7FF600000000, type=MEM_IMAGE, protect=PAGE_EXECUTE_READ)
    scene.allocate(64 * MB, base=0x10000000, commit=other * MB)
    for index in range(blocks):
        scene.allocate(MB, base=0x40000000 + index * 2 * MB)
    modules = [Module(0x7FF600000000, MB, "C:\\app\\app.exe")]
    return scene.map(captured_at=None if seconds is None else at(seconds), modules=modules, **facts)


def test_a_leak_of_one_block_a_minute() -> None:
    result = timeline(process(60 * index, 3 + index) for index in range(6))
    assert result.unit == "seconds"
    assert [point.at for point in result.points] == [0, 60, 120, 180, 240, 300]
    fastest = result.growing[0]
    assert fastest.type == "Private Data"
    assert fastest.name.startswith("allocations of 1 MB")
    assert fastest.slope == pytest.approx(MB / 60)
    # On a line there is no doubt.
    assert fastest.low == pytest.approx(MB / 60)
    assert fastest.high == pytest.approx(MB / 60)
    assert (fastest.first, fastest.last, fastest.delta, fastest.count) == (3 * MB, 8 * MB, 5 * MB, 8)
    total = next(series for series in result.types if series.type == "Total" and series.metric == "committed")
    assert total.slope == pytest.approx(MB / 60)
    assert all("app.exe" not in series.name for series in result.groups)


def test_the_headline_names_a_leak_once_with_its_units() -> None:
    result = timeline([process(60 * minute, 1 + 2 * minute + minute % 2) for minute in range(6)])
    assert {series.metric for series in result.growing} == {"committed", "size"}
    (headline,) = [text for text in to_markdown(timeline_view(result, 5)).splitlines() if text.startswith("- Growing")]
    assert headline.count("allocations of") == 1
    assert headline.count("(committed ") == 1
    assert "MB/h ± " in headline
    assert headline.endswith(" MB/h)")
    samples = timeline([process(None, 1 + 2 * index + index % 2) for index in range(6)])
    assert "MB per sample ± " in to_markdown(timeline_view(samples, 5)).split("\n")[2]


def test_noise_does_not_grow() -> None:
    levels = [5, 9, 4, 8, 6, 9, 5, 7]
    result = timeline(process(60 * index, 3, other=level) for index, level in enumerate(levels))
    assert not result.growing
    moving = [series for series in result.groups if series.metric == "committed"]
    assert len(moving) == 1
    assert not moving[0].grows
    assert not moving[0].shrinks


def test_two_points_never_tell() -> None:
    result = timeline([process(0, 1), process(60, 100)])
    assert not result.growing
    assert all(series.low is None for series in result.groups)
    assert result.groups[0].slope == pytest.approx(99 * MB / 60)


def test_a_trend_through_noise_grows() -> None:
    noise = [0, 2, -1, 1, 3, -2, 0, 1, 2, -1]
    result = timeline(process(60 * index, 0, other=10 + 2 * index + noise[index]) for index in range(10))
    (series,) = [one for one in result.growing if one.metric == "committed"]
    assert series.low is not None
    assert series.high is not None
    assert series.low < 2 * MB / 60 < series.high


def test_without_times_slopes_are_per_sample() -> None:
    result = timeline([process(None, 1), process(60, 2), process(120, 3)])
    assert result.unit == "samples"
    assert any("per sample" in note for note in result.notes)
    assert result.growing[0].slope == pytest.approx(MB)
    row = result.growing[0].to_dict(result.unit)
    assert row["slope_per_sample"] == MB
    assert "slope_per_hour" not in row
    same = timeline([process(5, 1), process(5, 2), process(5, 3)])
    assert same.unit == "samples"
    lines = to_markdown(timeline_view(same, 0)).splitlines()
    assert lines[0] == "**3 maps in the order of the inputs**"
    assert same.notes == ("All inputs were captured in the same second, so slopes are per sample.",)
    assert same.changed


def test_nothing_changed() -> None:
    def said(*maps: RegionMap) -> str:
        return to_markdown(timeline_view(timeline(maps), 0)).splitlines()[2]

    assert said(process(5, 1), process(5, 1)) == "- No figure changed."
    assert said(process(0, 1), process(60, 1), process(120, 1)) == "- No figure changed."
    few = "Two maps do not show whether memory keeps growing; that takes at least three."
    assert said(process(0, 1), process(60, 2)) == f"- Committed memory grew by 1 MB. {few}"
    assert said(process(0, 3), process(60, 1)) == f"- Committed memory shrank by 2 MB. {few}"
    assert (
        said(process(0, 1, other=2), process(60, 2, other=1)) == f"- The total of committed memory is the same. {few}"
    )
    assert said(process(0, 2), process(60, 3), process(120, 1)) == "- Nothing grows steadily (at 95 % confidence)."
    partial = dumpmap.open(FIXTURES / "layout-x86-plain.dmp")
    assert said(partial, partial) == "- No known figure changed."


def test_inputs_are_put_in_order() -> None:
    result = timeline([process(120, 3), process(0, 1), process(60, 2)])
    assert [point.at for point in result.points] == [0, 60, 120]
    assert any("sorted" in note for note in result.notes)
    assert result.growing[0].grows


def test_a_module_that_comes_later_starts_at_nothing() -> None:
    def with_module(seconds: float, present: bool) -> RegionMap:
        scene = Scene(64)
        base = 0x7FF600000000
        if present:
            scene.allocate(MB, base=base, type=MEM_IMAGE, protect=PAGE_EXECUTE_READ)
        modules = [Module(base, MB, "C:\\app\\late.dll")] if present else []
        return scene.map(captured_at=at(seconds), modules=modules)

    result = timeline([with_module(0, False), with_module(60, False), with_module(120, True)])
    series = next(one for one in result.groups if one.name == "late.dll" and one.metric == "size")
    assert list(series.values) == [0, 0, MB]
    assert not series.grows


def test_a_partial_map_leaves_a_hole() -> None:
    result = timeline([process(0, 1), process(60, 2), process(120, 50, partial=True), process(180, 4), process(240, 5)])
    assert any("no list of memory regions" in note for note in result.notes)
    series = result.growing[0]
    assert list(series.values) == [MB, 2 * MB, None, 4 * MB, 5 * MB]
    assert series.slope == pytest.approx(MB / 60)
    assert series.sparkline() == [0.0, 0.25, None, 0.75, 1.0]
    assert replace(series, values=(5.0, None, 5.0)).sparkline() == [0.0, None, 0.0]
    assert replace(series, values=(None, None)).sparkline() == [None, None]
    # What little a partial map shows must not look like a fall or a rise of its type.
    for one in result.types:
        assert one.values[2] is None, one.title
    total = next(one for one in result.types if (one.type, one.metric) == ("Total", "committed"))
    assert total.slope == pytest.approx(MB / 60)
    assert next(one for one in result.figures if one.metric == "free").values[2] is None
    # It is shown as what it is, and the ends of the series stay those that are known.
    (least,) = [value for value in total.lower_bounds if value is not None]
    assert least == MB
    assert (total.first, total.last, total.delta) == (6 * MB, 10 * MB, 4 * MB)


def test_partial_maps_alone_give_lower_bounds() -> None:
    result = timeline([process(0, 1, partial=True), process(60, 9, partial=True)])
    total = next(one for one in result.types if (one.type, one.metric) == ("Total", "committed"))
    assert list(total.values) == [None, None]
    assert list(total.lower_bounds) == [MB, MB]
    assert {total.first, total.delta, total.slope} == {None}
    text = to_markdown(timeline_view(result, 10))
    assert "| Total |  | committed | >= 1,024 | >= 1,024 |  |" in text
    assert "totals are at least what is shown" in text
    rows = value_table(result).rows
    assert [row[-2:] for row in rows if row[:3] == ["Total", "", "committed"]] == [[MB, True], [MB, True]]
    assert not any(row[-1] for row in value_table(timeline([process(0, 1), process(60, 9)])).rows)
    document = result.to_dict()["types"]
    assert next(row for row in document if row["type"] == "Total")["lower_bounds"] == [MB, MB]


def test_figures_and_forecasts() -> None:
    def short(index: int) -> RegionMap:
        return (
            Scene()
            .leave(*[40 * MB] * (20 - 2 * index))
            .map(
                captured_at=at(3600 * index),
                counters=Counters(private_usage=index * MB),
                system=commit_at(0.5 + index / 10),
            )
        )

    result = timeline(short(index) for index in range(4))
    forecasts = {forecast.figure: forecast for forecast in result.forecasts}
    assert forecasts["free"].left == 14 * 40 * MB
    # Two blocks an hour, fourteen are left.
    assert forecasts["free"].expected == pytest.approx(7 * 3600, rel=0.01)
    assert forecasts["free"].earliest <= forecasts["free"].expected <= forecasts["free"].latest
    assert forecasts["commit_left"].expected == pytest.approx(2 * 3600, rel=0.01)
    assert "largest_free_block" not in forecasts
    usage = next(series for series in result.figures if series.metric == "counters.private_usage")
    assert usage.slope == pytest.approx(MB / 3600)
    wide = timeline(process(60 * index, 3 + index) for index in range(4))
    assert not wide.forecasts


def test_several_processes_are_pointed_out() -> None:
    result = timeline([process(0, 1, pid=1), process(60, 2, pid=2)])
    assert any("more than one process" in note for note in result.notes)


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_maps(count: int) -> None:
    with pytest.raises(ValueError, match="two maps"):
        timeline([process(0, 1)] * count)


@pytest.mark.parametrize("confidence", [0, 1, -1, 2])
def test_confidence_is_a_share(confidence: float) -> None:
    with pytest.raises(ValueError, match="confidence"):
        timeline([process(0, 1), process(1, 2)], confidence=confidence)


def test_plain_data() -> None:
    result = timeline(process(60 * index, 3 + index) for index in range(4))
    document = result.to_dict()
    assert document["schema"] == "dumpmap.timeline/1"
    assert json.loads(json.dumps(document)) == document
    assert document["points"][1]["captured_at"] == "2026-01-01T00:01:00Z"
    assert document["growing"][0]["slope_per_hour"] == pytest.approx(60 * MB)
    assert len(result.to_dict(limit=1)["groups"]) == 1
    assert next(iter(document["groups"][0])) == "name"


def test_recorded_dumps_by_path() -> None:
    result = timeline([FIXTURES / "leak-x64-before.dmp.gz", FIXTURES / "leak-x64-after.dmp.gz"])
    leaked = next(series for series in result.groups if "1.1 MB" in series.name)
    assert (leaked.first, leaked.last, leaked.count) == (0, 12 * (MB + 64 * KB), 12)


def test_each_map_is_let_go_before_the_next_is_read() -> None:
    import gc
    import weakref

    alive: list[weakref.ref[RegionMap]] = []

    def maps() -> object:
        for index in range(4):
            gc.collect()
            assert sum(reference() is not None for reference in alive) <= 1
            region_map = process(60 * index, index)
            alive.append(weakref.ref(region_map))
            yield region_map
            del region_map

    timeline(maps())  # type: ignore[arg-type]


# ---------------------------------------------------------------- statistics


@pytest.mark.parametrize(
    ("freedom", "confidence", "wanted"),
    [
        # Two-sided points of Student's t, as printed in statistical tables.
        (1, 0.95, 12.706),
        (2, 0.95, 4.303),
        (3, 0.95, 3.182),
        (4, 0.95, 2.776),
        (5, 0.99, 4.032),
        (10, 0.90, 1.812),
        (30, 0.95, 2.042),
        (120, 0.95, 1.980),
        # Below 1: tan(pi/8), and half the root of 2 / (1 - 1/4).
        (1, 0.25, 0.4142),
        (2, 0.50, 0.8165),
    ],
)
def test_students_t(freedom: int, confidence: float, wanted: float) -> None:
    assert student_t(freedom, confidence) == pytest.approx(wanted, abs=6e-4)


@settings(deadline=None)
@given(
    times=st.lists(st.floats(0, 1e6), min_size=3, max_size=12, unique_by=lambda x: round(x)),
    data=st.data(),
)
def test_lines_agree_with_the_textbook(times: list[float], data: st.DataObject) -> None:
    times = sorted(times)
    values = data.draw(st.lists(st.floats(0, 1e9), min_size=len(times), max_size=len(times)))
    lines = fit_lines(np.array(times), np.array([values]), 0.95)
    slope, low, high = lines.slope, lines.low, lines.high
    wanted, offset = np.polyfit(times, values, 1)
    scale = max(map(abs, values)) / (times[-1] - times[0])
    assert slope[0] == pytest.approx(wanted, abs=1e-6 * scale + 1e-12)
    residuals = [value - wanted * time - offset for time, value in zip(times, values, strict=True)]
    mean = sum(times) / len(times)
    spread = sum((time - mean) ** 2 for time in times)
    error = math.sqrt(sum(r * r for r in residuals) / (len(times) - 2) / spread)
    margin = student_t(len(times) - 2, 0.95) * error
    assert high[0] - slope[0] == pytest.approx(margin, rel=1e-3, abs=1e-5 * scale * student_t(1, 0.95) + 1e-12)
    assert low[0] <= slope[0] <= high[0]


@pytest.mark.parametrize(
    ("naming", "name"),
    [
        (Naming(RegionType.IMAGE, "DLL", Subject("b.dll", "b.dll", "b.dll")), "b.dll"),
        (Naming(RegionType.IMAGE, "Image", None), "without a name"),
        (Naming(RegionType.HEAP, "NT heap segment", Subject("Heap ID: 1", 1, 1)), "Heap ID: 1"),
        (Naming(RegionType.HEAP, "NT heap segment", None), "NT heap segment"),
        (Naming(RegionType.STACK, "Thread stack", Subject("", 5, None)), "Thread stacks"),
        (Naming(RegionType.MAPPED_FILE, "Mapped file", Subject("C:\\x.bin", 1, 1)), "C:\\x.bin"),
        (Naming(RegionType.MANAGED_HEAP, "GC heap", Subject("coreclr.dll", 1, None)), "GC heap"),
        (Naming(RegionType.PRIVATE_DATA, "TEB", Subject("", 5, None)), "TEB"),
        (Naming(RegionType.PRIVATE_DATA, "", None), None),
    ],
)
def test_groups(naming: Naming, name: str | None) -> None:
    group = group_of(naming)
    assert (None if group is None else group_name(group)) == name


def test_linux_memory_without_a_name_is_one_group(tmp_path: Path) -> None:
    def linux(seconds: float, size: int) -> RegionMap:
        scene = Scene(64)
        scene.allocate(size, base=0x10000000)
        return map_snapshot(scene.snapshot(family="linux", captured_at=at(seconds), system=System(page_size=4096)))

    result = timeline(linux(60 * index, (index + 1) * MB) for index in range(4))
    assert [series.name for series in result.growing if series.metric == "committed"] == ["without a name"]


def test_figures_of_the_process_at_a_point() -> None:
    counters = Counters(private_usage=5, working_set=6, virtual_size=GB)
    one = Scene().leave(40 * MB, 30 * MB).map(counters=counters, system=commit_at(0.25, GB), threads=[Thread(1)])
    (sample,) = take_samples([one], ("size",))
    assert sample.figures == {
        "counters.private_usage": 5,
        "counters.working_set": 6,
        "counters.virtual_size": GB,
        "free": 70 * MB,
        "largest_free_block": 40 * MB,
        "commit_left": 768 * MB,
        "threads": 1,
        "handles": None,
    }
    assert (sample.whole, sample.narrow, sample.foreign, sample.exception) == (True, True, False, None)
    (sample,) = take_samples([Scene().leave(40 * MB).map(partial=True)], ("size",))
    assert (sample.figures["free"], sample.figures["largest_free_block"], sample.whole) == (None, None, False)


def test_another_process_is_told_by_its_id_name_or_start() -> None:
    start = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    facts: list[dict[str, object]] = [
        {"pid": 5, "name": "App.exe"},
        {"pid": 5, "name": "app.EXE"},
        {"pid": None, "name": None},
        {"pid": 5, "name": "app.exe", "created_at": start},
        {"pid": 5, "name": "app.exe"},
        {"pid": 6, "name": "app.exe"},
        {"pid": 6, "name": "other.exe"},
        {"pid": 6, "name": "other.exe", "created_at": start},
        {"pid": 6, "name": "other.exe", "created_at": start + dt.timedelta(1)},
    ]
    samples = take_samples([Scene().leave(MB).map(**fact) for fact in facts], ("size",))
    found = [(event.point, event.name) for event in events_of(samples) if event.kind == "restart"]
    named = "other.exe, process ID 6"
    assert found == [(5, "app.exe, process ID 6"), (6, named), (8, named)]


@pytest.mark.parametrize(
    ("parameters", "name"), [((10,), "EXC_CRASH"), ((10, 5), "EXC_CRASH"), ((), "0x00000000"), ((9,), "0x00000000")]
)
def test_an_abort_of_macos_is_named_by_its_first_parameter(parameters: tuple[int, ...], name: str) -> None:
    assert exception_name(crash(0, *parameters), "macos") == name


@pytest.mark.parametrize(
    ("code", "family", "name"),
    [
        (0xC0000005, "windows", "STATUS_ACCESS_VIOLATION"),
        (0xC0000005 - (1 << 32), "windows", "STATUS_ACCESS_VIOLATION"),
        (0x12345678, "windows", "0x12345678"),
        (11, "linux", "SIGSEGV"),
        (1, "macos", "EXC_BAD_ACCESS"),
        (10, "windows", "0x0000000a"),
    ],
)
def test_an_exception_is_named_by_its_lower_32_bits(code: int, family: str, name: str) -> None:
    assert exception_name(crash(code), family) == name


@pytest.mark.parametrize(
    ("last", "slope", "low", "high", "narrow", "metric", "seconds"),
    [
        (100, -2.0, -4.0, -1.0, True, "free", (50, 25, 100)),
        (100, -2.0, -4.0, -1.0, False, "free", None),  # 64 bits
        (100, -2.0, -4.0, -1.0, False, "commit_left", (50, 25, 100)),
        (100, -2.0, -4.0, -1.0, True, "private", None),
        (None, -2.0, -4.0, -1.0, True, "free", None),
        (100, None, -4.0, -1.0, True, "free", None),
        (0, -2.0, -4.0, -1.0, True, "largest_free_block", (0, 0, 0)),
        (100, -2.0, -4.0, 1.0, True, "free", None),  # it may grow as well
    ],
)
def test_when_a_figure_that_shrinks_is_used_up(
    last: int | None,
    slope: float | None,
    low: float,
    high: float,
    narrow: bool,
    metric: str,
    seconds: tuple[float, float, float] | None,
) -> None:
    series = SimpleNamespace(metric=metric, last=last, slope=slope, low=low, high=high, shrinks=high < 0)
    found = list(_forecasts([series], [SimpleNamespace(narrow=True), SimpleNamespace(narrow=narrow)]))  # type: ignore[list-item]
    assert found == ([] if seconds is None else [Forecast(metric, last or 0, *seconds)])


@pytest.mark.parametrize("step", [0.1, 1 / 3, 7.7, 86400.3])
def test_an_exact_line_has_no_uncertainty(step: float) -> None:
    """What is left of it is rounding."""
    times = np.array([step * number for number in range(9)])
    values = np.array([1e9 - 12345.6789 * time for time in times])
    lines = fit_lines(times, np.array([values, values + np.eye(9)[2]]), 0.95)
    assert lines.slope[0] == pytest.approx(-12345.6789, rel=1e-6)
    assert lines.low[0] == lines.slope[0] == lines.high[0]
    assert lines.low[1] < lines.slope[1] < lines.high[1]
