"""nnU-Net's own prediction, from a NIfTI file to a NIfTI file, as the judge of ours."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from nnunetv2.inference import predict_from_raw_data
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from nnunetv2.inference.sliding_window_prediction import compute_gaussian

from dlp_lab.volume import Volume
from tests.parity.comparison import Verdict
from tests.parity.volumes import read_nifti, write_nifti


def judge(results: Path, volumes: Sequence[Volume], scratch: Path, *, in_full_precision: bool) -> Verdict:
    """Let nnU-Net segment a volume.

    Args:
        results: The folder of a trained model.
        volumes: The image, one for each channel.
        scratch: Where files may be written.
        in_full_precision: Logits are summed in float32; nnU-Net by itself sums them in float16.
    """
    predictor = nnUNetPredictor(device=torch.device("cpu"), perform_everything_on_device=False, allow_tqdm=False)
    predictor.initialize_from_trained_model_folder(str(results), None)
    images = [write_nifti(volume, scratch / f"image{n}.nii.gz") for n, volume in enumerate(volumes)]
    reader = predictor.plans_manager.image_reader_writer_class()
    data, properties = reader.read_images([str(image) for image in images])
    with _full_precision() if in_full_precision else contextlib.nullcontext():
        labels, probabilities = predictor.predict_single_npy_array(data, properties, None, None, True)
    found = []
    for number, array in enumerate([labels, *probabilities]):
        path = scratch / f"found{number}.nii.gz"
        steps = 1 if number == 0 else 2**15  # files of labels hold integers
        reader.write_seg(np.rint(np.asarray(array, float) * steps).astype(np.uint16), str(path), properties)
        found.append(read_nifti(path) / steps)
    label_manager = predictor.label_manager
    if not label_manager.has_regions:
        return Verdict(found[0].astype(int), np.stack(found[2:]))
    by_number = sorted(zip(label_manager.regions_class_order, found[1:], strict=True), key=lambda pair: pair[0])
    return Verdict(found[0].astype(int), np.stack([probability for _, probability in by_number]))


@contextlib.contextmanager
def _full_precision() -> Iterator[None]:
    def in_single(*arguments: object, **named: object) -> torch.Tensor:
        return compute_gaussian(*arguments, **{**named, "dtype": torch.float32})

    with (
        mock.patch.object(torch, "half", torch.float32),
        mock.patch.object(predict_from_raw_data, "compute_gaussian", in_single),
    ):
        yield
