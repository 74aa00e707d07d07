"""A label map: which structure each voxel belongs to, and what the structures are called."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dlp_lab.errors import VolumeError
from dlp_lab.geometry import Geometry

SegmentationForm = Literal["binary", "labelmap", "fractional"]
"""How labels are written: a bit for each label, one number a voxel, or how surely each label is there."""


@dataclass(frozen=True)
class Code:
    """A coded concept (PS3.3 8.8), such as `Code("10200004", "SCT", "Liver")`."""

    value: str
    scheme: str
    meaning: str


@dataclass(frozen=True)
class Label:
    """A structure.

    Attributes:
        number: Its value in the voxels, from 1.
        name: For a person to read.
        category, type: What it is, of CID 7150 and CID 7151 or their like (PS3.3 C.8.20.4).
        laterality: "left" or "right" where the structure is one of a pair and `type` does not say which.
        colour_rgb: In which a viewer should show it, 0 to 255 each; None for any.
    """

    number: int
    name: str
    category: Code
    type: Code
    laterality: str | None = None
    colour_rgb: tuple[int, int, int] | None = None


@dataclass(frozen=True)
class Algorithm:
    """What made a label map, so that a reader can find it again.

    Attributes:
        name, version: Of the model or program.
        source: Who made it, or where it is described; None if unknown.
        parameters: Names and values, among them the SHA-256 of a network.
    """

    name: str
    version: str
    source: str | None = None
    parameters: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, eq=False)
class LabelMap:
    """Labels on the grid of their source.

    Attributes:
        voxels: `(k, j, i)` uint8 or uint16; 0 is background, other values are numbers of `labels`.
        geometry: Where the voxels lie.
        labels: Every structure that could be there, also those that no voxel belongs to; in order of their numbers.
        fractions: `(label, k, j, i)` uint8, 255 for certain, in the order of `labels`; None if not known.
        slice_counts: `(k, label)` how many voxels of each slice each label has, in the order of `labels`. They are
            counted once, so the voxels stay as they are.

    Raises:
        VolumeError: Shape, type or numbers do not fit each other.
    """

    voxels: NDArray[Any]
    geometry: Geometry
    labels: tuple[Label, ...]
    fractions: NDArray[np.uint8] | None = None
    slice_counts: NDArray[np.int64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.voxels.shape != self.geometry.shape:
            raise VolumeError(f"the labels have shape {self.voxels.shape}, their geometry {self.geometry.shape}")
        if self.voxels.dtype not in (np.uint8, np.uint16):
            raise VolumeError(f"labels are uint8 or uint16; got dtype {self.voxels.dtype}")
        numbers = [label.number for label in self.labels]
        if not numbers or numbers != sorted(set(numbers)) or numbers[0] < 1:
            raise VolumeError(f"labels are numbered from 1, each number once and in growing order; got {numbers}")
        object.__setattr__(self, "slice_counts", self._counted(numbers))
        if self.fractions is not None and self.fractions.shape != (len(numbers), *self.geometry.shape):
            raise VolumeError(f"{len(numbers)} labels on {self.geometry.shape} do not fit {self.fractions.shape}")

    def _counted(self, numbers: list[int]) -> NDArray[np.int64]:
        counts = np.empty((len(self.voxels), len(numbers)), np.int64)
        unknown: set[int] = set()
        for k, plane in enumerate(self.voxels):  # one by one, for bincount makes wider numbers of them
            found = np.bincount(plane.ravel(), minlength=numbers[-1] + 1)
            counts[k] = found[numbers]
            unknown.update(np.flatnonzero(found).tolist())
        unknown -= {0, *numbers}
        if unknown:
            raise VolumeError(f"voxels have labels {sorted(unknown)[:10]}, of which nothing is known")
        return counts

    @property
    def voxel_counts(self) -> tuple[int, ...]:
        """How many voxels each label has, in the order of `labels`."""
        return tuple(self.slice_counts.sum(axis=0).tolist())

    @property
    def voxel_ml(self) -> float:
        """Volume of a voxel in ml; true of a sheared grid too."""
        return float(abs(np.linalg.det(self.geometry.affine_kji_to_lps[:3, :3]))) / 1000
