"""Imported MONAI bundles beside MONAI itself, from a NIfTI file to the labels that it would write."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from dlp_lab.volume import Volume
from tests.parity.comparison import LEAST_EQUAL, MOST_APART, compare, ours
from tests.parity.monai_bundles import (
    ARGMAX,
    FOREGROUND,
    INTENSITY,
    KEEP_LARGEST,
    NORMALIZE,
    SEGRESNET,
    SIGMOID,
    SOFTMAX,
    SPACING,
    THRESHOLD,
    UNET,
    invert,
    judge,
    sliding,
    write_bundle,
)
from tests.parity.volumes import blobs, real_ct, real_mr

CASES: dict[str, tuple[tuple[Any, ...], dict[str, Any], dict[str, Any]]] = {
    "UNet, softmax, interpolated, arg max": (
        (UNET, [SPACING, INTENSITY], sliding([32, 32, 32], overlap=0.5), [SOFTMAX, invert(nearest=False), ARGMAX]),
        {},
        {"orientation": "oblique"},
    ),
    "SegResNet, arg max, nearest": (
        (
            SEGRESNET,
            [SPACING, NORMALIZE],
            sliding([32, 32, 16], mode="gaussian"),
            [SOFTMAX, ARGMAX, invert(nearest=True)],
        ),
        {},
        {"orientation": "coronal"},
    ),
    "UNet, cropped to the foreground": (
        (
            UNET,
            [SPACING, INTENSITY, FOREGROUND],
            sliding([32, 32, 32], overlap=0.625, mode="gaussian"),
            [SOFTMAX, invert(nearest=False), ARGMAX],
        ),
        {},
        {},
    ),
    "UNet, two channels, largest parts kept": (
        (
            UNET,
            [SPACING, NORMALIZE],
            sliding([32, 32, 32]),
            [SOFTMAX, invert(nearest=False), ARGMAX, KEEP_LARGEST],
        ),
        {"inputs": 2},
        {"orientation": "axial-feet-first"},
    ),
    "UNet, whole image, native voxels, LPS": (
        (UNET, [INTENSITY], {"_target_": "SimpleInferer"}, [ARGMAX, invert(nearest=True)]),
        {"axcodes": "LPS"},
        {"orientation": "sagittal", "shape": (20, 48, 44)},
    ),
    "UNet, sigmoid, regions, padded": (
        (
            UNET,
            [INTENSITY, SPACING],
            sliding([48, 48, 48], mode="gaussian"),
            [SIGMOID, invert(nearest=False), THRESHOLD],
        ),
        {"channels": 2},
        {"orientation": "oblique-sagittal"},
    ),
}


def refuse_difference(case: str, bundle: Path, volumes: Sequence[Volume], scratch: Path) -> None:
    found = ours(bundle, volumes, scratch / "package")
    made = compare(case, "MONAI", found, judge(bundle, volumes, scratch))
    assert made.equal >= LEAST_EQUAL
    assert made.apart is None or made.apart <= MOST_APART


@pytest.mark.parametrize("case", CASES)
def test_an_imported_bundle_finds_what_monai_finds(tmp_path, case):
    described, written, pictured = CASES[case]
    bundle = write_bundle(tmp_path / "bundle", *described, **written)
    volumes = [blobs(air=-1000, **pictured, seed=seed) for seed in range(written.get("inputs", 1))]
    refuse_difference(case, bundle, volumes, tmp_path)


@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    ("case", "reader"), [("UNet, T1-weighted MR of a head", real_mr), ("UNet, CT of a head", real_ct)]
)
def test_an_imported_bundle_finds_in_a_real_volume_what_monai_finds(tmp_path, case, reader):
    volume = reader(tmp_path)
    if volume is None:
        pytest.skip("DLP_LAB_TEST_DATA is not set")
    spacing = {**SPACING, "pixdim": [2.1, 2.2, 2.7]}
    described = CASES["UNet, softmax, interpolated, arg max"][0]
    bundle = write_bundle(tmp_path / "bundle", described[0], [spacing, INTENSITY], sliding([64, 64, 64]), described[3])
    refuse_difference(case, bundle, [volume], tmp_path)
