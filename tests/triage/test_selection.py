"""Which rows are shown, and in which order."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from support.triage import partial_dump, small_dump, starved_dump
from typer.testing import CliRunner

from dumpmap.cli.app import whole_app
from dumpmap.render.triage import write_result
from dumpmap.triage import Options, Result, Row, Selection, run, select
from dumpmap.triage.columns import NAMES, known_values
from dumpmap.triage.conditions import parse_condition
from dumpmap.triage.rows import empty_row

MB = 1 << 20


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    dumps = tmp_path_factory.mktemp("dumps")
    for index in range(3):
        (dumps / f"good-{index}.dmp").write_bytes(small_dump(name=f"shop{index}.exe", pid=index + 1))
    (dumps / "starved.dmp").write_bytes(starved_dump())
    (dumps / "part.dmp").write_bytes(partial_dump())
    (dumps / "empty.dmp").write_bytes(b"")
    return dumps


@pytest.fixture(scope="module")
def result(folder: Path) -> Any:
    with run(folder, Options(engine="serial", cache=False)) as finished:
        yield finished


def names(result: Result, selection: Selection) -> list[str]:
    return [Path(row["path"]).stem for row in result.rows(selection)]


def row(**values: Any) -> Row:
    made = empty_row("a/B.dmp", "ok")
    made.update(values)
    return made


@pytest.mark.parametrize(
    ("condition", "values", "holds"),
    [
        ("process=SHOP.exe", {"process": "shop.exe"}, True),
        ("process == shop.exe ", {"process": "shop.exe"}, True),
        ("process=shop", {"process": "shop.exe"}, False),
        ("process!=shop.exe", {"process": "shop.exe"}, False),
        ("process!=shop.exe", {"process": None}, True),
        ("process~SHOP", {"process": "myshop.exe"}, True),
        ("process~shop*", {"process": "myshop.exe"}, False),
        ("process~*sho[op].exe", {"process": "myshop.exe"}, True),
        ("process!~shop", {"process": "myshop.exe"}, False),
        ("process~shop", {"process": None}, False),
        ("path~b.dmp", {}, True),
        ("exception=", {"exception": None}, True),
        ("exception=", {"exception": "SIGSEGV"}, False),
        ("exception!=", {"exception": "SIGSEGV"}, True),
        ("headline~a = b", {"headline": "is a = b so"}, True),
        ("committed>=64MB", {"committed": 64 * MB}, True),
        ("committed>64MB", {"committed": 64 * MB}, False),
        ("committed<1.5 GB", {"committed": 64 * MB}, True),
        ("committed<1", {"committed": None}, False),
        ("committed=0", {"committed": None}, False),
        ("committed=0", {"committed": 0}, True),
        ("largest_free<=0x10000", {"largest_free": 65536}, True),
        ("pid=0x10", {"pid": 16}, True),
        ("pid=1,000", {"pid": 1000}, True),
        ("threads>007", {"threads": 8}, True),
        ("fragmentation>=90%", {"fragmentation": 0.9}, True),
        ("fragmentation<0.5", {"fragmentation": 0.9}, False),
        ("seconds>0.5", {"seconds": 1.0}, True),
        ("wow64=false", {"wow64": False}, True),
        ("wow64=false", {"wow64": None}, False),
        ("wow64=", {"wow64": None}, True),
        ("wow64!=yes", {"wow64": None}, True),
        ("finding=Many-Heaps", {"findings": ["many-threads", "many-heaps"]}, True),
        ("findings=heap-fragmented", {"findings": ["many-threads", "many-heaps"]}, False),
        ("findings~c", {"findings": ["a", "b"]}, False),
        ("finding!=many-heaps", {"findings": ["many-threads", "many-heaps"]}, False),
        ("finding=", {"findings": []}, True),
        ("finding=", {"findings": None}, True),
        ("captured_at=2026-11-22", {"captured_at": "2026-11-22T18:00:04Z"}, True),
        ("captured_at>2026-11-22", {"captured_at": "2026-11-22T18:00:04Z"}, False),
        ("captured_at>=2026-11-22T18:00:04", {"captured_at": "2026-11-22T18:00:04Z"}, True),
        ("captured_at<2026-11-22T19:00:00+02:00", {"captured_at": "2026-11-22T18:00:04Z"}, False),
        ("captured_at~T18", {"captured_at": "2026-11-22T18:00:04Z"}, True),
        ("captured_at<2026-11-22", {"captured_at": None}, False),
    ],
)
def test_conditions(condition: str, values: dict[str, Any], holds: bool) -> None:
    assert select([condition]).keeps(row(**values)) is holds


@pytest.mark.parametrize(
    ("condition", "values", "judged"),
    [
        # at least 64 MB
        ("committed>32MB", {"committed": 64 * MB}, True),
        ("committed>=64MB", {"committed": 64 * MB}, True),
        ("committed>64MB", {"committed": 64 * MB}, None),
        ("committed<1GB", {"committed": 64 * MB}, None),
        ("committed<=64MB", {"committed": 64 * MB}, None),
        ("committed<64MB", {"committed": 64 * MB}, False),
        ("committed=32MB", {"committed": 64 * MB}, False),
        ("committed=1GB", {"committed": 64 * MB}, None),
        ("committed!=32MB", {"committed": 64 * MB}, True),
        ("committed!=1GB", {"committed": 64 * MB}, None),
        ("heap_committed<1GB", {"heap_committed": 64 * MB}, None),
        # a counter counts all page tables
        ("page_table_committed<1GB", {"page_table_committed": MB}, True),
        ("process_commit<1GB", {"process_commit": 64 * MB}, True),
        ("committed<1GB", {"committed": None}, None),
        ("process_commit<1GB", {"process_commit": None}, None),
        ("process_commit!=1GB", {"process_commit": None}, None),
        ("process_commit=1GB", {"process_commit": None}, None),
        ("process_commit!=1GB", {"process_commit": None, "status": "error"}, True),
        ("oom_size!=1GB", {"oom_size": None}, True),
        ("threads>5", {"threads": None}, None),
        ("oom_size>1GB", {"oom_size": None}, False),
        # at most 64 MB
        ("largest_free<65MB", {"largest_free_at_most": 64 * MB}, True),
        ("largest_free<32MB", {"largest_free_at_most": 64 * MB}, None),
        ("largest_free>=65MB", {"largest_free_at_most": 64 * MB}, False),
        ("largest_free>32MB", {"largest_free_at_most": 64 * MB}, None),
        ("largest_free=65MB", {"largest_free_at_most": 64 * MB}, False),
        ("largest_free>32MB", {"largest_free": 64 * MB}, True),
        ("free_size>1GB", {"free_at_most": 64 * MB}, False),
        ("largest_free_at_most<65MB", {"largest_free_at_most": 64 * MB}, True),
        ("fragmentation>50%", {"fragmentation": 0.9}, None),
    ],
)
def test_a_bound_decides_only_what_it_proves(condition: str, values: dict[str, Any], judged: bool | None) -> None:
    selection = select([condition])
    assert selection.judge(row(lower_bound=True, **values)) is judged
    assert selection.keeps(row(lower_bound=True, **values)) is (judged is True)


def test_one_condition_that_fails_decides() -> None:
    part = row(lower_bound=True, committed=64 * MB, process="shop.exe")
    assert select(["committed<1GB", "process=other.exe"]).judge(part) is False
    assert select(["committed<1GB", "process=shop.exe"]).judge(part) is None
    assert select(["committed<1GB"], severity="critical").judge(part) is False


def test_undecided_dumps_are_counted_and_said_once(folder: Path, tmp_path: Path) -> None:
    arguments = [
        "triage",
        str(folder),
        "--where",
        "committed<100GB",
        "--cache",
        str(tmp_path / "c"),
        "--engine",
        "serial",
    ]
    shown = CliRunner().invoke(whole_app(), [*arguments, "--format", "json"])
    document = json.loads(shown.stdout)
    assert document["selection"]["undecided"] == 1
    assert "part" not in {Path(one["path"]).stem for one in document["rows"]}
    assert len(document["rows"]) == 4
    assert "1 of 6 dumps is undecided and left out: its figures are unknown or only bounds (" in shown.stderr
    assert "part.dmp)\n" in shown.stderr
    (flags,) = [
        line
        for line in csv.DictReader(io.StringIO(CliRunner().invoke(whole_app(), [*TRIAGE_CSV, str(folder)]).stdout))
        if line["path"].endswith("part.dmp")
    ]
    assert flags["lower_bound"] == "true"
    groups = CliRunner().invoke(whole_app(), [*TRIAGE_CSV, str(folder), "--group-by", "completeness"]).stdout
    marked = {line["completeness"]: line["lower_bound"] for line in csv.DictReader(io.StringIO(groups))}
    assert marked["partial"] == "true"
    assert set(marked.values()) == {"true", "false"}
    table = (
        CliRunner()
        .invoke(whole_app(), ["-q", "triage", str(folder), "--no-cache", "--group-by", "completeness"])
        .stdout
    )
    (line,) = [line for line in table.splitlines() if line.startswith("partial")]
    assert ">= " in line


TRIAGE_CSV = ("-q", "triage", "--no-cache", "--engine", "serial", "--format", "csv")


@pytest.mark.parametrize(
    ("condition", "text"),
    [
        ("process", "is not a condition"),
        ("=x", "is not a condition"),
        ("nonsense=1", r"there is no column 'nonsense'; dumpmap explain --all lists the columns$"),
        ("committed>many", "not a size"),
        ("committed~1", "works on text"),
        ("pid=x", "not a number"),
        ("seconds=x", "not a number"),
        ("wow64=maybe", "wow64 is a flag. Write wow64=true or wow64=false"),
        ("wow64<true", "wow64 is a flag. Write wow64=true or wow64=false"),
        ("process>a", "works on numbers and times"),
        ("captured_at=monday", "not a time"),
        ("committed>", "needs a value"),
        ("process~", "needs a value"),
        ("verdict=out-of-comit", r"no verdict 'out-of-comit'; did you mean out-of-commit\? the values are out-of-addr"),
        (
            "verdict!=nonsense",
            "no verdict 'nonsense'; the values are out-of-address-space, out-of-commit, out-of-heap-",
        ),
        ("finding=nope", "no finding 'nope'; the values are runtime-heap-limit-reached, "),
        ("findings==Largest-Free-Block", r"did you mean largest-free-block-small\?"),
        ("severity=fatal", "no severity 'fatal'; the values are critical, warning, info$"),
        ("status=bad", "no status 'bad'; the values are ok, partial, error, skipped$"),
        ("completeness!=all", "no completeness 'all'; the values are full, map, partial$"),
        ("format=pdf", "no format 'pdf'; the values are minidump, live, vmmap$"),
        ("container=rar", "no container 'rar'; the values are gzip, zstd, zip$"),
    ],
)
def test_what_is_no_condition(condition: str, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        parse_condition(condition)


@pytest.mark.parametrize(
    "condition",
    ["verdict=Cannot-Tell", "verdict~nonsense", "finding!~nope", "container=", "severity!=", "architecture=riscv64"],
)
def test_what_is_not_settled_is_free(condition: str) -> None:
    parse_condition(condition)


def test_what_rows_hold_is_known(result: Result) -> None:
    settled = {name: known_values(name) for name in NAMES if known_values(name)}
    assert list(settled) == [
        "status",
        "completeness",
        "format",
        "container",
        "verdict",
        "severity",
        "findings",
        "process_commit_source",
    ]
    for found in result.rows():
        for name, known in settled.items():
            value = found[name]
            assert value is None or set(value if isinstance(value, list) else [value]) <= set(known), name


def test_all_conditions_have_to_hold(result: Result) -> None:
    assert names(result, select(["process~shop", "pid>1"])) == ["good-1", "good-2"]


def test_severity(result: Result) -> None:
    assert names(result, select(severity="critical")) == ["starved"]
    assert names(result, select(severity="warning")) == ["starved"]
    assert select(severity="warning").keeps(row(severity="warning"))
    assert not select(severity="critical").keeps(row(severity="warning"))
    assert not select(severity="warning").keeps(row(severity="info"))
    assert select(severity="info").keeps(row(severity="info"))
    assert not select(severity="info").keeps(row(severity=None))
    with pytest.raises(ValueError, match="severity"):
        select(severity="bad")  # type: ignore[arg-type]


def test_sort(result: Result) -> None:
    assert names(result, select(sort="pid"))[:4] == ["good-0", "good-1", "good-2", "starved"]
    assert names(result, select(sort="-pid"))[:4] == ["starved", "good-2", "good-1", "good-0"]
    assert names(result, select(sort=" +pid")) == names(result, select(sort="pid"))
    # What is not known is last either way, in the usual order.
    assert names(result, select(sort="pid"))[4:] == names(result, select(sort="-pid"))[4:] == ["part", "empty"]
    assert names(result, select(sort="finding")) == names(result, select(sort="findings"))
    assert names(result, select(sort="severity"))[0] == "starved"
    assert sorted(names(result, select(sort="status"))) == sorted(names(result, Selection()))
    with pytest.raises(ValueError, match="there is no column 'size_'"):
        select(sort="size_")


@pytest.mark.parametrize("name", NAMES)
def test_every_column_sorts(result: Result, name: str) -> None:
    assert sorted(names(result, select(sort=f"-{name}"))) == sorted(names(result, Selection()))


def test_top(result: Result) -> None:
    assert names(result, select(top=1)) == ["starved"]
    assert names(result, select(sort="-pid", top=2)) == ["starved", "good-2"]
    with pytest.raises(ValueError, match="at least 1"):
        select(top=0)


def test_groups_are_of_what_is_selected(result: Result) -> None:
    (group,) = result.groups(["architecture"], select(["process~shop"]))
    assert (group.values, group.count) == (("x64",), 3)


def test_groups_have_their_own_order(result: Result) -> None:
    def select_groups(**how: Any) -> Selection:
        return select(group_by=["process"], figures=["count", "most_committed"], **how)

    found = [group.values[0] for group in result.groups(["process"], select_groups(sort="-most_committed", top=1))]
    assert found == ["starved.exe"]
    found = [group.values[0] for group in result.groups(["process"], select_groups(sort="-process"))]
    assert found == ["starved.exe", "shop2.exe", "shop1.exe", "shop0.exe", "part.exe", None]
    with pytest.raises(ValueError, match=r"their columns are process, count, most_committed$"):
        select_groups(sort="pid")


def test_every_format_follows_it(result: Result, tmp_path: Path) -> None:
    selection = select(["process~shop"], sort="-pid", top=2)

    def written(format: str, **options: Any) -> str:
        out = io.StringIO()
        write_result(result, format, out, selection=selection, **options)
        return out.getvalue()

    document = json.loads(written("json"))
    assert [line["pid"] for line in document["rows"]] == [3, 2]
    assert document["selection"] == {
        "where": ["process~shop"],
        "severity": None,
        "sort": "-pid",
        "top": 2,
        "undecided": 0,
    }
    assert document["counts"]["done"] == 6
    assert [line["pid"] for line in map(json.loads, written("jsonl").splitlines())] == [3, 2]
    assert [line["pid"] for line in csv.DictReader(io.StringIO(written("csv")))] == ["3", "2"]
    for format in ("table", "markdown"):
        lines = written(format).splitlines()
        assert len(lines) == 4
        assert "good-2" in lines[2]
    pq = pytest.importorskip("pyarrow.parquet")
    write_result(result, "parquet", tmp_path / "a.parquet", selection=selection)
    assert pq.read_table(tmp_path / "a.parquet").column("pid").to_pylist() == [3, 2]


def test_json_has_all_selected_rows_beside_the_groups(result: Result) -> None:
    out = io.StringIO()
    selection = select(["process~shop"], top=1, group_by=["process"], figures=["count"])
    write_result(result, "json", out, group_by=["process"], selection=selection)
    document = json.loads(out.getvalue())
    assert (len(document["groups"]), len(document["rows"])) == (1, 3)
