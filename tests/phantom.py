"""The analytic phantom: a DICOM series in which every voxel's value tells where the voxel is.

value(x, y, z) = 200 + 3 x - 2 y + 4 z, rounded, x y z being LPS millimetres. It is oblique, anisotropic, of three
different lengths, away from the origin and has negative values, so that a swapped, flipped or shifted axis cannot pass
by luck. Geometry is computed here from the DICOM attributes alone, on purpose without `dlp_lab.geometry`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    UID,
    CTImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    PositronEmissionTomographyImageStorage,
    RLELossless,
    generate_uid,
)

SOP_CLASSES = {"CT": CTImageStorage, "MR": MRImageStorage, "PT": PositronEmissionTomographyImageStorage}


def _rotation(degrees_xyz: Sequence[float]) -> np.ndarray:
    x, y, z = np.radians(degrees_xyz)
    about_x = [[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]]
    about_y = [[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]]
    about_z = [[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]]
    return np.array(about_z) @ np.array(about_y) @ np.array(about_x)


def _orientation(row: Sequence[float], column: Sequence[float], turned: Sequence[float] = (0, 0, 0)) -> list[float]:
    turn = _rotation(turned)
    return [round(float(v), 12) for v in (*(turn @ np.array(row)), *(turn @ np.array(column)))]


ORIENTATIONS: dict[str, list[float]] = {
    "axial": [1, 0, 0, 0, 1, 0],
    "axial-rows-up": [1, 0, 0, 0, -1, 0],
    "axial-feet-first": [-1, 0, 0, 0, 1, 0],
    "coronal": [1, 0, 0, 0, 0, -1],
    "sagittal": [0, 1, 0, 0, 0, -1],
    "transposed": [0, 1, 0, 1, 0, 0],
    "oblique": _orientation((1, 0, 0), (0, 1, 0), (20, -10, 30)),
    "oblique-sagittal": _orientation((0, 1, 0), (0, 0, -1), (-15, 25, 5)),
}


def value_at(positions_lps_mm: np.ndarray) -> np.ndarray:
    """The phantom's value at `(..., 3)` positions, before rounding."""
    x, y, z = np.moveaxis(np.asarray(positions_lps_mm, float), -1, 0)
    return 200 + 3 * x - 2 * y + 4 * z


@dataclass(frozen=True)
class Phantom:
    """What was written, in slice order along the normal."""

    folder: Path
    files: list[Path]
    values: np.ndarray
    positions: np.ndarray
    affine_kji_to_lps: np.ndarray
    spacing_kji_mm: tuple[float, float, float]


