"""Whether a model does here what it did where it was packed."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlp_lab.errors import ModelRefused
from dlp_lab.geometry import Geometry
from dlp_lab.models.description import ModelDescription
from dlp_lab.models.image_making import make_image
from dlp_lab.models.inference import segment
from dlp_lab.models.network import Network, load
from dlp_lab.models.package import ModelPackage, read_package
from dlp_lab.volume import Volume

MAX_BYTES = 2**28


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
    is_image = description.output.kind == "image"
    arrays = _arrays(package.content(description.selftest.file), description, "result" if is_image else "labels")
    modalities = [next(iter(channel.modality), None) for channel in description.input.channels]
    volumes = [
        Volume(image, Geometry(_triple(image), arrays.affine_kji_to_lps), modality=modality)
        for image, modality in zip(arrays.images, modalities, strict=True)
    ]
    found = _image_agreement(network, volumes, arrays) if is_image else _label_agreement(network, volumes, arrays)
    return f"{description.name} passes its self-test ({network.provider}): {found}"


@dataclass(frozen=True, eq=False)
class _Arrays:
    """Of a self-test: `(k, j, i)` of each channel, and what comes out of them."""

    images: tuple[NDArray[Any], ...]
    expected: NDArray[Any]
    affine_kji_to_lps: NDArray[Any]


def _label_agreement(network: Network, volumes: list[Volume], arrays: _Arrays) -> str:
    description = network.package.description
    assert description.selftest is not None
    found, expected = segment(network, volumes).voxels, arrays.expected
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
    return f"the least Dice coefficient is {least:.4f}"


def _image_agreement(network: Network, volumes: list[Volume], arrays: _Arrays) -> str:
    description = network.package.description
    assert description.selftest is not None
    off = float(np.abs(make_image(network, volumes).voxels - arrays.expected).max())
    allowed = description.selftest.tolerance * float(np.ptp(arrays.expected))
    if not off <= allowed:
        raise ModelRefused(
            f"self-test of {description.name}: a value is off by {off:.4g}, at most {allowed:.4g} is expected; the "
            "model does not do here what it did elsewhere"
        )
    return f"values are off by {off:.3g} at most"


def _arrays(content: bytes, description: ModelDescription, wanted: str) -> _Arrays:
    """The arrays of a self-test; none is unpacked before its size is known, nor anything unpickled."""
    assert description.selftest is not None
    name, channels = description.selftest.file, len(description.input.channels)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if sum(member.file_size for member in archive.infolist()) > MAX_BYTES:
                raise ModelRefused(f"{name} unpacks to more than {MAX_BYTES >> 20} MiB, which are not read")
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            image, expected, affine = (arrays[key] for key in ("image", wanted, "affine_kji_to_lps"))
    except (zipfile.BadZipFile, KeyError, ValueError, OSError) as error:
        raise ModelRefused(
            f"{name} is no npz file with the arrays image, {wanted} and affine_kji_to_lps ({error})"
        ) from None
    images = image[np.newaxis] if image.ndim == 3 else image
    fits = images.ndim == 4 and len(images) == channels and expected.shape == images.shape[1:]
    if not fits or image.dtype.kind not in "iuf":
        raise ModelRefused(f"{name}: image must be numbers (k, j, i) of {channels} channels, {wanted} of their shape")
    return _Arrays(tuple(images), expected, affine)


def _triple(image: NDArray[Any]) -> tuple[int, int, int]:
    return image.shape[0], image.shape[1], image.shape[2]
