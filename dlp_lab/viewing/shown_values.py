"""Voxels as a viewer gets them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from dlp_lab.geometry import Geometry
from dlp_lab.viewing.volume_info import ShownType, VolumeInfo
from dlp_lab.volume import Volume


def shown_type(dtype: np.dtype[Any]) -> ShownType:
    """The smallest of the types that shows all values of a dtype; float32 where none does."""
    if np.can_cast(dtype, np.int16):
        return "int16"
    if dtype == np.uint16:
        return "uint16"
    return "int32" if np.can_cast(dtype, np.int32) else "float32"


def volume_info(volume: Volume) -> VolumeInfo:
    """Describe a volume that is at hand."""
    return VolumeInfo(
        shape=volume.geometry.shape,
        affine_kji_to_lps=volume.geometry.affine_kji_to_lps.tolist(),
        dtype=shown_type(volume.voxels.dtype),
        unit=volume.unit,
        modality=volume.modality,
        warnings=list(volume.warnings),
    )


def resampled_info(info: VolumeInfo, grid: Geometry) -> VolumeInfo:
    """What is told of a volume that is shown along the planes of another grid."""
    return msgspec.structs.replace(
        info,
        shape=grid.shape,
        affine_kji_to_lps=grid.affine_kji_to_lps.tolist(),
        dtype="float32",
        slope=1.0,
        intercept=0.0,
        slice_files=[],
        has_headers=False,
        resampled=True,
    )


def shown_plane(plane: NDArray[Any], dtype: ShownType) -> memoryview:
    """A plane as it travels: bytes, little endian, row by row."""
    return np.ascontiguousarray(plane, np.dtype(dtype).newbyteorder("<")).data.cast("B")


def shown_planes(planes: Sequence[NDArray[Any]], dtype: ShownType) -> bytes:
    """Planes as they travel together: one behind the other."""
    return b"".join(shown_plane(plane, dtype) for plane in planes)
