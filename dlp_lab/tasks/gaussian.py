"""Task `3dblur`: a 3-D Gaussian whose width is given in millimetres."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from dlp_lab.errors import Sheared
from dlp_lab.geometry import TILT_TOLERANCE_DEGREES, Geometry
from dlp_lab.kernels.edges import EdgeMode, plain_mode
from dlp_lab.kernels.gaussian import edge_fits_int16, gaussian_filter, gaussian_in_slabs, halo_slices
from dlp_lab.kernels.gaussian_weights import radius_voxels
from dlp_lab.kernels.separable import SlabConvolution
from dlp_lab.processors import threads_to_use
from dlp_lab.result_memory import result_array
from dlp_lab.tasks.task import ImageResult, Report, SlabRun, Task
from dlp_lab.volume import Volume

_Millimetres = Annotated[float, Meta(ge=0, le=1000)]


class Gaussian3D(Task, frozen=True):
    """Smooths with a Gaussian, that of `scipy.ndimage.gaussian_filter` on float32.

    The width is the same in the patient along every axis: sigma in voxels is `sigma_mm` divided by the spacing of that
    axis. Values stay in the unit of the source.
    """

    name: ClassVar[str] = "3dblur"
    title: ClassVar[str] = "3-D Gaussian blur"

    sigma_mm: Annotated[
        _Millimetres | Annotated[list[_Millimetres], Meta(min_length=3, max_length=3)],
        Meta(
            title="Sigma",
            description="Standard deviation in mm: one number, or three for the slice, row and column axis. "
            "0 leaves an axis as it is.",
            extra_json_schema={"unit": "mm"},
        ),
    ] = 1.0
    truncate: Annotated[
        float,
        Meta(gt=0, le=100, title="Truncate", description="The kernel is cut off at this many standard deviations."),
    ] = 4.0
    mode: Annotated[
        EdgeMode,
        Meta(
            title="Edge",
            description="How the volume goes on beyond its edge, as in scipy: nearest repeats the outermost voxel, "
            "constant is one value; grid-mirror, grid-wrap and grid-constant are other words for reflect, wrap and "
            "constant.",
        ),
    ] = "nearest"
    cval: Annotated[
        float,
        Meta(
            ge=-1e30,
            le=1e30,
            title="Edge value",
            description="In the unit of the voxels; only where the edge is constant.",
        ),
    ] = 0.0

    def check(self, geometry: Geometry) -> None:
        if geometry.tilt_degrees > TILT_TOLERANCE_DEGREES:
            raise Sheared(
                f"the volume is sheared by {geometry.tilt_degrees:.2f} degrees (gantry tilt), and a Gaussian along its "
                "axes would not be one in the patient; read it with --tilt resample"
            )

    def halo_slices(self, geometry: Geometry) -> int | None:
        radius = self._radius_slices(geometry)
        # wrapped round, the last slices reach the first; a wider kernel reaches all
        return None if self._wraps() or radius >= geometry.shape[0] else halo_slices(radius)

    def _wraps(self) -> bool:
        return plain_mode(self.mode) == "wrap"

    def array_for_result(self, shape: Sequence[int], dtype: np.dtype[Any]) -> NDArray[Any]:
        """Where the values of a volume of some kind of voxels go: weights have the sum 1, so they stay in its range."""
        may_be_rounded = np.can_cast(dtype, np.int16) and edge_fits_int16(self.mode, self.cval)
        return result_array(shape, may_be_rounded=may_be_rounded, threads=threads_to_use())

    def _sigma_mm(self) -> list[float]:
        return self.sigma_mm if isinstance(self.sigma_mm, list) else [self.sigma_mm] * 3

    def _sigma_kji(self, geometry: Geometry) -> list[float]:
        """In voxels."""
        return [mm / spacing for mm, spacing in zip(self._sigma_mm(), geometry.spacing_kji_mm, strict=True)]

    def run(self, volume: Volume, report: Report) -> ImageResult:
        self.check(volume.geometry)
        voxels = volume.voxels
        smoothed = gaussian_filter(
            voxels,
            self._sigma_kji(volume.geometry),
            truncate=self.truncate,
            mode=self.mode,
            threads=threads_to_use(),
            report=report,
            cval=self.cval,
            result=self.array_for_result(voxels.shape, voxels.dtype),
        )
        return self._result(volume.with_voxels(smoothed))

    def in_slabs(self, geometry: Geometry) -> SlabRun | None:
        self.check(geometry)
        sums = gaussian_in_slabs(
            geometry.shape,
            self._sigma_kji(geometry),
            truncate=self.truncate,
            mode=self.mode,
            threads=threads_to_use(),
            cval=self.cval,
        )
        return None if sums is None else _GaussianInSlabs(self, geometry, sums)

    def _result(self, smoothed: Volume) -> ImageResult:
        """What is told of the volume, or of a slab of it."""
        sigma_mm = self._sigma_mm()
        width = " x ".join(f"{mm:g}" for mm in (sigma_mm if len(set(sigma_mm)) > 1 else sigma_mm[:1]))
        return ImageResult(
            volume=smoothed,
            description=f"3D Gaussian sigma {width} mm",
            derivation_code=("113088", "DCM", "Gaussian blur"),
            # wrapped round, the last slices reach the first
            reach_slices=None if self._wraps() else self._radius_slices(smoothed.geometry),
        )

    def _radius_slices(self, geometry: Geometry) -> int:
        return radius_voxels(self._sigma_kji(geometry)[0], self.truncate)


class _GaussianInSlabs:
    """`SlabRun` of a Gaussian.

    Args:
        task: The Gaussian.
        geometry: Of the whole volume.
        sums: Makes its values.
    """

    def __init__(self, task: Gaussian3D, geometry: Geometry, sums: SlabConvolution) -> None:
        self._task = task
        self._geometry = geometry
        self._sums = sums
        self.reach_slices = task._radius_slices(geometry)

    def go_on(self, slab: Volume, report: Report) -> ImageResult:
        first, stop = self._sums.made, self._sums.made_with(len(slab.voxels))
        smoothed = self._task.array_for_result((stop - first, *slab.voxels.shape[1:]), slab.voxels.dtype)
        self._sums.take(slab.voxels, smoothed, report)
        return self._task._result(replace(slab, voxels=smoothed, geometry=self._geometry.slab(first, stop)))
