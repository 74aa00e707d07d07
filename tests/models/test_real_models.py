"""Real networks on real series, beside labels that were made of them by other programs (nibabel, scipy, numpy)."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from dlp_lab.conformance.programs import dciodvfy_errors, new_errors
from dlp_lab.dicom.read import read_volume
from dlp_lab.dicom.series import one_series
from dlp_lab.jobs.job import Job
from dlp_lab.jobs.pipeline import run_job
from dlp_lab.models.inference import segment
from dlp_lab.models.memory import Memory
from dlp_lab.models.network import load
from dlp_lab.models.package import read_package
from dlp_lab.models.registry import add_model
from dlp_lab.store.hdf5 import open_hdf5
from dlp_lab.store.workspace import Workspace
from tests.models.real_packages import write_tissue

DATA = Path(os.environ.get("DLP_LAB_TEST_DATA", "/dev/null/none"))
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="DLP_LAB_TEST_DATA is not set")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The T1-weighted MR of a head, oblique and not of cubes."""
    folder = tmp_path_factory.mktemp("root")
    for path in (DATA / "mr_t1_studyforrest").glob("*.zip"):
        with zipfile.ZipFile(path) as archive:
            archive.extractall(folder / "t1")
    return folder


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))


@pytest.mark.timeout(900)
def test_brain_tissue_of_a_real_head_is_where_another_program_found_it(root, tmp_path, monkeypatch):
    nibabel = pytest.importorskip("nibabel")
    monkeypatch.setenv("DLP_LAB_MODELS", str(tmp_path / "registry"))
    add_model(write_tissue(DATA, tmp_path / "package", back_to_source="labels"))
    workspace = Workspace(root)
    workspace.create()
    job = Job(uid="a" * 32, task="segment", input_dir="t1", params={}, keep_hdf5=True, state="running", submitted_at="")
    run_job(workspace, job, lambda fraction, message: None)
    folder = workspace.job_folder(job.uid)
    measured = {part["name"]: part["ml"] for part in json.loads((folder / "measurements.json").read_text())["labels"]}
    assert measured == {"white matter": pytest.approx(606, rel=0.01), "grey matter": pytest.approx(583, rel=0.01)}
    series = one_series(root / "t1")
    source_errors = dciodvfy_errors(series.headers[0].path)
    assert new_errors(dciodvfy_errors(folder / "segmentation.dcm"), source_errors) == []
    # each voxel of the source beside the other program's nearest one
    found = open_hdf5(folder / "result.h5")
    image = nibabel.load(DATA / "ref_labels/studyforrest_tissue_light_ref.nii.gz")
    reference = np.asarray(image.dataobj).astype(np.uint8)
    into = np.linalg.inv(np.diag([-1, -1, 1, 1]) @ image.affine) @ found.geometry.affine_kji_to_lps
    expected = np.zeros(found.geometry.shape, np.uint8)
    for k in range(len(expected)):
        j, i = np.indices(expected.shape[1:])
        at = np.rint(np.einsum("ab,bji->aji", into[:3, :3], np.stack([np.full_like(j, k), j, i])).T + into[:3, 3]).T
        inside = ((at >= 0) & (at < 256)).all(axis=0)
        expected[k][inside] = reference[tuple(at[:, inside].astype(int))]
    assert dice(found.voxels == 1, expected == 1) > 0.995
    assert dice(found.voxels == 2, expected == 2) > 0.99


@pytest.mark.timeout(900)
def test_tiles_with_the_halo_of_a_real_network_change_no_label(root, tmp_path):
    network = load(read_package(write_tissue(DATA, tmp_path / "package")))
    volume = read_volume(one_series(root / "t1"))
    labels = [segment(network, volume, memory=Memory(room)).voxels for room in (2**33, 2**29)]
    np.testing.assert_array_equal(labels[0], labels[1])
