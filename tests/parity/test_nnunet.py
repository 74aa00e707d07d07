"""Imported models of nnU-Net beside nnU-Net itself, from its checkpoint and a NIfTI file to its NIfTI file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from dlp_lab.models.importers.export_nnunet import export
from dlp_lab.models.importers.importing import Wishes, imported_model
from dlp_lab.models.package import read_package
from dlp_lab.models.selftest import check_model
from dlp_lab.volume import Volume
from tests.parity.comparison import LEAST_EQUAL, MOST_APART, compare, ours
from tests.parity.nnunet_judge import judge
from tests.parity.nnunet_models import TORCH, plans, write_results
from tests.parity.volumes import blobs, real_ct, real_mr

CASES: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "CT, two folds, mirrored": ({"patch": [16, 32, 32], "spacing_mm": [2.0, 1.5, 1.5]}, {"folds": 2}, {}),
    "z-score within the mask, oblique": (
        {
            "patch": [16, 32, 32],
            "spacing_mm": [2.0, 1.5, 1.5],
            "scheme": "ZScoreNormalization",
            "masked": True,
        },
        {"mirror": None},
        {"orientation": "oblique-sagittal"},
    ),
    "thick slices, resampled by themselves": (
        {"patch": [8, 32, 32], "spacing_mm": [5.0, 1.0, 1.0]},
        {"mirror": (1, 2)},
        {"shape": (15, 54, 47), "spacing_kji_mm": (4.0, 0.8, 0.9)},
    ),
    "regions, axes transposed, native order": (
        {
            "patch": [32, 16, 32],
            "spacing_mm": [1.2, 2.0, 1.3],
            "reader": "SimpleITKIO",
            "transpose": (1, 0, 2),
        },
        {"regions": True, "mirror": (0,)},
        {"orientation": "coronal"},
    ),
    "resampled by PyTorch, oblique": (
        {"patch": [16, 32, 32], "spacing_mm": [2.0, 1.5, 1.5], "resampling": TORCH},
        {"mirror": None},
        {"orientation": "oblique"},
    ),
    "two channels, each normalised its own way": (
        {
            "patch": [16, 32, 32],
            "spacing_mm": [2.0, 1.5, 1.5],
            "second_scheme": "ZScoreNormalization",
            "masked": True,
        },
        {"mirror": None},
        {"orientation": "transposed"},
    ),
    "from 0 to 1, smaller than the patch": (
        {"patch": [32, 64, 64], "spacing_mm": [2.0, 1.5, 1.5], "scheme": "RescaleTo01Normalization"},
        {"mirror": (0,)},
        {"orientation": "sagittal"},
    ),
}


def refuse_difference(case: str, results: Path, volumes: Sequence[Volume], scratch: Path) -> None:
    """Compare with nnU-Net as it is, and with its sums in float32, which tells rules from rounding."""
    export(results, with_selftest=False)
    found = ours(results, volumes, scratch / "package")
    exact = compare(case, "nnU-Net, sums in float32", found, judge(results, volumes, scratch, in_full_precision=True))
    as_is = compare(case, "nnU-Net", found, judge(results, volumes, scratch, in_full_precision=False))
    assert exact.equal >= LEAST_EQUAL
    assert exact.apart is not None
    assert exact.apart <= MOST_APART
    assert as_is.equal >= 0.99  # its own sums are in float16, and labels of random weights lie close together


@pytest.mark.parametrize("case", CASES)
def test_an_imported_model_finds_what_nnunet_finds(tmp_path, case):
    planned, trained, pictured = CASES[case]
    results = write_results(tmp_path / "nnUNetTrainer__nnUNetPlans__3d_fullres", plans(**planned), **trained)
    volumes = [blobs(**pictured)]
    if planned.get("second_scheme"):
        volumes.append(blobs(**pictured, seed=5))
    refuse_difference(case, results, volumes, tmp_path)


@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    ("case", "reader", "spacing", "scheme"),
    [
        ("T1-weighted MR of a head", real_mr, [1.6, 1.7, 1.5], "ZScoreNormalization"),
        ("CT of a head", real_ct, [2.6, 2.1, 2.1], "CTNormalization"),
    ],
)
def test_an_imported_model_finds_in_a_real_volume_what_nnunet_finds(tmp_path, case, reader, spacing, scheme):
    volume = reader(tmp_path)
    if volume is None:
        pytest.skip("DLP_LAB_TEST_DATA is not set")
    described = plans(patch=[48, 64, 64], spacing_mm=spacing, scheme=scheme)
    results = write_results(tmp_path / "nnUNetTrainer__nnUNetPlans__3d_fullres", described, mirror=None)
    refuse_difference(case, results, [volume], tmp_path)


@pytest.mark.parametrize("case", list(CASES)[:6])
def test_the_self_test_that_the_exporter_makes_is_passed(tmp_path, case):
    planned, trained, _ = CASES[case]
    results = write_results(tmp_path / "nnUNetTrainer__nnUNetPlans__3d_fullres", plans(**planned), **trained)
    exported = export(results, tmp_path / "exported")
    (tmp_path / "package").mkdir()
    imported_model(exported, Wishes(name="judged")).write(tmp_path / "package")
    assert "passes its self-test" in check_model(read_package(tmp_path / "package"))
