"""From volumes to a network's input: turned, changed and resampled in the order that the package says."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dlp_lab.errors import InputUnsuitable
from dlp_lab.models.description import Channel, ModelDescription, Step, Tiles, Whole
from dlp_lab.models.grid import NetworkGrid, network_grid, orientation_of, whole_grid
from dlp_lab.models.intensity import Scaling, apply_steps, split_at_resample
from dlp_lab.models.locating import box_of
from dlp_lab.models.network import Network
from dlp_lab.models.resampling import to_network
from dlp_lab.volume import Volume

FloatVolume = NDArray[np.float32]


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


def prepared(network: Network, volumes: Sequence[Volume]) -> PreparedImage:
    """Make the input of a network.

    Args:
        network: Loaded; its locator is run, if it has one.
        volumes: One for each channel, all on one grid.

    Raises:
        InputUnsuitable: The grids differ, values are not finite, or too many voxels would be needed.
        ModelRefused: The locator does not make what it should.
    """
    description = network.package.description
    for channel, volume in zip(description.input.channels, volumes, strict=True):
        if not volume.geometry.matches(volumes[0].geometry):
            raise InputUnsuitable(f"{channel.name} does not lie on the grid of the first channel; resample it first")
    before, _, _ = split_at_resample(description.steps)
    turn = orientation_of(description, volumes[0].geometry)
    channels = description.input.channels
    # one channel after the other is copied and changed, and only where steps ask for it
    sources = []
    for channel, volume in zip(channels, volumes, strict=True):
        oriented = turn.view(volume.voxels)
        scaling = Scaling()
        if before:
            copied = np.array(oriented, np.float32, order="C")
            oriented = apply_steps(copied, before, volume.modality, channel.name, scaling)
        sources.append(_Source(channel, oriented, volume.modality, scaling))
    located = None
    if description.locator is not None:
        small = whole_grid(description, volumes[0].geometry, description.locator.size)
        found = network.locate(_filled(description, sources, small)[0])
        located = box_of(found, description.locator, sources[0].oriented.shape)
    grid = network_grid(description, volumes[0].geometry, volumes[0].voxels, located)
    image, scaling = _filled(description, sources, grid)
    if not all(np.isfinite(plane).all() for values in image for plane in values):
        raise InputUnsuitable("the image has values that are not finite, of which no network makes sense")
    padded, grid = _padded(description, image, grid)
    return PreparedImage(padded, grid, scaling)


@dataclass(frozen=True, eq=False)
class _Source:
    """A channel on the oriented grid of the source, after the steps that come before resampling."""

    channel: Channel
    oriented: NDArray[np.float32]
    modality: str | None
    scaling: Scaling


def _filled(
    description: ModelDescription, sources: Sequence[_Source], grid: NetworkGrid
) -> tuple[FloatVolume, Scaling]:
    """All channels on a grid of the network, and the way back of the first one's values."""
    _, resample, after = split_at_resample(description.steps)
    image = np.empty((len(sources), *grid.shape), np.float32)
    scalings = []
    for values, source in zip(image, sources, strict=True):
        values[...] = to_network(source.oriented, grid, resample.order)
        scalings.append(_changed(values, after, source))
    return image, scalings[0]


def _changed(values: FloatVolume, steps: Sequence[Step], source: _Source) -> Scaling:
    scaling = Scaling(source.scaling.factor, source.scaling.shift)
    apply_steps(values, steps, source.modality, source.channel.name, scaling)
    return scaling


def _padded(description: ModelDescription, image: FloatVolume, grid: NetworkGrid) -> tuple[FloatVolume, NetworkGrid]:
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
    padded = np.full((len(image), *shape), way.pad_value, np.float32)
    inner = tuple(slice(s, s + n) for s, n in zip(start, grid.shape, strict=True))
    padded[(slice(None), *inner)] = image
    return padded, grid.padded(shape, start)
