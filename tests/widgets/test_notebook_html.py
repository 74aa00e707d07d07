"""What notebooks show of volumes, jobs and folders."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import dlp_lab as dlp
from dlp_lab.geometry import Geometry
from dlp_lab.jobs.job import Job
from dlp_lab.store.workspace import Workspace
from dlp_lab.volume import Volume
from tests.patience import PATIENCE_S
from tests.phantom import write_phantom_series
from tests.security.patient_data import fill_with_sentinel, told_of
from tests.widgets.test_slice_run import volume

HOSTILE = "<img src=x onerror=alert(1)>"


def test_a_volume_shows_its_three_middle_planes_and_where_it_lies() -> None:
    html = volume()._repr_html_()
    assert re.findall(r'alt="(\w+)"', html) == ["axial", "coronal", "sagittal"]
    assert html.count("data:image/png;base64,") == 3
    assert "23 x 9 x 11" in html
    assert "int16 in HU" in html


def test_of_a_large_file_only_the_plane_is_drawn_that_lies_in_one_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dlp_lab.volume_html._MOST_MAPPED_BYTES", 1000)
    shown = volume()
    shown.voxels.tofile(tmp_path / "voxels")
    mapped = np.memmap(tmp_path / "voxels", shown.voxels.dtype, "r", shape=shown.voxels.shape)
    assert Volume(mapped, shown.geometry)._repr_html_().count("<img") == 1
    assert shown._repr_html_().count("<img") == 3


def test_a_volume_of_one_value_and_one_without_any_are_shown() -> None:
    geometry = Geometry((2, 3, 4), np.diag([2.0, 1, 1, 1])[[2, 1, 0, 3]])
    for value in (0.0, np.nan):
        assert "<img" in Volume(np.full((2, 3, 4), value), geometry)._repr_html_()


def test_texts_are_escaped() -> None:
    shown = volume()
    html = Volume(shown.voxels, shown.geometry, HOSTILE, HOSTILE, warnings=(HOSTILE,))._repr_html_()
    job = Job(
        uid="a" * 32,
        task=HOSTILE,
        input_dir="a",
        params={HOSTILE: HOSTILE},
        keep_hdf5=False,
        state="failed",
        message=HOSTILE,
        warnings=[HOSTILE],
        submitted_at="",
    )
    for text in (html, job._repr_html_()):
        assert HOSTILE not in text
        assert "&lt;img src=x" in text


def test_nothing_that_is_shown_tells_of_the_patient(workspace: Workspace) -> None:
    folder = workspace.root / "ZZPHI folder"
    write_phantom_series(folder, edit=lambda _, ds: fill_with_sentinel(ds))
    job = dlp.submit("3dblur", folder, root=workspace.root).wait(PATIENCE_S, progress=False)
    for shown in (dlp.list_series(folder), dlp.read_series(folder), job, job.job):
        assert told_of(shown._repr_html_()) == []
    assert "succeeded" in job._repr_html_()
    assert "usable" in dlp.list_series(folder)._repr_html_()
