"""What programs that are not ours say of a series and of its blur.

    python -m tools.conformance                  the analytic phantom, in every orientation and modality
    python -m tools.conformance DIR [DIR ...]    real series

Prints, for each series: what `dlp-lab check` says of the blur, and how far its values are from scipy's Gaussian of the
values that dcm2niix reads in the source (stored units; rounding allows 0.5). Ends with status 1 if one is too large.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

import dlp_lab as dlp
from dlp_lab.conformance.check import check_derived
from dlp_lab.conformance.findings import CheckReport
from dlp_lab.conformance.independent_reading import read_with_dcm2niix
from dlp_lab.dicom.derived_header import Derivation
from dlp_lab.dicom.series import Series, one_series
from dlp_lab.dicom.write_image import DerivedSeries, write_derived_series

SIGMA_MM = 1.5


@dataclass(frozen=True)
class Agreement:
    """How a series and its blur compare.

    Attributes:
        report: Of `dlp-lab check`; its layer of recorded values is skipped, for no job made the series.
        stored_units: Greatest difference between the result's values and scipy's Gaussian of the source's values, as
            dcm2niix reads both, in units of the result's RescaleSlope.
    """

    report: CheckReport
    stored_units: float

    @property
    def holds(self) -> bool:
        # 0.5 is the rounding to whole stored units; the rest is the rounding of float32 within both filters, which
        # for values that span all 65 536 steps is a twentieth of one
        return self.report.holds and self.stored_units <= 0.5 + 0.05


def blur_and_compare(folder: Path, work: Path) -> Agreement:
    """Blur the series in `folder` by `SIGMA_MM`, write it, and let other programs judge.

    Args:
        folder: Holds one series, and perhaps other files.
        work: Empty folder for what is made.
    """
    series = one_series(folder)
    written = _write_blurred(series, folder, work / "derived")
    before, after = (
        read_with_dcm2niix(paths) for paths in ([header.path for header in series.headers], list(written.files))
    )
    sigma_ijk = [SIGMA_MM / mm for mm in series.geometry.spacing_kji_mm[::-1]]
    expected = ndimage.gaussian_filter(before.values_ijk.astype(np.float32), sigma_ijk, mode="nearest")
    return Agreement(
        report=check_derived(folder, work / "derived"),
        stored_units=float(np.abs(after.values_ijk - expected).max() / written.rescale.slope),
    )


def _write_blurred(series: Series, folder: Path, target: Path) -> DerivedSeries:
    target.mkdir()
    smooth = dlp.run("3dblur", dlp.read_series(folder), sigma_mm=SIGMA_MM)
    return write_derived_series(series, smooth, target, Derivation("conformance", "3dblur", f"sigma {SIGMA_MM} mm"))


def _phantoms(folder: Path) -> list[Path]:
    from tests.phantom import ORIENTATIONS, write_phantom_series

    folders = []
    for modality in ("CT", "MR", "PT"):
        for orientation in ORIENTATIONS:
            folders.append(folder / f"phantom {modality} {orientation}")
            write_phantom_series(folders[-1], modality=modality, orientation=orientation, shape=(7, 24, 32))
    return folders


def main(folders: list[Path]) -> int:
    """Print the table."""
    failed = 0
    print(f"{'series':<36} {'values':>8}  dlp-lab check")
    with tempfile.TemporaryDirectory() as made:
        for number, folder in enumerate(folders or _phantoms(Path(made))):
            work = Path(made) / f"work{number}"
            work.mkdir()
            found = blur_and_compare(folder, work)
            failed += not found.holds
            listing = ", ".join(sorted(found.report.codes)) or "holds"
            print(f"{folder.name:<36.36} {found.stored_units:>8.4f}  {listing}")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main([Path(argument) for argument in sys.argv[1:]]))
