"""The example notebooks run from top to bottom, and are stored without outputs."""

from __future__ import annotations

import ast
import json
import os
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "examples"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))

each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)


def test_there_are_notebooks() -> None:
    assert NOTEBOOKS  # without notebooks, pytest would skip the tests below in silence


def sources(path: Path) -> list[str]:
    """The code of a notebook, cell by cell."""
    cells = json.loads(path.read_text("utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


@each
def test_it_is_stored_without_outputs(path: Path) -> None:
    text = path.read_text("utf-8")
    for cell in json.loads(text)["cells"]:
        assert cell.get("outputs", []) == []
        assert cell.get("execution_count") is None
    assert text == json.dumps(json.loads(text), indent=1, ensure_ascii=False) + "\n"


@each
@pytest.mark.slow
def test_its_code_runs_without_a_kernel(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs the cells as Python and shows what each ends in, as a notebook does."""
    matplotlib = pytest.importorskip("matplotlib", reason="matplotlib is not installed: the extra `plot` brings it")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    monkeypatch.chdir(FOLDER)
    names: dict[str, Any] = {"__name__": "notebook"}
    shown = pictures = 0
    for source in sources(path):
        tree = ast.parse(source)
        last = tree.body[-1]
        silent = source.rstrip().endswith(";") or not isinstance(last, ast.Expr)
        if isinstance(last, ast.Expr):
            exec(compile(ast.Module(tree.body[:-1], []), path.name, "exec"), names)
            value = eval(compile(ast.Expression(last.value), path.name, "eval"), names)
            if not silent and value is not None:
                assert value._repr_html_()
                shown += 1
        else:
            exec(compile(tree, path.name, "exec"), names)
        for number in plt.get_fignums():
            plt.figure(number).canvas.draw()
            pictures += 1
        plt.close("all")
    assert shown >= 5
    assert pictures >= 5


@each
@pytest.mark.slow
def test_it_runs_in_a_kernel(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: the extra `plot` brings it")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed: the extra `dev` brings it")
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed: the extra `dev` brings it")
    nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed: it comes with nbclient")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))))
    notebook = nbformat.read(path, 4)
    nbformat.validate(notebook)
    client = nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(FOLDER)}}
    )
    client.execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert not [output for output in outputs if output.output_type == "error"]
    kinds = [kind for output in outputs for kind in output.get("data", {})]
    assert kinds.count("image/png") >= 5
    assert kinds.count("text/html") >= 5
    # Such as a warning of pandas or of matplotlib, which a reader would see.
    said = [output.text for output in outputs if output.output_type == "stream" and output.name == "stderr"]
    assert said == []
