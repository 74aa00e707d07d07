"""The header of one DICOM file: what is needed to place it in a series and to read its values, without its pixels."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pydicom
from pydicom.dataset import FileDataset
from pydicom.errors import InvalidDicomError
from pydicom.tag import BaseTag, Tag
from pydicom.uid import (
    UID,
    CTImageStorage,
    MediaStorageDirectoryStorage,
    MRImageStorage,
    PositronEmissionTomographyImageStorage,
)

from dlp_lab.errors import Malformed, NoGeometry, Unreadable

SINGLE_FRAME_IMAGES = (CTImageStorage, MRImageStorage, PositronEmissionTomographyImageStorage)

DISCRIMINATING = (
    "AcquisitionNumber",
    "EchoTime",
    "TemporalPositionIdentifier",
    "DiffusionBValue",
    "TriggerTime",
    "AcquisitionTime",
    "ImageType",
)
"""What tells apart the images that a scanner puts at one place."""

_KEYWORDS = (
    "ImageType",
    "SOPClassUID",
    "SOPInstanceUID",
    "Modality",
    "SeriesInstanceUID",
    "SeriesDescription",
    "SliceThickness",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "FrameOfReferenceUID",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "PixelSpacing",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "RescaleIntercept",
    "RescaleSlope",
    "RescaleType",
    "ModalityLUTSequence",
    "Units",
    *DISCRIMINATING,
)
_TAGS: list[BaseTag | int] = [Tag(keyword) for keyword in _KEYWORDS]


@dataclass(frozen=True)
class Header:
    """One image file, without its pixels.

    Attributes:
        path: The file.
        sop_class_uid, sop_instance_uid: From the data set, or from the file meta information where the data set leaves
            them empty.
        series_instance_uid: May be empty in broken files.
        transfer_syntax_uid: How the pixels are encoded.
        position_lps_mm, orientation, pixel_spacing_mm: ImagePositionPatient, ImageOrientationPatient and PixelSpacing
            (between rows, between columns); None where absent.
        rescale_slope, rescale_intercept: 1 and 0 where absent.
        discriminators: Values of the tags in `DISCRIMINATING`, as text.
        without_preamble: The file is a bare data set, not in the format of PS3.10.
        uids_from_meta: SOP class or instance UID had to be taken from the file meta information.
    """

    path: Path
    sop_class_uid: UID
    sop_instance_uid: UID
    series_instance_uid: str
    series_description: str
    modality: str
    image_type: tuple[str, ...]
    transfer_syntax_uid: UID
    frame_of_reference_uid: str | None
    position_lps_mm: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    pixel_spacing_mm: tuple[float, ...] | None
    slice_thickness_mm: float | None
    rows: int
    columns: int
    frames: int
    samples_per_pixel: int
    photometric_interpretation: str
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    rescale_slope: float
    rescale_intercept: float
    unit: str | None
    has_modality_lut: bool
    discriminators: tuple[tuple[str, str], ...]
    without_preamble: bool
    uids_from_meta: bool

    @property
    def is_single_frame_image(self) -> bool:
        """Whether this is one of the images that are read: CT, MR or PET, one frame a file."""
        return self.sop_class_uid in SINGLE_FRAME_IMAGES

    @property
    def slice_bytes(self) -> int:
        """Size of the decoded pixels."""
        return self.rows * self.columns * (self.bits_allocated // 8)


@dataclass(frozen=True)
class Ignored:
    """A file that is no image, and why."""

    path: Path
    reason: str


def read_header(path: Path) -> Header | Ignored:
    """Read the header of one file.

    Returns:
        The header, or, for a file that is not DICOM or holds no image, the reason why it plays no part.

    Raises:
        Unreadable: The file cannot be opened. It is not skipped, for it may be a slice.
        Malformed: The file is DICOM, but broken.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return Ignored(path, "not a file")
        with open(path, "rb") as file:
            start = file.read(132)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise Unreadable(
            f"{path.name} cannot be opened ({reason}); it may be a slice, so it is not skipped: "
            "make it readable or take it out of the folder"
        ) from None
    part_10 = has_preamble(start)
    # a data set without preamble begins with group 0008, or 0002 if only the preamble was lost
    if not part_10 and start[:2] not in (b"\x08\0", b"\x02\0"):
        return Ignored(path, "empty" if not start else "not DICOM")
    return parse_header(path, path, part_10=part_10)


def has_preamble(start: bytes) -> bool:
    """Whether a file that begins with these 132 bytes is in the format of PS3.10."""
    return start[128:132] == b"DICM"


def parse_header(source: Path | BinaryIO, path: Path, *, part_10: bool) -> Header | Ignored:
    """`read_header` of bytes from anywhere.

    Args:
        source: What to read.
        path: What messages call it.
        part_10: Whether it begins with the preamble of PS3.10.
    """
    try:
        ds = pydicom.dcmread(source, stop_before_pixels=True, specific_tags=_TAGS, force=not part_10)
        return _header(path, ds, without_preamble=not part_10)
    except InvalidDicomError:
        return Ignored(path, "not DICOM")
    except (Malformed, NoGeometry):
        raise
    except Exception as error:
        # pydicom raises at least eight kinds of exception on broken files; all mean the same to the user
        if not part_10:
            return Ignored(path, "not DICOM")
        raise Malformed(
            f"{path.name} is DICOM but cannot be understood ({type(error).__name__}); take it out of the folder or "
            "export it again"
        ) from None


