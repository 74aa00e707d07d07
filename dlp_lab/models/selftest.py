"""Whether a model does here what it did where it was packed."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlp_lab.errors import ModelRefused
from dlp_lab.geometry import Geometry
from dlp_lab.models.inference import segment
from dlp_lab.models.network import load
from dlp_lab.models.package import ModelPackage, read_package
from dlp_lab.volume import Volume

MAX_BYTES = 2**28
_ARRAYS = ("image", "labels", "affine_kji_to_lps")


def check_model(package: ModelPackage) -> str:
    """Check all files of a package, load it, and run its self-test.

    Returns:
        What was found, in a sentence.

    Raises:
        ModelRefused: A file is not what it must be, or a label is not found as it was.
        ModelsMissing: ONNX Runtime is not installed.
    """
    description = package.description
    read_package(package.folder)
    network = load(package)
    if description.selftest is None:
        return f"{description.name} is whole and loads ({network.provider}); it has no self-test"
    image, expected, affine = _arrays(package.content(description.selftest.file), description.selftest.file)
    modality = next(iter(description.input.channels[0].modality), None)
    found = segment(network, Volume(image, Geometry(_triple(image), affine), modality=modality)).voxels
    least = 1.0
    for label in description.output.labels:
        both = int(((found == label.number) & (expected == label.number)).sum())
        of_either = int((found == label.number).sum()) + int((expected == label.number).sum())
        dice = 2 * both / of_either if of_either else 1.0
        if dice < description.selftest.dice_min:
            raise ModelRefused(
                f"self-test of {description.name}: the Dice coefficient of {label.name} is {dice:.4f}, "
                f"{description.selftest.dice_min:g} is expected; the model does not do here what it did elsewhere"
            )
        least = min(least, dice)
    return f"{description.name} passes its self-test ({network.provider}): the least Dice coefficient is {least:.4f}"


def _arrays(content: bytes, name: str) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """The arrays of a self-test; none is unpacked before its size is known, nor anything unpickled."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if sum(member.file_size for member in archive.infolist()) > MAX_BYTES:
                raise ModelRefused(f"{name} unpacks to more than {MAX_BYTES >> 20} MiB, which are not read")
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            image, labels, affine = (arrays[key] for key in _ARRAYS)
    except (zipfile.BadZipFile, KeyError, ValueError, OSError) as error:
        raise ModelRefused(f"{name} is no npz file with the arrays {', '.join(_ARRAYS)} ({error})") from None
    if image.ndim != 3 or image.dtype.kind not in "iuf" or labels.shape != image.shape:
        raise ModelRefused(f"{name}: image and labels must be numbers (k, j, i) of one shape")
    return image, labels, affine


def _triple(image: NDArray[Any]) -> tuple[int, int, int]:
    return image.shape[0], image.shape[1], image.shape[2]
