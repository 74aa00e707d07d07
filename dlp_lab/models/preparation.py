"""From images to a network's input: the steps of its description, in their order."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlp_lab.errors import InputUnsuitable
from dlp_lab.geometry import Geometry
from dlp_lab.large_arrays import volume_array
from dlp_lab.models.description import Crop, ModelDescription, Resample, Tiles, Whole
from dlp_lab.models.grid import (
    NetworkGrid,
    coarse_axis,
    foreground_box,
    network_grid,
    oriented_grid,
    spacing_mm,
    stretched_grid,
)
from dlp_lab.models.intensity import Scaling, apply_steps
from dlp_lab.models.locating import box_of
from dlp_lab.models.network import Network
from dlp_lab.models.resampling import to_network
from dlp_lab.models.resizing import resized
from dlp_lab.volume import Volume

FloatVolume = NDArray[np.float32]

_EDGE = 0.5
"""Voxels from the centre of the outermost one to its outer edge."""


@dataclass(frozen=True, eq=False)
class PreparedImage:
    """What a network is given.

    Attributes:
        voxels: `(channel, a, b, c)`, padded as the package's way of running needs.
        grid: Where they lie.
        scaling: From the first channel's values as they are given to the network to those of the source.
    """

    voxels: FloatVolume
    grid: NetworkGrid
    scaling: Scaling


def prepared_image(network: Network, volumes: Sequence[Volume]) -> PreparedImage:
    """Make the input of a network, padded as its way of running needs.

    Args:
        network: Loaded; its locator is run, if it has one.
        volumes: One for each channel, all on one grid.

    Raises:
        InputUnsuitable: The grids differ, it would have too many voxels, or values that are not finite.
        ModelRefused: The locator does not make what it should.
        VolumeError: The axes are too oblique to be told apart.
    """
    description = network.package.description
    for channel, volume in zip(description.input.channels, volumes, strict=True):
        if not volume.geometry.matches(volumes[0].geometry):
            raise InputUnsuitable(f"{channel.name} does not lie on the grid of the first channel; resample it first")
    located = None
    locator = description.locator
    if locator is not None:
        small = _through_steps(description, volumes, lambda looked_at: stretched_grid(looked_at, locator.size))
        oriented = oriented_grid(description, volumes[0].geometry)
        located = box_of(network.locate(small.voxels), locator, oriented.shape)
    image = _through_steps(
        description,
        volumes,
        lambda looked_at: network_grid(description, volumes[0].geometry, looked_at),
        located,
    )
    if not all(np.isfinite(plane).all() for channel_values in image.voxels for plane in channel_values):
        raise InputUnsuitable("the image has values that are not finite, of which no network makes sense")
    return _padded(image, description)


def _through_steps(
    description: ModelDescription,
    volumes: Sequence[Volume],
    grid_of: Callable[[NetworkGrid], NetworkGrid],
    located: Sequence[slice] | None = None,
) -> PreparedImage:
    """All steps, on every channel.

    Args:
        description: Of the model.
        volumes: Of its channels.
        grid_of: The network's grid, from the part of the oriented source that is looked at.
        located: That part, where a locator has found it.
    """
    grid = oriented_grid(description, volumes[0].geometry)
    oriented = grid.reorientation.grid(volumes[0].geometry)
    channels: list[NDArray[Any]] = [grid.reorientation.view(volume.voxels) for volume in volumes]
    scalings = [Scaling() for _ in volumes]
    is_own = [False] * len(volumes)
    inside: NDArray[np.bool_] | None = None
    for step in description.steps:
        if isinstance(step, Crop):
            spacing = np.linalg.norm(oriented.affine_kji_to_lps[:3, :3] @ grid.matrix, axis=0)
            together = _together(channels, step)
            box = foreground_box(together, step, spacing.tolist())
            if len(channels) > 1 and step.of == "nonzero":
                inside = together[box]
            channels, grid = [values[box] for values in channels], grid.part(box, step.reach)
        elif isinstance(step, Resample):
            if located is not None:
                channels, grid = [values[tuple(located)] for values in channels], grid.part(located, _EDGE)
            wanted = grid_of(grid)
            channels = [_resampled(values, description, step, grid, wanted, oriented) for values in channels]
            grid, is_own, inside = wanted, [True] * len(volumes), None
        else:
            for number, volume in enumerate(volumes):
                name = description.input.channels[number].name
                if not is_own[number]:
                    channels[number], is_own[number] = _own_float32(channels[number]), True
                channels[number] = apply_steps(
                    channels[number], [step], volume.modality, name, scalings[number], inside
                )
    return PreparedImage(_stacked(channels), grid, scalings[0])


def _own_float32(values: NDArray[Any]) -> FloatVolume:
    """A copy that may be changed in place."""
    own: FloatVolume = volume_array(values.shape, np.float32)
    own[...] = values
    return own


def _stacked(channels: Sequence[NDArray[Any]]) -> FloatVolume:
    """`(channel, a, b, c)`, which is the one channel itself where it can be."""
    (first, *others) = channels
    if not others and first.dtype == np.float32 and first.flags.c_contiguous:
        return first[np.newaxis]
    made: FloatVolume = volume_array((len(channels), *first.shape), np.float32)
    for into, values in zip(made, channels, strict=True):
        into[...] = values
    return made


def _together(channels: Sequence[NDArray[Any]], crop: Crop) -> NDArray[Any]:
    """Values whose foreground is that of any channel."""
    if len(channels) == 1:
        return channels[0]
    if crop.of == "nonzero":
        is_any: NDArray[np.bool_] = np.logical_or.reduce([values != 0 for values in channels])
        return is_any
    greatest: NDArray[Any] = np.maximum.reduce(channels)
    return greatest


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


def _padded(image: PreparedImage, description: ModelDescription) -> PreparedImage:
    way, grid = description.inference, image.grid
    if isinstance(way, Tiles):
        return image
    if isinstance(way, Whole):
        shape = [math.ceil(n / way.divisible_by) * way.divisible_by for n in grid.shape]
    else:
        shape = [max(n, p) for n, p in zip(grid.shape, way.patch, strict=True)]
    if tuple(shape) == grid.shape:
        return image
    start = [(n - own) // 2 for n, own in zip(shape, grid.shape, strict=True)]
    padded = volume_array((len(image.voxels), *shape), np.float32)
    padded[...] = way.pad_value
    inner = tuple(slice(s, s + n) for s, n in zip(start, grid.shape, strict=True))
    padded[(slice(None), *inner)] = image.voxels
    return PreparedImage(padded, grid.padded(shape, start), image.scaling)
