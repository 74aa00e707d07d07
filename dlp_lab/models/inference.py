"""A network over a volume: there, through, and back to the source's grid."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from dlp_lab.errors import InputUnsuitable
from dlp_lab.label_map import Code, Label, LabelMap
from dlp_lab.models.cleaning import clean
from dlp_lab.models.description import LabelDescription, Tiles, Whole, Windows
from dlp_lab.models.grid import coarse_axis, spacing_mm
from dlp_lab.models.memory import Memory
from dlp_lab.models.network import Network
from dlp_lab.models.painting import LabelPainter
from dlp_lab.models.preparation import prepared_image
from dlp_lab.models.suitability import refuse_unsuitable
from dlp_lab.models.tiling import Block, RunNetwork, Shape, tile_blocks, tile_count, tile_shape, whole_block
from dlp_lab.models.windows import WindowAxis, rows_at_once, window_blocks, window_count
from dlp_lab.volume import Volume

FloatVolume = NDArray[np.float32]
Report = Callable[[float, str], None]


def segment(
    network: Network,
    volumes: Volume | Sequence[Volume],
    report: Report = lambda fraction, message: None,
    *,
    with_fractions: bool = False,
    memory: Memory | None = None,
) -> LabelMap:
    """Run a network that finds structures.

    Args:
        network: Loaded.
        volumes: The image; for several channels one each, in their order and on one grid. They stay untouched.
        report: Told of every pass of the network; may raise to stop between two.
        with_fractions: Whether how surely each label is there is wanted too.
        memory: What the run may take; what suits the machine if omitted.

    Returns:
        Labels on the grid of the image.

    Raises:
        InputUnsuitable: The image is not of the kind that the model was made for.
        ModelRefused: The network does not make what its description says.
    """
    description = network.package.description
    volumes = [volumes] if isinstance(volumes, Volume) else volumes
    refuse_unsuitable(description, volumes)
    volume = volumes[0]
    if with_fractions and (description.output.kind == "labels" or description.output.back_to_source == "labels"):
        raise InputUnsuitable(f"model {description.name} tells labels alone, and not how surely; ask for binary ones")
    report(0.0, "preparing the image")
    image = prepared_image(network, volumes)
    oriented = image.grid.reorientation.grid(volume.geometry)
    nearest = coarse_axis(
        spacing_mm(description.grid, oriented).tolist(), oriented.spacing_kji_mm, description.output.coarse_ratio
    )
    painter = LabelPainter(image.grid, volume.geometry.shape, description.output, with_fractions, nearest)
    for block in score_blocks(network, image.voxels, report, memory or Memory.of_machine()):
        painter.paint(block)
    clean(painter.labels, description.output)
    report(1.0, "segmented")
    labels = tuple(_label(label) for label in description.output.labels)
    return LabelMap(painter.labels, volume.geometry, labels, painter.fractions)


def score_blocks(network: Network, image: FloatVolume, report: Report, memory: Memory) -> Iterator[Block]:
    """The network's values for all of its input, block by block, in the way that its package says.

    Args:
        network: Loaded.
        image: `(channel, a, b, c)`, prepared.
        report: Told of every pass.
        memory: What the run may take.
    """
    description = network.package.description
    way = description.inference
    shape: Shape = (image.shape[1], image.shape[2], image.shape[3])
    if isinstance(way, Whole):
        report(0.05, "running the network")
        yield whole_block(network.run(image))
    elif isinstance(way, Tiles):
        tile = tile_shape(shape, way, memory.network_bytes)
        run = _counted(network.run, tile_count(shape, tile), report)
        yield from tile_blocks(image, tile, way.halo, run)
    else:
        axes = [WindowAxis.over(n, size, way) for n, size in zip(shape, way.patch, strict=True)]
        channels = description.output.channels
        held = channels + 1 if way.least_weight else channels
        rows = rows_at_once(shape, way.patch, held, memory.blended_bytes)
        run = _counted(_mirrored(network.run, way), window_count(axes, shape, rows), report)
        yield from window_blocks(image, axes, channels, rows, run, way.least_weight)


def _counted(run: RunNetwork, passes: int, report: Report) -> RunNetwork:
    """`run`, telling before each pass which it is."""
    done = 0

    def counted(image: FloatVolume, into: FloatVolume | None = None) -> FloatVolume:
        nonlocal done
        report(0.05 + 0.95 * done / passes, f"running the network, part {done + 1} of {passes}")
        done += 1
        return run(image, into)

    return counted


def _mirrored(run: RunNetwork, windows: Windows) -> RunNetwork:
    """`run`, and the mean with the results for the image mirrored along every combination of axes, mirrored back."""
    axes = windows.mirror_axes
    combinations = [[axis for bit, axis in enumerate(axes) if number >> bit & 1] for number in range(2 ** len(axes))]
    if len(combinations) == 1:
        return run
    turned: FloatVolume | None = None

    def mirrored(image: FloatVolume, into: FloatVolume | None = None) -> FloatVolume:
        nonlocal turned
        total = run(image, into)
        for mirror in combinations[1:]:
            turned = run(np.ascontiguousarray(np.flip(image, tuple(axis + 1 for axis in mirror))), turned)
            total += np.flip(turned, tuple(axis + 1 for axis in mirror))
        total /= len(combinations)
        return total

    return mirrored


def _label(label: LabelDescription) -> Label:
    category, kind = label.category, label.type
    return Label(
        label.number,
        label.name,
        Code(category.value, category.scheme, category.meaning),
        Code(kind.value, kind.scheme, kind.meaning),
        label.laterality,
        label.colour_rgb,
    )
