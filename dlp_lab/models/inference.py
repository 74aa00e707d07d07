"""A network over a volume: there, through, and back to the source's grid."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from dlp_lab.errors import InputUnsuitable
from dlp_lab.geometry import Geometry
from dlp_lab.label_map import Code, Label, LabelMap
from dlp_lab.models.description import LabelDescription, ModelDescription, Tiles, Whole, Windows
from dlp_lab.models.grid import coarse_axis, spacing_mm
from dlp_lab.models.memory import Memory
from dlp_lab.models.network import Network
from dlp_lab.models.painting import LabelPainter
from dlp_lab.models.preparation import prepared_image
from dlp_lab.models.tiling import Block, RunNetwork, Shape, tile_blocks, tile_count, tile_shape, whole_block
from dlp_lab.models.windows import WindowAxis, rows_at_once, window_blocks, window_count
from dlp_lab.volume import Volume

FloatVolume = NDArray[np.float32]
Report = Callable[[float, str], None]


def refuse_geometry(description: ModelDescription, geometry: Geometry) -> None:
    """Refuse a grid that the model was not made for.

    Raises:
        InputUnsuitable: The message says what was expected.
    """
    limits, spacing = description.constraints, geometry.spacing_kji_mm
    shown = " x ".join(f"{mm:.3g}" for mm in spacing)
    if limits.spacing_max_mm is not None and max(spacing) > limits.spacing_max_mm * (1 + 1e-3):
        raise InputUnsuitable(
            f"model {description.name} takes voxels of at most {limits.spacing_max_mm:g} mm, and those of the series "
            f"are {shown} mm; choose a finer series"
        )
    if limits.spacing_min_mm is not None and min(spacing) < limits.spacing_min_mm * (1 - 1e-3):
        raise InputUnsuitable(
            f"model {description.name} takes voxels of at least {limits.spacing_min_mm:g} mm, and those of the series "
            f"are {shown} mm; choose a coarser series"
        )
    if limits.min_extent_mm is not None:
        extents = sorted(n * mm for n, mm in zip(geometry.shape, spacing, strict=True))
        needed = sorted(limits.min_extent_mm)
        if any(extent < least for extent, least in zip(extents, needed, strict=True)):
            covered = " x ".join(f"{mm:.0f}" for mm in extents)
            wanted = " x ".join(f"{mm:g}" for mm in needed)
            raise InputUnsuitable(
                f"model {description.name} needs {wanted} mm of the body; the series covers {covered}"
            )


def refuse_modality(description: ModelDescription, modality: str | None) -> None:
    """Refuse images of another modality than the model was trained on.

    Raises:
        InputUnsuitable: The message names both.
    """
    known = description.input.channels[0].modality
    if known and modality not in known:
        raise InputUnsuitable(
            f"model {description.name} is made for {' and '.join(known)}; the series is {modality or 'of no modality'}"
        )


def segment(
    network: Network,
    volume: Volume,
    report: Report = lambda fraction, message: None,
    *,
    with_fractions: bool = False,
    memory: Memory | None = None,
) -> LabelMap:
    """Run a network on a volume.

    Args:
        network: Loaded.
        volume: The image; it stays untouched.
        report: Told of every pass of the network; may raise to stop between two.
        with_fractions: Whether how surely each label is there is wanted too.
        memory: What the run may take; what suits the machine if omitted.

    Returns:
        Labels on the grid of `volume`.

    Raises:
        InputUnsuitable: The image is not of the kind that the model was made for.
        ModelRefused: The network does not make what its description says.
    """
    description = network.package.description
    refuse_geometry(description, volume.geometry)
    refuse_modality(description, volume.modality)
    if with_fractions and (description.output.kind == "labels" or description.output.back_to_source == "labels"):
        raise InputUnsuitable(f"model {description.name} tells labels alone, and not how surely; ask for binary ones")
    report(0.0, "preparing the image")
    image, grid = prepared_image(description, volume)
    oriented = grid.reorientation.grid(volume.geometry)
    nearest = coarse_axis(
        spacing_mm(description.grid, oriented).tolist(), oriented.spacing_kji_mm, description.output.coarse_ratio
    )
    painter = LabelPainter(grid, volume.geometry.shape, description.output, with_fractions, nearest)
    for block in _blocks(network, image, report, memory or Memory.of_machine()):
        painter.paint(block)
    report(1.0, "segmented")
    labels = tuple(_label(label) for label in description.output.labels)
    return LabelMap(painter.labels, volume.geometry, labels, painter.fractions)


def _blocks(network: Network, image: FloatVolume, report: Report, memory: Memory) -> Iterator[Block]:
    description = network.package.description
    way = description.inference
    shape: Shape = (image.shape[0], image.shape[1], image.shape[2])
    if isinstance(way, Whole):
        report(0.05, "running the network")
        yield whole_block(network.run(image))
    elif isinstance(way, Tiles):
        tile = tile_shape(shape, way, memory.network_bytes)
        run = _counted(network.run, tile_count(shape, tile), report)
        yield from tile_blocks(image, tile, way.halo, run)
    else:
        axes = [WindowAxis.over(n, size, way) for n, size in zip(shape, way.patch, strict=True)]
        output = description.output
        channels = output.labels[-1].number + 1 if output.kind == "softmax" else len(output.labels)
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
            turned = run(np.ascontiguousarray(np.flip(image, tuple(mirror))), turned)
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
