"""A model package: a folder with `model.json` and the networks it names, checked before anything of it is run."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import msgspec

from dlp_lab.errors import ModelRefused
from dlp_lab.geometry import patient_axes
from dlp_lab.models.description import (
    CentredGrid,
    Crop,
    Grid,
    ModelDescription,
    PiecewiseLinear,
    Resample,
    SpacedGrid,
    Windows,
)
from dlp_lab.models.onnx_guard import refuse_unsafe_network

DESCRIPTION = "model.json"
MAX_DESCRIPTION_BYTES = 2**20
MAX_FILE_BYTES = 2 * 2**30
"""Of one file; Protocol Buffers hold no more."""


@dataclass(frozen=True)
class ModelPackage:
    """A package that may be run.

    Attributes:
        folder: Where its files are.
        description: What `model.json` says.
        sha256: Of `model.json`, which names the hashes of all other files, and so of the whole.
    """

    folder: Path
    description: ModelDescription
    sha256: str

    def content(self, name: str) -> bytes:
        """The bytes of a file of the package, which are those that it was checked for.

        Raises:
            ModelRefused: The file is absent, too large, or another than the description says.
        """
        expected = self.description.sha256.get(name)
        if expected is None:
            raise ModelRefused(f"{DESCRIPTION} gives no SHA-256 for {name}; add it to sha256")
        found = _read(self.folder, name, MAX_FILE_BYTES)
        actual = hashlib.sha256(found).hexdigest()
        if actual != expected:
            raise ModelRefused(
                f"{name} has the SHA-256 {actual[:12]}..., {DESCRIPTION} says {expected[:12]}...; "
                "the file was changed or damaged: get the package again"
            )
        return found

    def networks(self) -> list[bytes]:
        """The networks of all folds, checked.

        Raises:
            ModelRefused: As `content`; also when one is not to be run.
        """
        return [self.network(name) for name in self.description.folds]

    def network(self, name: str) -> bytes:
        """One network, checked.

        Raises:
            ModelRefused: As `networks`.
        """
        content = self.content(name)
        refuse_unsafe_network(content, name)
        return content


def read_description(folder: Path) -> ModelPackage:
    """Read `model.json` alone; the other files are checked when their content is asked for.

    Raises:
        ModelRefused: It is absent, not JSON, has an unknown key, or contradicts itself; the message names the key.
    """
    content = _read(folder, DESCRIPTION, MAX_DESCRIPTION_BYTES)
    try:
        description = msgspec.json.decode(content, type=ModelDescription)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ModelRefused(f"{DESCRIPTION}: {error}") from None
    _refuse_contradictions(description)
    return ModelPackage(folder, description, hashlib.sha256(content).hexdigest())


def read_package(folder: Path) -> ModelPackage:
    """Read a package, all files of it.

    Raises:
        ModelRefused: As `read_description` and `ModelPackage.networks`.
    """
    package = read_description(folder)
    package.networks()
    if package.description.locator is not None:
        package.network(package.description.locator.file)
    selftest = package.description.selftest
    if selftest is not None:
        package.content(selftest.file)
    return package


def _refuse_contradictions(description: ModelDescription) -> None:
    letters = description.orientation
    if letters is not None and abs(patient_axes(letters)).sum(axis=1).max() > 1:
        raise ModelRefused(f"{DESCRIPTION}: orientation {letters} names a patient axis twice; give one of each, as LIA")
    if isinstance(description.grid, CentredGrid) and letters is None:
        raise ModelRefused(f"{DESCRIPTION}: a centred grid needs an orientation, such as RAS")
    resamplings = sum(isinstance(step, Resample) for step in description.steps)
    if resamplings != 1:
        raise ModelRefused(f"{DESCRIPTION}: steps must hold resample exactly once; got it {resamplings} times")
    if sum(isinstance(step, Crop) for step in description.steps) > 1:
        raise ModelRefused(f"{DESCRIPTION}: steps may hold crop once")
    if sorted(description.axis_order) != [0, 1, 2] or (letters is not None and description.axis_order != (0, 1, 2)):
        raise ModelRefused(f"{DESCRIPTION}: axis_order names each of 0, 1 and 2 once, and only without an orientation")
    for step in description.steps:
        if isinstance(step, Resample) and step.method == "resize" and _is_placed(description.grid):
            raise ModelRefused(f"{DESCRIPTION}: method resize needs a grid that keeps the edges of the source")
        if isinstance(step, PiecewiseLinear) and (
            len(step.from_values) != len(step.to_values) or any(b <= a for a, b in pairwise(step.from_values))
        ):
            raise ModelRefused(f"{DESCRIPTION}: piecewise_linear needs as many values to as from, the latter growing")
    numbers = [label.number for label in description.output.labels]
    if numbers != sorted(set(numbers)):
        raise ModelRefused(f"{DESCRIPTION}: labels must be numbered in growing order, each once; got {numbers}")
    if description.locator is not None and _crops(description):
        raise ModelRefused(f"{DESCRIPTION}: crop and locator both say where to look; give one of them")
    if description.locator is not None and description.output.kind != "softmax":
        raise ModelRefused(f"{DESCRIPTION}: a locator needs an output of kind softmax, as its own is taken for one")
    if description.output.kind == "image":
        _refuse_contradictions_of_image(description)
    elif not description.output.labels:
        raise ModelRefused(f"{DESCRIPTION}: an output of kind {description.output.kind} needs its labels")
    order = description.output.regions_order
    if order and (description.output.kind != "sigmoid_regions" or sorted(order) != numbers):
        raise ModelRefused(f"{DESCRIPTION}: regions_order must name each label of the regions once; got {list(order)}")
    if description.output.kind == "labels" and isinstance(description.inference, Windows):
        raise ModelRefused(f"{DESCRIPTION}: labels cannot be blended; give the output before its arg max")
    channels = [channel.name for channel in description.input.channels]
    if len(set(channels)) < len(channels):
        raise ModelRefused(f"{DESCRIPTION}: every input channel needs a name of its own; got {', '.join(channels)}")


def _refuse_contradictions_of_image(description: ModelDescription) -> None:
    output = description.output
    if output.labels or output.largest_component or output.fill_holes:
        raise ModelRefused(f"{DESCRIPTION}: an output of kind image has no labels, and nothing is done to them")
    if _crops(description) or description.locator is not None or isinstance(description.grid, CentredGrid):
        raise ModelRefused(
            f"{DESCRIPTION}: an image has a value at every voxel of its source; leave out crop and locator, and take a "
            "grid that covers the source: native, spacing or stretched"
        )
    if output.undo_scaling and any(isinstance(step, PiecewiseLinear) for step in description.steps):
        raise ModelRefused(f"{DESCRIPTION}: undo_scaling cannot undo piecewise_linear")
    if output.undo_scaling and output.unit is not None:
        raise ModelRefused(
            f"{DESCRIPTION}: values that come back to the source's scale are in its unit; leave out unit"
        )


def _crops(description: ModelDescription) -> bool:
    return any(isinstance(step, Crop) for step in description.steps)


def _is_placed(grid: Grid) -> bool:
    return isinstance(grid, CentredGrid) or (isinstance(grid, SpacedGrid) and grid.align != "edges")


def _read(folder: Path, name: str, limit: int) -> bytes:
    path = folder / name
    try:
        if path.is_symlink() or not path.is_file():
            raise ModelRefused(f"the package has no file {name}; it must lie beside {DESCRIPTION}, and be no link")
        if path.stat().st_size > limit:
            raise ModelRefused(f"{name} has more than {limit} bytes, which are not read")
        return path.read_bytes()
    except OSError as error:
        raise ModelRefused(f"{name} cannot be read: {error.strerror}") from None
