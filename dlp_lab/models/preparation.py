"""From an image to a network's input: the steps of its description, in their order."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlp_lab.errors import InputUnsuitable
from dlp_lab.geometry import Geometry
from dlp_lab.models.description import Crop, ModelDescription, Resample, Tiles, Whole
from dlp_lab.models.grid import NetworkGrid, coarse_axis, foreground_box, network_grid, oriented_grid, spacing_mm
from dlp_lab.models.intensity import apply_steps
from dlp_lab.models.resampling import to_network
from dlp_lab.models.resizing import resized
from dlp_lab.volume import Volume

FloatVolume = NDArray[np.float32]


def prepared_image(description: ModelDescription, volume: Volume) -> tuple[FloatVolume, NetworkGrid]:
    """The network's input, padded as its way of running needs, and the grid it lies on.

    Raises:
        InputUnsuitable: It would have too many voxels, or values that are not finite.
        VolumeError: The axes are too oblique to be told apart.
    """
    grid = oriented_grid(description, volume.geometry)
    oriented = grid.reorientation.grid(volume.geometry)
    values: NDArray[Any] = grid.reorientation.view(volume.voxels)
    is_own = False
    for step in description.steps:
        if isinstance(step, Crop):
            spacing = np.linalg.norm(oriented.affine_kji_to_lps[:3, :3] @ grid.matrix, axis=0)
            box = foreground_box(values, step, spacing.tolist())
            values, grid = values[box], grid.part(box, step.reach)
        elif isinstance(step, Resample):
            wanted = network_grid(description, volume.geometry, grid)
            values = _resampled(values, description, step, grid, wanted, oriented)
            grid, is_own = wanted, True
        else:
            if not is_own:
                values, is_own = np.array(values, np.float32, order="C"), True
            values = apply_steps(values, [step], volume.modality)
    if not all(np.isfinite(plane).all() for plane in values):
        raise InputUnsuitable("the image has values that are not finite, of which no network makes sense")
    return _padded(values, description, grid)


def _resampled(
    values: NDArray[Any],
    description: ModelDescription,
    step: Resample,
    looked_at: NetworkGrid,
    wanted: NetworkGrid,
    oriented: Geometry,
) -> FloatVolume:
    if step.method == "resize":
        coarse = coarse_axis(
            oriented.spacing_kji_mm, spacing_mm(description.grid, oriented).tolist(), step.coarse_ratio
        )
        return resized(values, wanted.shape, step.order, coarse)
    within = NetworkGrid(wanted.reorientation, wanted.shape, wanted.matrix, wanted.offset - looked_at.offset)
    return to_network(values, within, step.order)


def _padded(image: FloatVolume, description: ModelDescription, grid: NetworkGrid) -> tuple[FloatVolume, NetworkGrid]:
    way = description.inference
    if isinstance(way, Tiles):
        return image, grid
    if isinstance(way, Whole):
        shape = [math.ceil(n / way.divisible_by) * way.divisible_by for n in grid.shape]
    else:
        shape = [max(n, p) for n, p in zip(grid.shape, way.patch, strict=True)]
    if tuple(shape) == grid.shape:
        return image, grid
    start = [(n - own) // 2 for n, own in zip(shape, grid.shape, strict=True)]
    padded = np.full(shape, way.pad_value, np.float32)
    padded[tuple(slice(s, s + n) for s, n in zip(start, grid.shape, strict=True))] = image
    return padded, grid.padded(shape, start)
