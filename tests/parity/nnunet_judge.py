"""nnU-Net's own prediction, from a NIfTI file to a NIfTI file, as the judge of ours."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import nibabel
import numpy as np
import torch
from nnunetv2.inference import predict_from_raw_data
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from nnunetv2.inference.sliding_window_prediction import compute_gaussian

from dlp_lab.volume import Volume

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True)
class Verdict:
    """What the judge found on the grid of the volume, `(k, j, i)`, and its probabilities `(channels, k, j, i)`."""

    labels: np.ndarray
    probabilities: np.ndarray


def write_nifti(volume: Volume, path: Path, voxels: np.ndarray | None = None) -> Path:
    """A volume, or other voxels on its grid, as NIfTI."""
    affine = LPS_TO_RAS @ volume.geometry.affine_kji_to_lps[:, [2, 1, 0, 3]]
    array = (volume.voxels if voxels is None else voxels).transpose(2, 1, 0)
    nibabel.save(nibabel.Nifti1Image(np.asarray(array, np.float32), affine), path)
    return path


def read_nifti(path: Path) -> np.ndarray:
    """The voxels of a file that `write_nifti` could have written, `(k, j, i)`."""
    return np.asarray(nibabel.load(path).dataobj).transpose(2, 1, 0)


def judge(results: Path, volume: Volume, scratch: Path, *, in_full_precision: bool) -> Verdict:
    """Let nnU-Net segment a volume.

    Args:
        results: The folder of a trained model.
        volume: The image.
        scratch: Where files may be written.
        in_full_precision: Logits are summed in float32; nnU-Net by itself sums them in float16.
    """
    predictor = nnUNetPredictor(device=torch.device("cpu"), perform_everything_on_device=False, allow_tqdm=False)
    predictor.initialize_from_trained_model_folder(str(results), None)
    image = write_nifti(volume, scratch / "image.nii.gz")
    reader = predictor.plans_manager.image_reader_writer_class()
    data, properties = reader.read_images([str(image)])
    with _full_precision() if in_full_precision else contextlib.nullcontext():
        labels, probabilities = predictor.predict_single_npy_array(data, properties, None, None, True)
    found = []
    for number, array in enumerate([labels, *probabilities]):
        path = scratch / f"found{number}.nii.gz"
        steps = 1 if number == 0 else 2**15  # files of labels hold integers
        reader.write_seg(np.rint(np.asarray(array, float) * steps).astype(np.uint16), str(path), properties)
        found.append(read_nifti(path) / steps)
    return Verdict(found[0].astype(int), np.stack(found[1:]))


@contextlib.contextmanager
def _full_precision() -> Iterator[None]:
    def in_single(*arguments: object, **named: object) -> torch.Tensor:
        return compute_gaussian(*arguments, **{**named, "dtype": torch.float32})

    with (
        mock.patch.object(torch, "half", torch.float32),
        mock.patch.object(predict_from_raw_data, "compute_gaussian", in_single),
    ):
        yield
