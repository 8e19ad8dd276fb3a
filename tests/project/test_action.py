"""The composite action: its script as a shell script, and the files of hosted CI."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.recorded import DUMPS

GITHUB = Path(__file__).parents[2] / ".github"
ACTION = GITHUB / "actions" / "dumpmap"

pytestmark = [
    pytest.mark.skipif(not ACTION.is_dir(), reason="the source archive has no dot-files"),
    pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash"),
]


@dataclass(frozen=True)
class Step:
    """What a step did."""

    code: int
    log: str
    summary: str
    outputs: dict[str, str]

    def file(self, name: str) -> str:
        return Path(self.outputs[name]).read_text("utf-8")


def step(folder: Path, **inputs: str) -> Step:
    """Runs the script as the action does, with the names of its inputs."""
    summary, outputs = folder / "summary.txt", folder / "outputs.txt"
    for path in (summary, outputs):
        path.unlink(missing_ok=True)
    variables = {f"DUMPMAP_{name.upper()}": value for name, value in inputs.items()}
    known = {"FILES", "RULES", "BASELINE", "ALLOW_MISSING_BASELINE", "SARIF", "TRIAGE", "FAIL_ON"}
    assert {name.removeprefix("DUMPMAP_") for name in variables} <= known
    done = subprocess.run(
        ["bash", str(ACTION / "run.sh")],
        cwd=folder,
        env={
            **os.environ,
            **variables,
            "DUMPMAP_PYTHON": sys.executable,
            "PYTHONPATH": str(GITHUB.parent),
            "RUNNER_TEMP": str(folder),
            "GITHUB_STEP_SUMMARY": str(summary),
            "GITHUB_OUTPUT": str(outputs),
        },
        capture_output=True,
        text=True,
        timeout=300,
    )
    lines = outputs.read_text("utf-8").splitlines()
    return Step(
        done.returncode,
        done.stdout + done.stderr,
        summary.read_text("utf-8"),
        dict(line.split("=", 1) for line in lines),
    )


@pytest.fixture
def work(tmp_path: Path) -> Path:
    (tmp_path / "dumps" / "of monday").mkdir(parents=True)
    shutil.copy(DUMPS["layout-x64"], tmp_path / "dumps" / "good one.dmp.gz")
    shutil.copy(DUMPS["fragment-x86"], tmp_path / "dumps" / "of monday" / "bad; touch owned.dmp.gz")
    (tmp_path / "rules.toml").write_text('[verdict]\nforbid = ["out-of-address-space"]\n', "utf-8")
    return tmp_path


def test_a_check_that_passes(work: Path) -> None:
    ran = step(work, files="dumps/good one.dmp.gz", rules="rules.toml")
    assert (ran.code, ran.outputs["exit-code"]) == (0, "0"), ran.log
    assert ran.summary.startswith("## dumpmap check\n")
    assert "<testsuite" in ran.file("junit")
    assert ran.outputs["table"] == ""
    assert ran.file("summary") == ran.summary


def test_a_check_that_fails_on_files_with_odd_names(work: Path) -> None:
    ran = step(work, files="\n  dumps/**/*.dmp.gz  \r\n\n", rules="rules.toml")
    assert (ran.code, ran.outputs["exit-code"]) == (1, "1"), ran.log
    assert "out-of-address-space" in ran.summary
    assert "::error" in ran.log
    assert ran.file("junit").count("<testsuite ") == 2
    assert not list(work.rglob("owned*"))


def test_a_baseline_is_compared_with(work: Path) -> None:
    (work / "delta.toml").write_text('[deltas]\n"Total.committed" = "<= +10%"\n', "utf-8")
    for name in ("leak-x64-before", "leak-x64-after"):
        shutil.copy(DUMPS[name], work / f"{name}.dmp.gz")
    inputs = {"files": "leak-x64-after.dmp.gz", "rules": "delta.toml"}
    assert step(work, **inputs, baseline="leak-x64-before.dmp.gz").code == 1
    assert step(work, **inputs, baseline="leak-x64-after.dmp.gz").code == 0


def test_a_first_run_has_no_baseline(work: Path) -> None:
    (work / "delta.toml").write_text('[deltas]\n"Total.committed" = "<= +10%"\n', "utf-8")
    inputs = {"files": "dumps/good one.dmp.gz", "rules": "delta.toml", "baseline": "cache/main.json.zst"}
    refused = step(work, **inputs)
    assert (refused.code, refused.outputs["junit"], refused.outputs["sarif"]) == (3, "", ""), refused.log
    assert step(work, **inputs, allow_missing_baseline="true").code == 0


@pytest.mark.parametrize("name", ["", "reports of dumps.sarif", "-o.sarif"])
def test_a_sarif_report_for_an_upload(work: Path, name: str) -> None:
    ran = step(work, files="dumps/**/*.dmp.gz", rules="rules.toml", sarif=name)
    assert ran.code == 1, ran.log
    path = work / ran.outputs["sarif"]
    assert path.name == (name or "check.sarif")
    report = json.loads(path.read_text("utf-8"))
    assert report["version"] == "2.1.0"
    (run,) = report["runs"]
    assert {result["level"] for result in run["results"]} == {"error"}
    assert step(work, triage="dumps/good one.dmp.gz").outputs["sarif"] == ""


def test_an_old_sarif_report_is_not_taken_for_this_one(work: Path) -> None:
    (work / "old.sarif").write_text("{}", "utf-8")
    ran = step(work, files="dumps/good one.dmp.gz", rules="rules.toml", sarif="old.sarif")
    assert ran.code == 2
    assert "exists already" in ran.log
    assert (work / "old.sarif").read_text("utf-8") == "{}"


def test_triage_has_a_table_and_a_gate(work: Path) -> None:
    ran = step(work, triage="dumps", fail_on="critical")
    assert (ran.code, ran.outputs["exit-code"]) == (1, "1"), ran.log
    assert ran.summary.startswith("## dumpmap triage\n")
    assert "out-of-address-space" in ran.summary
    with Path(ran.outputs["table"]).open(encoding="utf-8", newline="") as file:
        assert [row["verdict"] for row in csv.DictReader(file)] == ["out-of-address-space", "no-memory-problem-seen"]
    assert step(work, triage="dumps/good one.dmp.gz\n", fail_on="critical").code == 0


def test_both_in_one_step_and_the_worse_exit_code(work: Path) -> None:
    (work / "dumps" / "broken.dmp").write_bytes(b"MDMP")
    ran = step(work, files="dumps/broken.dmp", rules="rules.toml", triage="dumps", fail_on="critical")
    assert (ran.code, ran.outputs["exit-code"]) == (3, "3")
    assert ran.summary.index("## dumpmap check") < ran.summary.index("## dumpmap triage")


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, "set the input files or triage"),
        ({"files": "dumps/good one.dmp.gz"}, "the input files needs the input rules"),
        ({"files": "gone/*.dmp", "rules": "rules.toml"}, "no file matches"),
        ({"files": "$(touch owned).dmp", "rules": "rules.toml"}, "no file matches"),
        ({"files": "rules.toml", "rules": "rules.toml", "sarif": "x\nexit-code=0"}, "the input sarif must be one line"),
        (
            {"files": "rules.toml", "rules": "rules.toml", "allow_missing_baseline": "yes"},
            "the input allow-missing-baseline must be true or false",
        ),
    ],
)
def test_wrong_inputs_are_one_line(inputs: dict[str, str], message: str, work: Path) -> None:
    ran = step(work, **inputs)
    assert (ran.code, ran.outputs["exit-code"]) == (2, "2")
    assert f"::error title=dumpmap::{message}" in ran.log
    assert len(ran.log.splitlines()) == 1
    assert not list(work.rglob("owned*"))


def test_names_that_begin_with_a_hyphen_are_no_options(work: Path) -> None:
    shutil.copy(DUMPS["layout-x64"], work / "--version")
    assert step(work, files="--version", rules="rules.toml").code == 0
    ran = step(work, triage="--version")
    assert ran.code == 0, ran.log
    assert "no-memory-problem-seen" in ran.summary


def test_a_long_summary_is_cut(work: Path) -> None:
    """A summary above 1 MiB would be refused as a whole."""
    fake = work / "python"
    fake.write_text(
        f"#!{sys.executable}\nimport sys\n"
        "open(sys.argv[sys.argv.index('-o') + 1], 'w').write('| row |\\n' * 200_000)\n",
        "utf-8",
    )
    fake.chmod(0o755)
    summary = work / "summary.txt"
    done = subprocess.run(
        ["bash", str(ACTION / "run.sh")],
        cwd=work,
        env={
            **os.environ,
            "DUMPMAP_TRIAGE": "dumps",
            "DUMPMAP_PYTHON": str(fake),
            "RUNNER_TEMP": str(work),
            "GITHUB_STEP_SUMMARY": str(summary),
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0
    text = summary.read_text("utf-8")
    assert 890_000 < len(text) < 1 << 20
    assert text.endswith("The rest is in the output `summary`.\n")


# ---------------------------------------------------------------- the files of hosted CI


def test_the_action_gives_the_script_every_input() -> None:
    action, script = (ACTION / "action.yml").read_text("utf-8"), (ACTION / "run.sh").read_text("utf-8")
    given = set(re.findall(r"(DUMPMAP_[A-Z_]+): \$\{\{ inputs\.", action))
    used = set(re.findall(r"DUMPMAP_[A-Z_]+", script)) - {"DUMPMAP_PYTHON", "DUMPMAP_CACHE"}
    assert given == used
    outputs = set(re.findall(r"steps\.run\.outputs\.([a-z-]+)", action))
    assert outputs == set(re.findall(r'^ +echo "([a-z-]+)=', script, re.MULTILINE))


def test_every_option_that_the_script_uses_is_one_of_the_command() -> None:
    script = (ACTION / "run.sh").read_text("utf-8")
    used = set(re.findall(r"(?<=[ (])--[a-z][a-z-]+", re.sub(r"(?m)^ *#.*|<<.*", "", script)))
    known: set[str] = set()
    for command in ("check", "triage"):
        text = subprocess.run(
            [sys.executable, "-m", "dumpmap", command, "--help"],
            env={**os.environ, "PYTHONPATH": str(GITHUB.parent), "COLUMNS": "200", "NO_COLOR": "1"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        known |= set(re.findall(r"--[a-z][a-z-]+", text))
    assert used <= known
    assert {"--rules", "--sarif", "--baseline", "--fail-on"} <= used


@pytest.mark.parametrize("path", sorted(GITHUB.rglob("*.yml")), ids=lambda path: path.name)
def test_actions_are_pinned_and_inputs_are_no_code(path: Path) -> None:
    text = path.read_text("utf-8")
    for used in re.findall(r"uses: (.+)", text):
        assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", used), used
    runs = re.findall(r"run: (.*)", text)
    assert not [line for line in runs if "${{" in line]
    for site in ("://", "pull_request_target"):
        assert site not in text


FORMS = sorted((GITHUB / "ISSUE_TEMPLATE").glob("*.yml"))


def test_the_forms_ask_for_snapshots_and_warn_of_dumps() -> None:
    texts = {path.stem: path.read_text("utf-8") for path in FORMS}
    assert set(texts) == {"config", "contribution", "idea", "wrong-result"}
    assert "dumpmap info FILE" in texts["wrong-result"]
    assert "--redact" in texts["wrong-result"]
    for name in ("contribution", "idea", "wrong-result"):
        assert re.search("(?:Do not|Never) attach (?:a dump of a customer|the dump itself)", texts[name]), name


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_a_form_has_what_the_service_requires(path: Path) -> None:
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    form = yaml.safe_load(path.read_text("utf-8"))
    if path.stem == "config":
        assert form == {"blank_issues_enabled": False}
        return
    assert set(form) == {"name", "description", "labels", "body"}
    ids = [part["id"] for part in form["body"] if part["type"] != "markdown"]
    assert len(ids) == len(set(ids)) > 0
    for part in form["body"]:
        assert part["type"] in ("markdown", "textarea", "input", "dropdown", "checkboxes")
        options = part["attributes"].get("options", [])
        assert all(isinstance(one, str) or isinstance(one["label"], str) for one in options)
        assert "value" in part["attributes"] if part["type"] == "markdown" else "label" in part["attributes"]


def test_the_commands_of_the_forms_work(work: Path) -> None:
    """Every line of a code block of a form."""
    shutil.copy(DUMPS["layout-x64"], work / "crash.dmp")
    lines = {
        line.strip()
        for path in FORMS
        for block in re.findall(r"```\n(.*?)```", path.read_text("utf-8"), re.DOTALL)
        for line in block.splitlines()
        if line.strip()
    }
    assert len(lines) == 2
    for line in lines:
        done = subprocess.run(
            [sys.executable, "-m", *line.split()], cwd=work, env={**os.environ, "PYTHONPATH": str(GITHUB.parent)}
        )
        assert done.returncode == 0, line


def test_files_that_were_not_run_say_so() -> None:
    for path in [*GITHUB.glob("workflows/*.yml"), ACTION / "action.yml"]:
        head = " ".join(line.lstrip("# ") for line in path.read_text("utf-8").splitlines()[:4])
        assert "not been run on a hosted service" in head, path


def test_the_matrix_is_the_supported_pythons() -> None:
    text = (GITHUB / "workflows" / "ci.yml").read_text("utf-8")
    (matrix,) = re.findall(r"python: (\[.+\])", text)
    assert json.loads(matrix) == ["3.11", "3.12", "3.13", "3.14"]