def _header(path: Path, ds: FileDataset, *, without_preamble: bool) -> Header | Ignored:
    meta = ds.file_meta
    sop_class, sop_instance = ds.get("SOPClassUID"), ds.get("SOPInstanceUID")
    uids_from_meta = not (sop_class and sop_instance)
    sop_class = UID(sop_class or meta.get("MediaStorageSOPClassUID") or "")
    sop_instance = UID(sop_instance or meta.get("MediaStorageSOPInstanceUID") or "")
    if not sop_class and without_preamble:
        return Ignored(path, "not DICOM")
    if sop_class == MediaStorageDirectoryStorage:
        return Ignored(path, "DICOMDIR")
    if not ds.get("Rows") or not ds.get("Columns"):
        if sop_class and sop_class not in SINGLE_FRAME_IMAGES:
            return Ignored(path, f"no image: {sop_class.name}")
        # a slice that was cut off, or whose header is damaged, must not vanish from its series
        raise Malformed(
            f"{path.name} is DICOM, but its header ends early or is damaged: it has no "
            f"{'Rows (0028,0010)' if sop_class else 'SOPClassUID (0008,0016)'}; export it again or take it out"
        )
    if not sop_instance:
        raise Malformed(f"{path.name} has no SOPInstanceUID (0008,0018), so a result could not refer to it")
    bits_allocated = int(ds.get("BitsAllocated") or 0)
    bits_stored = int(ds.get("BitsStored") or bits_allocated)
    return Header(
        path=path,
        sop_class_uid=sop_class,
        sop_instance_uid=sop_instance,
        series_instance_uid=str(ds.get("SeriesInstanceUID") or ""),
        series_description=str(ds.get("SeriesDescription") or ""),
        modality=str(ds.get("Modality") or ""),
        image_type=tuple(str(value) for value in _values(ds, "ImageType") or ()),
        transfer_syntax_uid=UID(meta.get("TransferSyntaxUID") or _guessed_transfer_syntax(ds)),
        frame_of_reference_uid=str(ds.get("FrameOfReferenceUID") or "") or None,
        position_lps_mm=_numbers(path, ds, "ImagePositionPatient", 3),
        orientation=_numbers(path, ds, "ImageOrientationPatient", 6),
        pixel_spacing_mm=_numbers(path, ds, "PixelSpacing", 2),
        slice_thickness_mm=(_numbers(path, ds, "SliceThickness", 1) or (None,))[0],
        rows=int(ds.Rows),
        columns=int(ds.Columns),
        frames=int(ds.get("NumberOfFrames") or 1),
        samples_per_pixel=int(ds.get("SamplesPerPixel") or 1),
        photometric_interpretation=str(ds.get("PhotometricInterpretation") or ""),
        bits_allocated=bits_allocated,
        bits_stored=bits_stored,
        high_bit=int(ds.get("HighBit") if ds.get("HighBit") is not None else bits_stored - 1),
        signed=bool(ds.get("PixelRepresentation")),
        rescale_slope=(_numbers(path, ds, "RescaleSlope", 1) or (1.0,))[0],
        rescale_intercept=(_numbers(path, ds, "RescaleIntercept", 1) or (0.0,))[0],
        unit=_unit(ds),
        has_modality_lut=bool(ds.get("ModalityLUTSequence")),
        discriminators=tuple(
            (keyword, "\\".join(str(value) for value in _values(ds, keyword) or ())) for keyword in DISCRIMINATING
        ),
        without_preamble=without_preamble,
        uids_from_meta=uids_from_meta,
    )


def _guessed_transfer_syntax(ds: FileDataset) -> UID:
    """pydicom found out the encoding of a data set that does not name it."""
    implicit, little = ds.original_encoding
    if implicit:
        return pydicom.uid.ImplicitVRLittleEndian
    return pydicom.uid.ExplicitVRLittleEndian if little else pydicom.uid.ExplicitVRBigEndian


def _values(ds: FileDataset, keyword: str) -> list[Any] | None:
    value = ds.get(keyword)
    if value is None or value == "":
        return None
    return list(value) if isinstance(value, Iterable) and not isinstance(value, str) else [value]


def _numbers(path: Path, ds: FileDataset, keyword: str, count: int) -> tuple[float, ...] | None:
    values = _values(ds, keyword)
    if not values:
        return None
    if len(values) != count:
        raise Malformed(f"{path.name}: {keyword} {Tag(keyword)} needs {count} numbers, it has {len(values)}")
    numbers = tuple(float(value) for value in values)
    if not all(abs(number) < 1e9 for number in numbers):  # also false for nan
        raise Malformed(f"{path.name}: {keyword} {Tag(keyword)} is not a finite number within 1e9")
    return numbers


def _unit(ds: FileDataset) -> str | None:
    """HU for CT (PS3.3 C.8.2.1.1.2: RescaleType, or HU implied), Units for PET; an MR image has no unit."""
    if ds.get("Modality") == "PT":
        return str(ds.get("Units") or "") or None
    return str(ds.get("RescaleType") or "HU") if ds.get("Modality") == "CT" else None
