"""Task `3dblur`: a 3-D Gaussian whose width is given in millimetres."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import numpy as np
from msgspec import Meta

from dlp_lab.errors import Sheared
from dlp_lab.geometry import TILT_TOLERANCE_DEGREES, Geometry
from dlp_lab.kernels.edges import EdgeMode, plain_mode
from dlp_lab.kernels.gaussian import gaussian_filter, halo_slices, radius_voxels
from dlp_lab.processors import threads_to_use
from dlp_lab.result_memory import result_array
from dlp_lab.tasks.task import ImageResult, Report, Task
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
            title="Value beyond the edge",
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
        radius = radius_voxels(self._sigma_kji(geometry)[0], self.truncate)
        # wrapped round, the last slices reach the first; a wider kernel reaches all
        return None if self._wraps() or radius >= geometry.shape[0] else halo_slices(radius)

    def _wraps(self) -> bool:
        return plain_mode(self.mode) == "wrap"

    def _may_be_rounded(self, dtype: np.dtype[Any]) -> bool:
        """Whether no value of the result leaves the range of int16."""
        is_beyond = plain_mode(self.mode) == "constant"
        return np.can_cast(dtype, np.int16) and (not is_beyond or -(2**15) <= self.cval < 2**15)

    def _sigma_mm(self) -> list[float]:
        return self.sigma_mm if isinstance(self.sigma_mm, list) else [self.sigma_mm] * 3

    def _sigma_kji(self, geometry: Geometry) -> list[float]:
        """In voxels."""
        return [mm / spacing for mm, spacing in zip(self._sigma_mm(), geometry.spacing_kji_mm, strict=True)]

    def run(self, volume: Volume, report: Report) -> ImageResult:
        self.check(volume.geometry)
        sigma_mm, sigma_kji = self._sigma_mm(), self._sigma_kji(volume.geometry)
        smoothed = gaussian_filter(
            volume.voxels,
            sigma_kji,
            truncate=self.truncate,
            mode=self.mode,
            threads=threads_to_use(),
            report=report,
            cval=self.cval,
            result=result_array(volume.voxels.shape, may_be_rounded=self._may_be_rounded(volume.voxels.dtype)),
        )
        width = " x ".join(f"{mm:g}" for mm in (sigma_mm if len(set(sigma_mm)) > 1 else sigma_mm[:1]))
        return ImageResult(
            volume=volume.with_voxels(smoothed),
            description=f"3D Gaussian sigma {width} mm",
            derivation_code=("113088", "DCM", "Gaussian blur"),
            # wrapped round, the last slices reach the first
            reach_slices=None if self._wraps() else radius_voxels(sigma_kji[0], self.truncate),
        )
