"""A volume: voxels with their place in the patient and their unit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlp_lab.errors import VolumeError
from dlp_lab.geometry import Geometry
from dlp_lab.processors import each_in_parts
from dlp_lab.volume_html import volume_html

_SLAB_BYTES = 2**20


@dataclass(frozen=True, eq=False)
class Volume:
    """An image volume in real-world values.

    Attributes:
        voxels: `(k, j, i)` array in the unit named by `unit`, never in stored units.
        geometry: Where the voxels lie; of the same shape.
        unit: "HU", "BQML", ...; None where the modality has none, as MR.
        modality: DICOM Modality ("CT", "MR", "PT"), or None if unknown.
        source_series_uid: SeriesInstanceUID this volume comes from, or None.
        warnings: Sentences about what was noticed and accepted while reading.

    Raises:
        VolumeError: Shape and geometry disagree, or the voxels are not real numbers.
    """

    voxels: NDArray[Any]
    geometry: Geometry
    unit: str | None = None
    modality: str | None = None
    source_series_uid: str | None = None
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.voxels.shape != self.geometry.shape:
            raise VolumeError(
                f"the voxels have shape {self.voxels.shape}, their geometry {self.geometry.shape}; "
                "both are counted (slice, row, column)"
            )
        if self.voxels.dtype.kind not in "iuf":
            raise VolumeError(f"voxels are whole or real numbers; got dtype {self.voxels.dtype}")

    def with_voxels(self, voxels: NDArray[Any]) -> Volume:
        """The same place, unit and origin with other values."""
        return replace(self, voxels=voxels)

    def value_range(self) -> tuple[float, float]:
        """Least and greatest value."""
        # both of a few slices at once, while they are in the processor's cache
        step = max(1, _SLAB_BYTES // max(1, self.voxels[:1].nbytes))
        slabs = [self.voxels[first : first + step] for first in range(0, len(self.voxels), step)]
        ranges = each_in_parts(lambda number: (np.min(slabs[number]), np.max(slabs[number])), len(slabs))
        return float(np.min([low for low, _ in ranges])), float(np.max([high for _, high in ranges]))

    def _repr_html_(self) -> str:
        """In a notebook: the middle planes and the geometry, so its output holds pixels; `repr` holds none."""
        return volume_html(self.voxels, self.geometry, self.unit, self.modality, self.warnings)

    def __repr__(self) -> str:
        size = " x ".join(str(n) for n in self.geometry.shape)
        spacing = " x ".join(f"{mm:.4g}" for mm in self.geometry.spacing_kji_mm)
        unit = f" in {self.unit}" if self.unit else ""
        return f"<Volume {size} (slices x rows x columns), {spacing} mm, {self.voxels.dtype}{unit}>"


def refuse_other_than_volumes(given: Mapping[str, object]) -> None:
    """For doors to which a folder is easily given instead.

    Args:
        given: Arguments by name; None stands for one that was not given.

    Raises:
        VolumeError: One is something else than a volume; the message tells how to get one.
    """
    for name, one in given.items():
        if one is not None and not isinstance(one, Volume):
            raise VolumeError(f"{name} is of type {type(one).__name__}; give a volume, such as dlp.read_series(folder)")
