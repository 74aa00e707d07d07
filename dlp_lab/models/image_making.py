"""A network whose result is an image: there, through, and back to the source's voxels."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dlp_lab.large_arrays import volume_array
from dlp_lab.models.description import ModelDescription, NativeGrid, Tiles
from dlp_lab.models.grid import NetworkGrid, oriented_grid
from dlp_lab.models.inference import Report, score_blocks
from dlp_lab.models.memory import Memory
from dlp_lab.models.network import Network
from dlp_lab.models.preparation import prepared_image
from dlp_lab.models.resampling import to_network
from dlp_lab.models.suitability import refuse_unsuitable
from dlp_lab.models.tiling import Block
from dlp_lab.volume import Volume

FloatVolume = NDArray[np.float32]


def make_image(
    network: Network,
    volumes: Volume | Sequence[Volume],
    report: Report = lambda fraction, message: None,
    *,
    memory: Memory | None = None,
) -> Volume:
    """Run a network that makes an image.

    Args:
        network: Loaded; its output is of kind "image".
        volumes: The image; for several channels one each, in their order and on one grid. They stay untouched.
        report: Told of every pass of the network; may raise to stop between two.
        memory: What the run may take; what suits the machine if omitted.

    Returns:
        `(k, j, i)` float32 values on the grid of the first channel, in the unit that the package says, else in its.

    Raises:
        InputUnsuitable: The image is not of the kind that the model was made for.
        ModelRefused: The network does not make what its description says.
    """
    description = network.package.description
    volumes = [volumes] if isinstance(volumes, Volume) else volumes
    refuse_unsuitable(description, volumes)
    report(0.0, "preparing the image")
    image = prepared_image(network, volumes)
    made = volume_array(image.grid.shape, np.float32)
    for block in score_blocks(network, image.voxels, report, memory or Memory.of_machine()):
        _take_over(made, block)
    if description.output.undo_scaling:
        made *= np.float32(image.scaling.factor)
        made += np.float32(image.scaling.shift)
    voxels = _on_source(made, image.grid, volumes[0].voxels.shape)
    report(1.0, "made")
    unit = description.output.unit or volumes[0].unit
    return Volume(voxels, volumes[0].geometry, unit, volumes[0].modality, volumes[0].source_series_uid)


def reach_slices(description: ModelDescription, volume: Volume) -> int | None:
    """How many slices to either side a slice of the result depends on; None for all, or where it is not known."""
    way = description.inference
    if not isinstance(way, Tiles) or not isinstance(description.grid, NativeGrid):
        return None
    return way.halo[oriented_grid(description, volume.geometry).reorientation.permutation.index(0)]


def _take_over(made: FloatVolume, block: Block) -> None:
    """Copy the part of the result that a block owns."""
    inner, outer = [], []
    for axis, start in enumerate(block.start):
        end = start + block.scores.shape[axis + 1]
        first = max(start, math.ceil(max(block.owned_from[axis], start)))
        last = min(end, math.ceil(min(block.owned_to[axis], end)))
        inner.append(slice(first - start, last - start))
        outer.append(slice(first, last))
    made[tuple(outer)] = block.scores[0][tuple(inner)]


def _on_source(made: FloatVolume, grid: NetworkGrid, source_shape: tuple[int, ...]) -> FloatVolume:
    """The values at the source's voxels, linear between the network's, constant beyond its outermost."""
    voxels = volume_array(source_shape, np.float32)
    oriented = grid.reorientation.view(voxels)
    into = np.asarray(np.linalg.inv(grid.matrix), np.float64)
    a, b, c = oriented.shape
    ends = [grid.ends(axis) for axis in range(3)]
    first = np.asarray([start for start, _ in ends])
    back = NetworkGrid(grid.reorientation, (a, b, c), into, -into @ grid.offset - first)
    oriented[...] = to_network(made[tuple(slice(start, last + 1) for start, last in ends)], back, 1)
    return voxels
