"""A label map: which structure each voxel belongs to, and what the structures are called."""

from __future__ import annotations

from dataclasses import dataclass
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

    Raises:
        VolumeError: Shape, type or numbers do not fit each other.
    """

    voxels: NDArray[Any]
    geometry: Geometry
    labels: tuple[Label, ...]
    fractions: NDArray[np.uint8] | None = None

    def __post_init__(self) -> None:
        if self.voxels.shape != self.geometry.shape:
            raise VolumeError(f"the labels have shape {self.voxels.shape}, their geometry {self.geometry.shape}")
        if self.voxels.dtype not in (np.uint8, np.uint16):
            raise VolumeError(f"labels are uint8 or uint16; got dtype {self.voxels.dtype}")
        numbers = [label.number for label in self.labels]
        if not numbers or numbers != sorted(set(numbers)) or numbers[0] < 1:
            raise VolumeError(f"labels are numbered from 1, each number once and in growing order; got {numbers}")
        unknown = set(np.flatnonzero(self.voxel_counts())) - {0, *numbers}
        if unknown:
            raise VolumeError(f"voxels have labels {sorted(unknown)[:10]}, of which nothing is known")
        if self.fractions is not None and self.fractions.shape != (len(numbers), *self.geometry.shape):
            raise VolumeError(f"{len(numbers)} labels on {self.geometry.shape} do not fit {self.fractions.shape}")

    def voxel_counts(self) -> NDArray[np.int64]:
        """How many voxels have each value, from 0 to the greatest that occurs."""
        counts = np.zeros(int(self.voxels.max(initial=0)) + 1, np.int64)
        for plane in self.voxels:  # one by one, for bincount makes wider numbers of them
            counts += np.bincount(plane.ravel(), minlength=len(counts))
        return counts

    @property
    def voxel_ml(self) -> float:
        """Volume of a voxel in ml; true of a sheared grid too."""
        return float(abs(np.linalg.det(self.geometry.affine_kji_to_lps[:3, :3]))) / 1000
