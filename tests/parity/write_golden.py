"""Write the models of `tests/golden/models` and what their makers' libraries find with them: `make parity-golden`."""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path

import numpy as np

from dlp_lab.models.importers.export_nnunet import export
from dlp_lab.volume import Volume
from tests.parity import monai_bundles, nnunet_judge, nnunet_models
from tests.parity.monai_bundles import (
    ARGMAX,
    FOREGROUND,
    INTENSITY,
    NORMALIZE,
    SIGMOID,
    SOFTMAX,
    SPACING,
    THRESHOLD,
    TINY_UNET,
    invert,
    sliding,
)
from tests.parity.volumes import blobs

GOLDEN = Path(__file__).parents[1] / "golden" / "models"
SMALL = {"shape": (11, 20, 17), "spacing_kji_mm": (2.6, 1.3, 1.5)}
KEPT = ("plans.json", "dataset.json", "export.json", ".onnx", "metadata.json", "inference.json")


def main() -> None:
    GOLDEN.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        _write_nnunet(Path(folder))
        _write_monai(Path(folder))


def _write_nnunet(scratch: Path) -> None:
    volumes = {
        "nnunet-thick-slices": blobs("oblique", (9, 24, 21), (4.5, 1.1, 1.2), seed=1),
        "nnunet-regions": blobs("coronal", **SMALL, seed=2),
    }
    results = {
        "nnunet-thick-slices": nnunet_models.write_results(
            scratch / "thick" / "nnUNetTrainer__nnUNetPlans__3d_fullres",
            nnunet_models.plans([4, 16, 16], [5.0, 1.3, 1.4], "ZScoreNormalization", masked=True, features=(2, 3)),
            mirror=(0, 2),
        ),
        "nnunet-regions": nnunet_models.write_results(
            scratch / "regions" / "nnUNetTrainer__nnUNetPlans__3d_fullres",
            nnunet_models.plans(
                [12, 8, 12], [1.6, 2.2, 1.7], reader="SimpleITKIO", transpose=(1, 0, 2), features=(2, 3)
            ),
            folds=2,
            regions=True,
            mirror=None,
        ),
    }
    for name, folder in results.items():
        export(folder, with_selftest=False)
        verdict = nnunet_judge.judge(folder, [volumes[name]], folder, in_full_precision=True)
        _write(name, folder, volumes[name], verdict.labels)


def _write_monai(scratch: Path) -> None:
    cases = {
        "monai-foreground": (
            [SPACING, INTENSITY, FOREGROUND],
            sliding([12, 12, 12], overlap=0.5, mode="gaussian"),
            [SOFTMAX, invert(nearest=False), ARGMAX],
            4,
        ),
        "monai-nearest": ([SPACING, NORMALIZE], sliding([12, 12, 8]), [SOFTMAX, ARGMAX, invert(nearest=True)], 4),
        "monai-regions": ([INTENSITY], sliding([32, 32, 32]), [SIGMOID, invert(nearest=False), THRESHOLD], 2),
    }
    for name, (before, inferer, behind, channels) in cases.items():
        folder = monai_bundles.write_bundle(scratch / name, TINY_UNET, before, inferer, behind, channels=channels)
        volume = blobs("oblique-sagittal", **SMALL, seed=3, air=-1000)
        _write(name, folder, volume, monai_bundles.judge(folder, [volume], scratch).labels)


def _write(name: str, folder: Path, volume: Volume, labels: np.ndarray) -> None:
    assert len(np.unique(labels)) > 2, f"{name}: found {np.unique(labels)}, which tells little"
    with zipfile.ZipFile(GOLDEN / f"{name}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.name.endswith(KEPT):
                inside = zipfile.ZipInfo(f"{folder.name}/{path.relative_to(folder)}")  # of 1980, so that bytes stay
                inside.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(inside, path.read_bytes())
    np.savez_compressed(
        GOLDEN / f"{name}.npz",
        image=volume.voxels,
        affine_kji_to_lps=volume.geometry.affine_kji_to_lps,
        labels=labels.astype(np.uint8),
    )
    print(f"{name}: {np.bincount(labels.ravel())} voxels of each label")


if __name__ == "__main__":
    main()