def write_phantom_series(
    folder: Path,
    *,
    modality: str = "CT",
    shape: tuple[int, int, int] = (7, 5, 6),
    spacing_kji_mm: tuple[float, float, float] = (2.5, 0.8, 0.5),
    orientation: str | Sequence[float] = "oblique",
    origin_lps_mm: Sequence[float] = (-61.5, 38.25, -90.125),
    slice_offsets_mm: Sequence[float] | None = None,
    shear_mm_per_slice: float = 0.0,
    transfer_syntax: UID = ExplicitVRLittleEndian,
    edit: Callable[[int, Dataset], None] | None = None,
    seed: int = 0,
) -> Phantom:
    """Write a series of single-frame images and say what it holds.

    Args:
        folder: Made if absent. File names are numbers in an order that has nothing to do with the slices'.
        modality: CT (intercept -1024, signed), MR (no rescale) or PT (a slope of its own for every slice).
        shape: Slices, rows, columns.
        spacing_kji_mm: Between slices, rows and columns.
        orientation: A name of `ORIENTATIONS` or ImageOrientationPatient.
        origin_lps_mm: Centre of voxel (0, 0, 0).
        slice_offsets_mm: Distance of every slice from the first along the normal, instead of an even spacing.
        shear_mm_per_slice: Shift of every slice along the columns, as a gantry tilt makes it.
        transfer_syntax: Of the files; pixels are encoded by pydicom.
        edit: Called with the slice's index and its data set before it is written.
        seed: Of the file order.
    """
    folder.mkdir(parents=True, exist_ok=True)
    iop = ORIENTATIONS[orientation] if isinstance(orientation, str) else list(orientation)
    row, column = np.array(iop[:3], float), np.array(iop[3:], float)
    normal = np.cross(row, column)
    slices, rows, columns = shape
    offsets = np.arange(slices) * spacing_kji_mm[0] if slice_offsets_mm is None else np.asarray(slice_offsets_mm)
    origins = (
        np.asarray(origin_lps_mm, float)
        + np.outer(offsets, normal)
        + np.outer(np.arange(slices), column) * shear_mm_per_slice
    )
    j, i = np.mgrid[:rows, :columns]
    positions = (
        origins[:, None, None] + j[..., None] * spacing_kji_mm[1] * column + i[..., None] * spacing_kji_mm[2] * row
    )
    exact = value_at(positions)

    uids = {name: generate_uid(entropy_srcs=[str(folder), name, str(seed)]) for name in ("study", "series", "frame")}
    names = np.random.default_rng(seed).permutation(slices)
    files, values = [], np.empty(shape)
    for k in range(slices):
        ds = _header(modality, uids, k, folder, seed)
        ds.ImageOrientationPatient = [f"{v:.12g}" for v in iop]
        ds.ImagePositionPatient = [f"{v:.10g}" for v in origins[k]]
        ds.SliceThickness = f"{spacing_kji_mm[0]:g}"
        ds.PixelSpacing = [f"{spacing_kji_mm[1]:g}", f"{spacing_kji_mm[2]:g}"]
        slope, intercept = _rescale(modality, k)
        if "RescaleSlope" in ds:
            ds.RescaleSlope, ds.RescaleIntercept = f"{slope:g}", f"{intercept:g}"
        stored = np.rint((exact[k] - intercept) / slope).astype(np.int16)
        values[k] = stored * slope + intercept
        ds.Rows, ds.Columns = rows, columns
        ds.PixelData = stored.astype("<i2").tobytes()
        path = folder / f"{names[k]:05d}"
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        if edit is not None:
            edit(k, ds)
        _save(ds, path, transfer_syntax)
        files.append(path)

    affine = np.eye(4)
    affine[:3, 0] = (origins[-1] - origins[0]) / max(1, slices - 1) if slices > 1 else normal * spacing_kji_mm[0]
    affine[:3, 1], affine[:3, 2] = column * spacing_kji_mm[1], row * spacing_kji_mm[2]
    affine[:3, 3] = origins[0]
    return Phantom(folder, files, values, positions, affine, spacing_kji_mm)


def _rescale(modality: str, k: int) -> tuple[float, float]:
    return {"CT": (1.0, -1024.0), "MR": (1.0, 0.0), "PT": (0.5 + 0.125 * (k % 3), 0.0)}[modality]


