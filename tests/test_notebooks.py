"""Every notebook runs from top to bottom, and is kept without outputs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import nbformat
import papermill
import pytest
from nbclient import NotebookClient

from tests.phantom import write_phantom_series
from tests.security.patient_data import fill_with_sentinel, told_of

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").rglob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs_from_top_to_bottom_and_its_outputs_tell_nothing_of_the_patient(tmp_path, path, monkeypatch):
    monkeypatch.setenv("DLP_LAB_MODELS", str(tmp_path / "models"))
    options = {"modality": "MR", "shape": (12, 32, 40), "edit": lambda _, ds: fill_with_sentinel(ds)}
    write_phantom_series(tmp_path / "brain-mr", **options)
    shutil.copy(path, tmp_path)
    notebook = nbformat.read(tmp_path / path.name, as_version=4)
    client = NotebookClient(notebook, timeout=240, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
    errors = [output for cell in notebook.cells for output in cell.get("outputs", []) if output.output_type == "error"]
    assert errors == []
    assert told_of(nbformat.writes(notebook)) == []


def test_papermill_runs_it_with_parameters_of_its_own(tmp_path):
    write_phantom_series(tmp_path / "case 2", shape=(12, 32, 40))
    output = tmp_path / "case 2.ipynb"
    papermill.execute_notebook(
        NOTEBOOKS[0], output, parameters={"folder": "case 2", "sigma_mm": 1.0}, cwd=tmp_path, progress_bar=False
    )
    (job,) = (path for path in (tmp_path / "dlp-lab-output").iterdir() if not path.name.startswith("."))
    record = json.loads((job / "job.json").read_text())
    assert record["request"]["input_dir"] == "case 2"
    assert record["request"]["params"]["sigma_mm"] == 1.0


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_kept_without_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None
