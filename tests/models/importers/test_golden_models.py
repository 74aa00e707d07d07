"""Models of other programs, imported, beside what these programs found with them (`tests/parity/write_golden.py`)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dlp_lab.geometry import Geometry
from dlp_lab.models.importers.importing import Wishes, import_model
from dlp_lab.models.inference import segment
from dlp_lab.models.network import load
from dlp_lab.volume import Volume

GOLDEN = Path(__file__).parents[2] / "golden" / "models"


@pytest.mark.parametrize("name", sorted(path.stem for path in GOLDEN.glob("*.zip")))
def test_an_imported_model_finds_what_its_own_program_found(tmp_path, monkeypatch, name):
    monkeypatch.setenv("DLP_LAB_MODELS", str(tmp_path))
    package, _ = import_model(GOLDEN / f"{name}.zip", Wishes(name="golden"))
    with np.load(GOLDEN / f"{name}.npz") as arrays:
        image, expected = arrays["image"], arrays["labels"]
        geometry = Geometry(image.shape, arrays["affine_kji_to_lps"])
    found = segment(load(package), Volume(image, geometry, modality="CT"))
    assert len(np.unique(expected)) > 2
    np.testing.assert_array_equal(found.voxels, expected)


def test_there_are_golden_models_of_every_program():
    assert {path.stem.split("-")[0] for path in GOLDEN.glob("*.zip")} == {"monai", "nnunet"}