def _header(modality: str, uids: dict[str, str], k: int, folder: Path, seed: int) -> Dataset:
    """A data set with what PS3.3 asks of the IOD, so that a checker finds no fault in the source."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"] if modality == "CT" else ["ORIGINAL", "PRIMARY"]
    ds.SOPClassUID = SOP_CLASSES[modality]
    ds.SOPInstanceUID = generate_uid(entropy_srcs=[str(folder), str(k), str(seed)])
    ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = "20240102"
    ds.StudyTime = ds.SeriesTime = ds.AcquisitionTime = ds.ContentTime = "101500"
    ds.AccessionNumber = "A1"
    ds.Modality = modality
    ds.Manufacturer = "Phantom Works"
    ds.ManufacturerModelName = "Analytic"
    ds.DeviceSerialNumber = "0007"
    ds.SoftwareVersions = "1.0"
    ds.InstitutionName = "Example Hospital"
    ds.ReferringPhysicianName = ""
    ds.StudyDescription = "Phantom study"
    ds.SeriesDescription = "Analytic phantom"
    ds.PatientName = "Phantom^Änne"
    ds.PatientID = "PHANTOM-1"
    ds.PatientBirthDate = "19700101"
    ds.PatientSex = "O"
    ds.BodyPartExamined = "CHEST"
    ds.PatientPosition = "HFS"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = uids["study"], uids["series"]
    ds.FrameOfReferenceUID = uids["frame"]
    ds.StudyID = "1"
    ds.SeriesNumber = 3
    ds.AcquisitionNumber = 1
    ds.InstanceNumber = k + 1
    ds.PositionReferenceIndicator = ""
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.BitsAllocated = ds.BitsStored = 16
    ds.HighBit, ds.PixelRepresentation = 15, 1
    ds.WindowCenter, ds.WindowWidth = "40", "400"
    ds.add_new(0x00280106, "SS", -5)  # SmallestImagePixelValue: stale once the pixels change
    ds.add_new(0x00280107, "SS", 5)
    block = ds.private_block(0x0019, "PHANTOM WORKS", create=True)
    block.add_new(0x01, "LO", "private and stale after processing")
    _ADD_MODALITY[modality](ds)
    return ds


def _add_ct(ds: Dataset) -> None:
    ds.KVP = "120"
    ds.RescaleSlope = ds.RescaleIntercept = "0"
    ds.RescaleType = "HU"


def _add_mr(ds: Dataset) -> None:
    ds.ScanningSequence, ds.SequenceVariant = "SE", "NONE"
    ds.ScanOptions, ds.MRAcquisitionType = "", "2D"
    ds.RepetitionTime, ds.EchoTime, ds.EchoTrainLength = "500", "12", "1"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "OTHER"]


def _add_pt(ds: Dataset) -> None:
    ds.RescaleSlope = ds.RescaleIntercept = "0"
    ds.Units, ds.CountsSource, ds.SeriesType = "BQML", "EMISSION", ["WHOLE BODY", "IMAGE"]
    ds.NumberOfSlices, ds.ImageIndex = 7, int(ds.InstanceNumber)
    ds.CorrectedImage = ["DECY", "ATTN"]
    ds.DecayCorrection, ds.CollimatorType, ds.FrameReferenceTime = "START", "NONE", "0"
    ds.ActualFrameDuration, ds.DecayFactor = "60000", "1"
    ds.PatientOrientationCodeSequence, ds.PatientGantryRelationshipCodeSequence = [], []
    ds.RadiopharmaceuticalInformationSequence = []
    del ds.PatientPosition  # the codes above take its place


_ADD_MODALITY: dict[str, Callable[[Dataset], Any]] = {"CT": _add_ct, "MR": _add_mr, "PT": _add_pt}


def _save(ds: Dataset, path: Path, transfer_syntax: UID) -> None:
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    if transfer_syntax.is_encapsulated:
        ds.compress(transfer_syntax, generate_instance_uid=False)
    elif not transfer_syntax.is_little_endian:
        pixels = np.frombuffer(ds.PixelData, "<i2")
        ds.PixelData = pixels.astype(">i2").tobytes()
    ds.file_meta.TransferSyntaxUID = transfer_syntax
    if "PixelData" in ds and not transfer_syntax.is_encapsulated:
        ds["PixelData"].VR = "OW"
    pydicom.dcmwrite(
        path,
        ds,
        enforce_file_format=True,
        implicit_vr=transfer_syntax.is_implicit_VR,
        little_endian=transfer_syntax.is_little_endian,
    )


def write_undecodable_series(folder: Path) -> None:
    """A series with one frame whose damage only decoding finds, so that a job is accepted and then fails."""
    damaged = write_phantom_series(folder, transfer_syntax=RLELossless).files[3]
    content = damaged.read_bytes()
    damaged.write_bytes(content[:-40] + b"\x7f" * 32 + content[-8:])
