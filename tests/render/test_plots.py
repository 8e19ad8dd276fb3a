"""Pictures: what is drawn equals what the map, the timeline, and the difference say; nothing of it loads unasked."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.recorded import DUMPS, opened, region_map
from support.scenes import MB, Scene
from synth.minidump import MEM_IMAGE

import dumpmap
from dumpmap.api import RegionMap
from dumpmap.model.snapshot import Module
from dumpmap.model.types import TYPES, RegionType
from dumpmap.render.plot.treemap import layout
from dumpmap.wording.text import size_words

REASON = "matplotlib is not installed: the extra `plot` brings it"


@pytest.fixture
def plt() -> Iterator[Any]:
    matplotlib = pytest.importorskip("matplotlib", reason=REASON)
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    yield plt
    plt.close("all")


def narrow(minute: int) -> RegionMap:
    """A 32-bit process that takes 16 MB more every minute and commits 2 MB of it."""
    scene = Scene(32)
    for index in range(10 + minute):
        scene.allocate(16 * MB, base=0x10000000 + index * 20 * MB, commit=2 * MB)
    return scene.map(captured_at=dt.datetime(2026, 1, 1, 0, minute, tzinfo=dt.UTC))


def named(name: str) -> RegionMap:
    """A map with a module of that name."""
    scene = Scene(64)
    scene.allocate(64 * MB, base=0x7FF600000000, type=MEM_IMAGE)
    scene.allocate(32 * MB, base=0x10000000)
    return scene.map(modules=[Module(0x7FF600000000, 64 * MB, name)])


def colors_of(image: Any) -> dict[str, int]:
    """How many cells of a picture have each colour."""
    cells = (np.asarray(image.get_array()) * 255).round().astype(int).reshape(-1, 3)
    values, counts = np.unique(cells, axis=0, return_counts=True)
    return {"#{:02x}{:02x}{:02x}".format(*value): int(count) for value, count in zip(values, counts, strict=True)}


def texts_of(ax: Any) -> str:
    """All that is written in axes."""
    ax.figure.canvas.draw()
    return "\n".join(text.get_text() for text in ax.findobj(lambda one: hasattr(one, "get_text")))


# ---------------------------------------------------------------- what loads


def test_matplotlib_loads_when_something_is_drawn() -> None:
    code = (
        f"import sys, dumpmap; m = dumpmap.open({str(DUMPS['layout-x64'])!r})\n"
        "m.plot, m.summary(), m.findings(), m.verdict, m._repr_html_()\n"
        "d = dumpmap.diff(m, m); d._repr_html_(); dumpmap.timeline([m, m])._repr_html_()\n"
        "print([name for name in sys.modules if 'matplotlib' in name or 'render.plot' in name])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("draw", ["space", "types", "owners", "diff", "timeline"])
def test_without_matplotlib_the_error_names_the_extra(draw: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    m = region_map("layout-x64")
    draws = {
        "space": lambda: m.plot(),
        "types": lambda: m.plot.types(),
        "owners": lambda: m.plot.owners(search="structure"),
        "diff": lambda: dumpmap.diff(m, m).plot(),
        "timeline": lambda: dumpmap.timeline([m, m]).plot(),
    }
    with pytest.raises(dumpmap.OutputError) as caught:
        draws[draw]()
    assert str(caught.value) == 'pictures need another package: pip install "dumpmap[plot]"'


# ---------------------------------------------------------------- the strip


def test_cells_of_the_strip_are_the_types_of_the_space_to_scale(plt: Any) -> None:
    m = region_map("fragment-x86")
    ax: Any = m.plot()
    (image,) = ax.images
    found = colors_of(image)
    summary, end = m.summary()["size"].fillna(0).to_dict(), m.end
    assert end is not None
    for info in TYPES:
        size = summary.get(info.name, 0)
        if info.type is RegionType.PAGE_TABLE:
            continue
        # What is smaller than a cell can be lost in it; what is larger is there to a few cells for each range.
        share = found.get(info.color, 0) / sum(found.values())
        assert share == pytest.approx(int(size) / end, abs=0.012), info.name
    largest = m.largest_free_block
    assert largest is not None
    assert size_words(largest.size) in texts_of(ax)
    assert [label.get_text() for label in ax.get_yticklabels()] == [f"0x{row << 28:08x}" for row in range(8)]


def test_the_outline_is_where_the_largest_free_block_is(plt: Any) -> None:
    m = region_map("fragment-x86")
    ax: Any = m.plot()
    largest = m.largest_free_block
    assert largest is not None
    boxes = [patch.get_bbox() for patch in ax.patches]
    start, end = min(box.x0 for box in boxes), max(box.x1 for box in boxes)
    cell = (1 << 28) / 512
    assert start * cell == pytest.approx(largest.address, abs=2 * cell)
    assert end * cell == pytest.approx(largest.address + largest.size, abs=2 * cell)


def test_a_space_of_64_bits_hatches_what_it_shortens(plt: Any) -> None:
    ax = region_map("layout-x64").plot()
    assert ax.collections
    assert ax.collections[0].get_hatch()
    assert "shortened" in texts_of(ax)
    assert not region_map("fragment-x86").plot().collections


@pytest.mark.parametrize("name", DUMPS)
def test_every_recorded_dump_can_be_drawn(name: str, plt: Any) -> None:
    m = region_map(name)
    for ax in (m.plot(), m.plot.types(), m.plot.types(figure="size"), m.plot.types(stacked=True), m.plot.owners()):
        ax.figure.canvas.draw()
        plt.close(ax.figure)


def test_the_outline_covers_free_cells_only(plt: Any) -> None:
    ax: Any = region_map("starve-x86").plot()
    assert len(ax.patches) == 2  # the rest of the first row, and the second row


def test_a_process_without_memory_can_be_drawn(plt: Any) -> None:
    for m in (Scene(32).map(), Scene(64).map()):
        for ax in (m.plot(), m.plot.types(), m.plot.types(stacked=True), m.plot.owners(), dumpmap.diff(m, m).plot()):
            ax.figure.canvas.draw()
        assert "No memory matches." in texts_of(m.plot.owners())


# ---------------------------------------------------------------- types


@pytest.mark.parametrize("figure", ["committed", "size", "private"])
def test_bars_are_the_summary(figure: Any, plt: Any) -> None:
    m = region_map("fragment-x86")
    ax: Any = m.plot.types(figure=figure)
    labels = [label.get_text() for label in ax.get_yticklabels()]
    drawn = {label: bar.get_width() for label, bar in zip(labels, ax.patches, strict=True)}
    wanted = m.summary()[figure].drop("Total")
    wanted = wanted[wanted.fillna(0) > 0].to_dict()
    if figure != "size":
        wanted.pop("Free", None)
    assert drawn == wanted


def test_stacked_bars_end_at_the_total(plt: Any) -> None:
    m = region_map("layout-x64")
    ax: Any = m.plot.types(stacked=True)
    ends: dict[float, float] = {}
    for bar in ax.patches:
        ends[bar.get_y()] = max(ends.get(bar.get_y(), 0), bar.get_x() + bar.get_width())
    total = m.summary().loc["Total"]
    assert sorted(ends.values()) == sorted([total["committed"], total["private"]])


def test_free_space_of_64_bits_leaves_room_for_the_rest(plt: Any) -> None:
    assert "Free" not in texts_of(region_map("layout-x64").plot.types(figure="size"))


def test_a_part_of_the_memory_says_so(plt: Any) -> None:
    m = region_map("layout-x86-plain")
    for ax in (m.plot.types(), m.plot.types(stacked=True), m.plot.owners()):
        assert "at least" in ax.get_title()
    assert "at least" not in region_map("layout-x86").plot.owners().get_title()


def test_words_that_are_no_figures(plt: Any) -> None:
    m = region_map("layout-x64")
    with pytest.raises(ValueError, match="figure must be one of committed, size, private, total_ws"):
        m.plot.types(figure="typo")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="figure must be one of committed, size"):
        m.plot.owners(figure="typo")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="search must be one of"):
        m.plot.owners(search="typo")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="figure must be one of committed, size, private"):
        dumpmap.diff(m, m).plot(figure="typo")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="metric must be a figure that the timeline follows"):
        dumpmap.timeline([m, m], metrics=["size"]).plot(metric="committed")


# ---------------------------------------------------------------- owners


@given(
    st.lists(st.floats(1, 1e12), min_size=1, max_size=60).map(lambda values: sorted(values, reverse=True)),
    st.floats(10, 2000),
    st.floats(10, 2000),
)
def test_a_treemap_fills_its_rectangle_with_areas_in_proportion(
    values: list[float], width: float, height: float
) -> None:
    boxes = layout(values, width, height)
    unit = width * height / sum(values)
    assert len(boxes) == len(values)
    for value, box in zip(values, boxes, strict=True):
        assert box.width * box.height == pytest.approx(value * unit, rel=1e-6, abs=1e-6 * width * height)
        assert -1e-6 <= box.x <= box.x + box.width <= width * (1 + 1e-6)
        assert -1e-6 <= box.y <= box.y + box.height <= height * (1 + 1e-6)
    for index, one in enumerate(boxes):
        for other in boxes[:index]:
            across = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
            down = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
            assert min(across, down) <= 1e-6 * max(width, height)


def test_the_layout_of_the_published_example() -> None:
    # Bruls, Huizing, van Wijk, "Squarified Treemaps", figure 4: 6, 6, 4, 3, 2, 2, 1 in a rectangle of 6 x 4.
    boxes = layout([6, 6, 4, 3, 2, 2, 1], 6, 4)
    ratios = [max(box.width / box.height, box.height / box.width) for box in boxes]
    assert [(box.width, box.height) for box in boxes[:2]] == [(3, 2), (3, 2)]
    assert boxes[2].height == boxes[3].height == pytest.approx(7 / 3)
    assert max(ratios) < 3


@pytest.mark.parametrize("figure", ["committed", "size"])
def test_areas_of_owners_add_up_to_the_frame(figure: Any, plt: Any) -> None:
    m, _ = opened("node-22")
    ax: Any = m.plot.owners(figure=figure)
    width, height = ax.get_xlim()[1], ax.get_ylim()[0]
    areas = [patch.get_width() * patch.get_height() for patch in ax.patches]
    assert sum(areas) == pytest.approx(width * height)
    frame = m.owners()
    v8 = int(frame[frame["owner"] == "V8"][figure].sum())
    share = v8 / int(frame[figure].sum())
    assert min(abs(area / (width * height) - share) for area in areas) < 1e-6
    text = texts_of(ax)
    assert "V8" in text
    assert size_words(v8) in text


def test_labels_stay_inside_their_areas(plt: Any) -> None:
    m, _ = opened("node-22")
    ax: Any = m.plot.owners()
    ax.figure.canvas.draw()
    boxes = [patch.get_window_extent() for patch in ax.patches]
    for text in ax.texts:
        extent = text.get_window_extent()
        box = next(box for box in boxes if box.contains(extent.x0, extent.y1 - 1))
        assert extent.x1 <= box.x1 + 1, text.get_text()
        assert extent.y0 >= box.y0 - 1, text.get_text()


@pytest.mark.parametrize("name", ["$x$ \\frac{", "a_b^c%$.dll", "\x1b[2J\u202eexe.dll", "_hidden.dll"])
def test_names_of_a_dump_are_drawn_as_they_are(name: str, plt: Any) -> None:
    m = named(name)
    for ax in (m.plot(), m.plot.owners(), dumpmap.diff(m, m).plot()):
        text = texts_of(ax)
        assert "\x1b" not in text
        assert "\u202e" not in text
    assert not any(label.get_parse_math() for label in m.plot.owners().texts)


# ---------------------------------------------------------------- timelines and differences


def test_areas_and_line_of_a_timeline(plt: Any) -> None:
    t = dumpmap.timeline([narrow(minute) for minute in range(4)])
    ax: Any = t.plot()
    top = max(vertex[1] for area in ax.collections for path in area.get_paths() for vertex in path.vertices)
    assert top == 13 * 2 * MB
    right = ax.figure.axes[-1]
    (line,) = right.lines
    series = next(one for one in t.figures if one.metric == "largest_free_block")
    assert list(line.get_ydata()) == list(series.values)
    assert "Largest free block" in texts_of(right)
    assert ax.get_xlabel() == "Minutes since 2026-01-01 00:00:00 UTC"
    larger: Any = t.plot(metric="size")
    assert max(v[1] for area in larger.collections for path in area.get_paths() for v in path.vertices) == 13 * 16 * MB


def test_a_space_of_64_bits_has_no_line(plt: Any) -> None:
    m = region_map("layout-x64")
    ax = dumpmap.timeline([m, m]).plot()
    assert ax.figure.axes == [ax]
    assert ax.get_xlabel() == "Map"


def test_a_map_that_knows_no_totals_is_a_gap(plt: Any) -> None:
    m = region_map("layout-x86-plain")
    ax = dumpmap.timeline([m, m, region_map("layout-x86")]).plot()
    assert "Unknown for 2 maps" in ax.get_title()


def test_bars_of_a_difference(plt: Any) -> None:
    d = dumpmap.diff(DUMPS["leak-x64-before"], DUMPS["leak-x64-after"])
    ax: Any = d.plot()
    summary = d.summary().drop(["Total", "Free"])
    wanted = sorted(int(v) for v in (*summary["committed_a"].dropna(), *summary["committed_b"].dropna()) if v)
    assert sorted(bar.get_width() for bar in ax.patches if bar.get_width()) == wanted
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels == [info.name for info in TYPES if info.name in labels]
    assert "Image" in labels
    assert f"+{size_words(int(summary['committed_delta'].to_dict()['Private Data']))}" in texts_of(ax)


def test_free_space_in_the_difference_of_two_spaces_of_32_bits(plt: Any) -> None:
    d = dumpmap.diff(narrow(0), narrow(3))
    assert "Free" in texts_of(d.plot(figure="size"))
    assert "-48 MB" in texts_of(d.plot(figure="size"))
    assert "Free" not in texts_of(d.plot())


def test_own_axes_are_drawn_on_and_returned(plt: Any) -> None:
    m = region_map("layout-x64")
    figure, places = plt.subplots(2, 3, figsize=(20, 10))
    draws: tuple[Callable[..., Any], ...] = (
        m.plot,
        m.plot.types,
        m.plot.owners,
        dumpmap.diff(m, m).plot,
        dumpmap.timeline([m, m]).plot,
    )
    for draw, ax in zip(draws, places.flat, strict=False):
        assert draw(ax=ax) is ax
        ax.set_title("mine")
        assert [ax.get_title(loc=place) for place in ("left", "center", "right")] == ["", "mine", ""]
    assert plt.get_fignums() == [figure.number]
