"""The analytic phantom in every ordinary hospital shape, read by dlp-lab and by its peers.

    python -m benchmarks.phantom_table

Every voxel of the phantom tells where it is, so a reader is judged by its own idea of where each voxel lies: "ok",
"refused" (ours by the code of the refusal), "several" outputs to choose from, or "WRONG n %": so many voxels are off by
more than 1.5 without an error. Peers that are not installed are left out (`pip install highdicom dicom2nifti`).
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import logging
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK
from pydicom.dataset import Dataset

import dlp_lab as dlp
from benchmarks.contest import Asked
from benchmarks.tables import Table
from dlp_lab.errors import DlpError
from tests.phantom import value_at, write_phantom_series

Placed = tuple[np.ndarray, np.ndarray]
"""Values, and the LPS positions of their voxels with one more axis."""


class SeveralOutputs(Exception):
    """A reader leaves it to its user to choose the right volume."""


SPACING = (2.5, 0.8, 0.5)
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
WRONG = 1.5


# --- readers ----------------------------------------------------------------------------------------------------------


def with_dlp_lab(folder: Path) -> Placed:
    volume = dlp.read_series(folder)
    index = np.moveaxis(np.indices(volume.geometry.shape), 0, -1)
    return volume.voxels, volume.geometry.positions_lps_mm(index)


def with_simpleitk(folder: Path) -> Placed:
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    image = reader.Execute()
    values = SimpleITK.GetArrayFromImage(image)
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    return values, _positions(values.transpose(2, 1, 0).shape, affine).transpose(2, 1, 0, 3)


def with_dcm2niix(folder: Path) -> Placed:
    from dlp_lab.conformance.independent_reading import NotOneVolume, read_with_dcm2niix

    try:
        reading = read_with_dcm2niix([path for path in folder.rglob("*") if path.is_file()])
    except NotOneVolume:
        raise SeveralOutputs from None
    return reading.values_ijk, _positions(reading.values_ijk.shape, LPS_TO_RAS @ reading.affine_ijk_to_ras)


def with_highdicom(folder: Path) -> Placed:
    import highdicom

    data_sets = [pydicom.dcmread(path) for path in sorted(folder.rglob("*")) if path.is_file()]
    volume = highdicom.get_volume_from_series(data_sets)
    return volume.array, _positions(volume.array.shape, volume.affine)


def with_dicom2nifti(folder: Path) -> Placed:
    import dicom2nifti
    import nibabel

    with tempfile.TemporaryDirectory() as made:
        dicom2nifti.dicom_series_to_nifti(folder, f"{made}/v.nii", reorient_nifti=False)
        image = nibabel.load(f"{made}/v.nii")
        values = np.asarray(image.dataobj)
        return values, _positions(values.shape, LPS_TO_RAS @ image.affine)


def _positions(shape: tuple[int, ...], affine: np.ndarray) -> np.ndarray:
    index = np.moveaxis(np.indices(shape[:3]), 0, -1)
    return np.asarray(index @ affine[:3, :3].T + affine[:3, 3])


READERS: dict[str, Callable[[Path], Placed]] = {
    "dlp-lab": with_dlp_lab,
    "SimpleITK": with_simpleitk,
    "dcm2niix": with_dcm2niix,
    "highdicom": with_highdicom,
    "dicom2nifti": with_dicom2nifti,
}


# --- cases ------------------------------------------------------------------------------------------------------------


def _phantom(folder: Path, **options: object) -> list[Path]:
    defaults: dict[str, object] = {"shape": (10, 24, 32), "orientation": "axial", "spacing_kji_mm": SPACING}
    return write_phantom_series(folder, **{**defaults, **options}).files  # type: ignore[arg-type]


def _missing(folder: Path) -> None:
    _phantom(folder)[4].unlink()


def _duplicate(folder: Path) -> None:
    files = _phantom(folder)
    ds = pydicom.dcmread(files[4])
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
    ds.save_as(folder / "again")


def _localizer(folder: Path) -> None:
    def turn(k: int, ds: Dataset) -> None:
        if k == 9:
            ds.ImageType, ds.ImageOrientationPatient = ["ORIGINAL", "PRIMARY", "LOCALIZER"], [0, 1, 0, 0, 0, -1]

    _phantom(folder, edit=turn)


def _two_series(folder: Path) -> None:
    _phantom(folder / "a", seed=1)
    _phantom(folder / "b", seed=2, shape=(6, 24, 32))


def _two_phases(folder: Path) -> None:
    first = pydicom.dcmread(_phantom(folder / "a")[0])

    def second(k: int, ds: Dataset) -> None:
        for keyword in ("SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID"):
            setattr(ds, keyword, first[keyword].value)
        ds.AcquisitionNumber = 2
        ds.PixelData = (np.frombuffer(ds.PixelData, "<i2") + 500).astype("<i2").tobytes()

    _phantom(folder / "b", edit=second)


def _empty_first_slice(folder: Path) -> None:
    """PET whose first slice has a slope of 1 because nothing is in it."""
    _phantom(folder, modality="PT", origin_lps_mm=(-3.0, 2.0, -48.0))


CASES: dict[str, Callable[[Path], object]] = {
    "axial, square pixels": lambda folder: _phantom(folder, spacing_kji_mm=(2.5, 0.8, 0.8)),
    "axial, 0.8 x 0.5 pixels": _phantom,
    "oblique": lambda folder: _phantom(folder, orientation="oblique"),
    "rows up": lambda folder: _phantom(folder, orientation="axial-rows-up"),
    "sagittal": lambda folder: _phantom(folder, orientation="sagittal"),
    "missing slice": _missing,
    "duplicate slice, new UID": _duplicate,
    "gantry tilt 12 degrees": lambda folder: _phantom(folder, shear_mm_per_slice=2.5 * np.tan(np.radians(12))),
    "variable spacing": lambda folder: _phantom(folder, slice_offsets_mm=[0, 2, 4, 6, 9, 12, 15, 19, 23, 27]),
    "localizer in the series": _localizer,
    "two series in a folder": _two_series,
    "two phases, one series": _two_phases,
    "PET, a slope for each slice": lambda folder: _phantom(folder, modality="PT"),
    "PET, near-empty first slice": _empty_first_slice,
    "single slice": lambda folder: _phantom(folder, shape=(1, 24, 32)),
}


def verdict(reader: Callable[[Path], Placed], folder: Path) -> str:
    """What a reader makes of a folder."""
    silence = io.StringIO()
    try:
        with contextlib.redirect_stdout(silence), contextlib.redirect_stderr(silence), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            values, positions = reader(folder)
    except DlpError as error:
        return error.code
    except SeveralOutputs:
        return "several"
    except Exception:  # peers refuse by whatever they raise
        return "refused"
    if values.shape != positions.shape[:3]:
        return "WRONG shape"
    wrong = float(np.mean(np.abs(np.asarray(values, float) - value_at(positions)) > WRONG))
    return "ok" if wrong == 0 else f"WRONG {wrong:.0%}"


def main() -> int:
    """Print the table; status 1 if dlp-lab is silently wrong anywhere."""
    logging.disable(logging.CRITICAL)
    SimpleITK.ProcessObject_GlobalWarningDisplayOff()
    readers = {name: reader for name, reader in READERS.items() if _is_installed(name)}
    silent, rows = 0, []
    with tempfile.TemporaryDirectory() as made:
        for number, (name, write) in enumerate(CASES.items()):
            folder = Path(made, str(number))
            write(folder)
            verdicts = [verdict(reader, folder) for reader in readers.values()]
            silent += verdicts[0].startswith("WRONG")
            rows.append((name, *verdicts))
    Table("The phantom in every shape", ("", *readers), rows).print().write(
        Asked(0, False).results / "phantom_table.json"
    )
    return int(silent > 0)


def _is_installed(reader: str) -> bool:
    return reader not in ("highdicom", "dicom2nifti") or importlib.util.find_spec(reader) is not None


if __name__ == "__main__":
    sys.exit(main())
