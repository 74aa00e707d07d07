"""What every slice must be, and what the slices of one series must share, before they can be stacked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import attrgetter

import numpy as np

from dlp_lab.dicom.header import Header
from dlp_lab.dicom.pixel_data import check_pixel_element, is_padded, present_pixels
from dlp_lab.errors import (
    DicomError,
    Malformed,
    MixedGrid,
    MixedOrientation,
    NoGeometry,
    NotGrayscale,
    TooLarge,
    UnsupportedPixels,
    UnsupportedSopClass,
)

ORIENTATION_TOLERANCE = 1e-3
"""Scanners write direction cosines that differ by 1e-4 between the slices of one series."""
GREYSCALE = ("MONOCHROME1", "MONOCHROME2")
MAX_SLICE_BYTES = 512 * 2**20
MAX_SERIES_BYTES = 8 * 2**30

_LEAST_SLOPE = float(np.finfo(np.float32).tiny)
"""Values with a smaller one are not told apart in float32."""


_MOSTLY_EQUAL = attrgetter(
    "rows",
    "columns",
    "sop_class_uid",
    "frame_of_reference_uid",
    "photometric_interpretation",
    "has_rescale",
    "unit",
    "signed",
    "bits_allocated",
    "pixel_spacing_mm",
    "orientation",
)
"""What slices must share, some of it within a tolerance: where it is equal, as nearly always, no more need be asked."""


def check_slices(headers: Sequence[Header], warnings: list[str], *, with_pixels: bool = True) -> None:
    """Refuse what cannot be a slice of one volume; note in `warnings` what is odd and accepted.

    Afterwards position, orientation and pixel spacing of every header are known.

    Raises:
        DicomError: The class tells what is wrong, the message names file and tag.
    """
    for header in headers:
        try:
            _check_slice(header, with_pixels)
        except DicomError as error:
            error.name_file(header.path.name)
            raise
    total = sum(header.slice_bytes for header in headers)
    if total > MAX_SERIES_BYTES:
        raise TooLarge(
            f"the series declares {total / 2**30:.1f} GiB of pixels; up to {MAX_SERIES_BYTES >> 30} GiB are read"
        )
    _check_common(headers)
    _note_oddities(headers, warnings)


def _check_slice(header: Header, with_pixels: bool) -> None:
    _check_kind(header)
    if with_pixels:
        present_pixels(header)  # first, for a header that was cut off lacks much else
    _check_pixels(header)
    _check_place(header)
    if with_pixels:
        check_pixel_element(header)


def _check_kind(header: Header) -> None:
    name = header.name
    if not header.is_of_readable_kind or (header.frame is None and header.frames != 1):
        raise UnsupportedSopClass(
            f"{name} is {header.sop_class_uid.name} with {header.frames} frames; CT, MR or PET images are needed, of "
            "one frame or enhanced multi-frame"
        )
    if header.samples_per_pixel != 1 or header.photometric_interpretation not in GREYSCALE:
        raise NotGrayscale(
            f"{name}: PhotometricInterpretation (0028,0004) is {header.photometric_interpretation or 'absent'}, "
            f"with {header.samples_per_pixel} samples per pixel; greyscale images are needed"
        )
    if "MOSAIC" in header.image_type:
        raise UnsupportedSopClass(f"{name} is a mosaic (ImageType), many slices in one image; convert it first")


def _check_pixels(header: Header) -> None:
    name = header.name
    if header.has_modality_lut:
        raise UnsupportedPixels(f"{name} maps its values by a ModalityLUTSequence (0028,3000), which is not read")
    if header.bits_allocated not in (8, 16, 32) or not 0 < header.bits_stored <= header.bits_allocated:
        raise UnsupportedPixels(
            f"{name}: {header.bits_stored} bits stored of {header.bits_allocated} allocated (0028,0100); "
            "8, 16 or 32 allocated bits are read"
        )
    if header.high_bit != header.bits_stored - 1:
        raise UnsupportedPixels(
            f"{name}: HighBit (0028,0102) is {header.high_bit}, {header.bits_stored - 1} was expected"
        )
    if abs(header.rescale_slope) < _LEAST_SLOPE:
        raise Malformed(f"{name}: RescaleSlope (0028,1053) is {header.rescale_slope:g}, so all values would be lost")
    if not header.has_rescale and (header.rescale_slope, header.rescale_intercept) != (1, 0):
        raise Malformed(
            f"{name} has one of RescaleSlope (0028,1053) and RescaleIntercept (0028,1052) without the other, so its "
            "values are not known; export it again"
        )
    if header.slice_bytes > MAX_SLICE_BYTES:
        raise TooLarge(
            f"{name} declares {header.rows} x {header.columns} pixels; up to {MAX_SLICE_BYTES >> 20} MiB are read"
        )


def _check_place(header: Header) -> None:
    name = header.name
    for keyword, value in (
        ("ImagePositionPatient (0020,0032)", header.position_lps_mm),
        ("ImageOrientationPatient (0020,0037)", header.orientation),
        ("PixelSpacing (0028,0030)", header.pixel_spacing_mm),
    ):
        if value is None:
            raise NoGeometry(f"{name} has no {keyword}, so its place is not known; no geometry is guessed")
    if min(header.pixel_spacing_mm or ()) <= 0:
        raise NoGeometry(f"{name}: PixelSpacing (0028,0030) must be above 0")
    if _roughness(header.orientation or ()) > 1e-2:
        raise NoGeometry(f"{name}: ImageOrientationPatient (0020,0037) is not two perpendicular directions of length 1")


@lru_cache(maxsize=64)
def _roughness(orientation: tuple[float, ...]) -> float:
    """How far ImageOrientationPatient is from two perpendicular directions of length 1."""
    row, column = np.reshape(orientation, (2, 3))
    return float(max(abs(np.linalg.norm(row) - 1), abs(np.linalg.norm(column) - 1), abs(row @ column)))


def _note_oddities(headers: Sequence[Header], warnings: list[str]) -> None:
    first = headers[0]
    if any(header.without_preamble for header in headers):
        warnings.append("files without the DICOM preamble (PS3.10) were read")
    if any(header.uids_from_meta for header in headers):
        warnings.append(
            "SOP class or instance UID is empty in the data set and was taken from the file meta information"
        )
    if not first.series_instance_uid:
        warnings.append("SeriesInstanceUID (0020,000E) is empty; all such files were taken as one series")
    if not first.study_instance_uid:
        warnings.append("StudyInstanceUID (0020,000D) is empty, and will be in the result: an archive may refuse it")
    if not first.has_rescale and first.modality != "MR":
        warnings.append(
            "RescaleSlope or RescaleIntercept (0028,1053) is absent: values are stored values, not in a real unit"
        )
    if _roughness(first.orientation or ()) > 1e-4:
        warnings.append("ImageOrientationPatient (0020,0037) is rounded; its directions were made perpendicular")
    if first.frame_of_reference_uid is None:
        warnings.append("FrameOfReferenceUID (0020,0052) is absent; the result can be placed only beside its source")
    padded = [header.name for header in headers if is_padded(header)]
    if padded:
        warnings.append(
            f"PixelData (7FE0,0010) is longer than the image; the padding was left out ({len(padded)} slices, the "
            f"first is {padded[0]})"
        )
    if any(header.lossy for header in headers):
        warnings.append("the pixels were compressed with loss; values may differ from those of the scanner")
    if first.photometric_interpretation == "MONOCHROME1":
        warnings.append("PhotometricInterpretation is MONOCHROME1 (low values bright); values are kept, not inverted")


def _check_common(headers: Sequence[Header]) -> None:
    """Refuse slices that differ in what a volume must share."""
    first = headers[0]
    for header in headers[1:]:
        # what they are is not told: it names a patient
        if (header.patient_id, header.study_instance_uid) != (first.patient_id, first.study_instance_uid):
            raise MixedGrid(
                f"{header.name} and {first.name} are of different patients or studies (PatientID "
                "(0010,0020), StudyInstanceUID (0020,000D)); take one of them out of the folder"
            )
    shared: list[tuple[str, Callable[[Header], object]]] = [
        ("Rows x Columns (0028,0010)", lambda header: (header.rows, header.columns)),
        ("SOPClassUID (0008,0016)", lambda header: header.sop_class_uid.name),
        ("FrameOfReferenceUID (0020,0052)", lambda header: header.frame_of_reference_uid),
        ("PhotometricInterpretation (0028,0004)", lambda header: header.photometric_interpretation),
        ("presence of RescaleSlope and RescaleIntercept (0028,1053)", lambda header: header.has_rescale),
        ("unit of the values (RescaleType or Units)", lambda header: header.unit),
        ("PixelRepresentation (0028,0103)", lambda header: header.signed),
        ("BitsAllocated (0028,0100)", lambda header: header.bits_allocated),
    ]
    for header in headers[1:]:
        if _MOSTLY_EQUAL(header) == _MOSTLY_EQUAL(first):
            continue
        for name, value in shared:
            if value(header) != value(first):
                raise MixedGrid(
                    f"{header.name} and {first.name} differ in {name}: {value(header)} and {value(first)}; "
                    "the slices of a volume share it"
                )
        if not np.allclose(header.pixel_spacing_mm or (), first.pixel_spacing_mm or (), rtol=1e-4, atol=0):
            raise MixedGrid(
                f"{header.name} and {first.name} differ in PixelSpacing (0028,0030): "
                f"{header.pixel_spacing_mm} and {first.pixel_spacing_mm} mm"
            )
        if np.abs(np.subtract(header.orientation or (), first.orientation or ())).max() > ORIENTATION_TOLERANCE:
            hint = " (one of them is a localizer)" if "LOCALIZER" in {*header.image_type, *first.image_type} else ""
            raise MixedOrientation(
                f"{header.name} and {first.name} differ in ImageOrientationPatient (0020,0037){hint}; "
                f"{_choice_of_stack(first, header)}take the images of other orientations out of the folder"
            )


def _choice_of_stack(one: Header, other: Header) -> str:
    """What to do where the frames of a file are of several stacks, each of which may make a volume."""
    mine, theirs = dict(one.discriminators).get("StackID"), dict(other.discriminators).get("StackID")
    return f"choose one stack with --select StackID={mine} or {theirs}, or " if mine and theirs != mine else ""
