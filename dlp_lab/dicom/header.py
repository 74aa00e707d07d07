"""The header of one DICOM file: what is needed to place it in a series and to read its values, without its pixels."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pydicom
from pydicom.dataset import FileDataset
from pydicom.tag import BaseTag, Tag
from pydicom.uid import (
    UID,
    CTImageStorage,
    EnhancedCTImageStorage,
    EnhancedMRImageStorage,
    EnhancedPETImageStorage,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLSNearLossless,
    LegacyConvertedEnhancedCTImageStorage,
    LegacyConvertedEnhancedMRImageStorage,
    LegacyConvertedEnhancedPETImageStorage,
    MediaStorageDirectoryStorage,
    MRImageStorage,
    PositronEmissionTomographyImageStorage,
)

from dlp_lab.dicom.data_set import PixelElement, read_data_set
from dlp_lab.dicom.element_values import element_values, read_count, read_numbers
from dlp_lab.dicom.quiet import quiet
from dlp_lab.errors import DicomError, Malformed, TooLarge, Unreadable

ENHANCED = {
    EnhancedCTImageStorage: "CT",
    EnhancedMRImageStorage: "MR",
    EnhancedPETImageStorage: "PT",
    LegacyConvertedEnhancedCTImageStorage: "CT",
    LegacyConvertedEnhancedMRImageStorage: "MR",
    LegacyConvertedEnhancedPETImageStorage: "PT",
}
"""Multi-frame images that are read, by their functional groups (`frames.py`)."""
MODALITIES = {CTImageStorage: "CT", MRImageStorage: "MR", PositronEmissionTomographyImageStorage: "PT", **ENHANCED}
"""The kinds of image that are read."""
LOSSY_TRANSFER_SYNTAXES = (
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    UID("1.2.840.10008.1.2.4.53"),  # spectral selection and full progression, both retired
    UID("1.2.840.10008.1.2.4.55"),
    JPEGLSNearLossless,
)
"""Those that always lose; the two of JPEG 2000 may."""

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
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "SeriesDescription",
    "PatientID",
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
    "LossyImageCompression",
    *DISCRIMINATING,
)
WANTED_TAGS: list[BaseTag | int] = [Tag(keyword) for keyword in _KEYWORDS]


@dataclass(frozen=True)
class Concatenation:
    """Several files that are one multi-frame image (PS3.3 C.7.6.16.2.2.4).

    Attributes:
        uid: ConcatenationUID.
        number: InConcatenationNumber of this file, from 1; 0 where absent.
        total: InConcatenationTotalNumber; 0 where absent.
    """

    uid: str
    number: int
    total: int


@dataclass(frozen=True)
class Header:
    """One image without its pixels: a file, or a frame of a multi-frame file.

    Attributes:
        path: The file.
        sop_class_uid, sop_instance_uid: From the data set, or from the file meta information where the data set leaves
            them empty.
        study_instance_uid, series_instance_uid: May be empty in broken files.
        patient_id: To tell patients apart; never shown.
        modality: That of the SOP class where the images are read, else as it stands.
        transfer_syntax_uid: How the pixels are encoded.
        position_lps_mm, orientation, pixel_spacing_mm: ImagePositionPatient, ImageOrientationPatient and PixelSpacing
            (between rows, between columns); None where absent.
        rescale_slope, rescale_intercept: 1 and 0 where absent.
        has_rescale: Whether both are there.
        unit: Of the rescaled values; None where the modality has none, or the rescale is absent.
        lossy: The pixels were compressed with loss, now or earlier (PS3.3 C.7.6.1.1.5).
        discriminators: Values of the tags in `DISCRIMINATING`, as text.
        pixels: Where the pixels are; None where the file has none, or ends before them.
        file_bytes: Size of the file.
        without_preamble: The file is a bare data set, not in the format of PS3.10.
        uids_from_meta: SOP class or instance UID had to be taken from the file meta information.
        frames: NumberOfFrames of the file.
        frame: Which of them this is, from 0; None for a whole file.
        concatenation: What the file is a part of, if it is a multi-frame image in parts.
    """

    path: Path
    sop_class_uid: UID
    sop_instance_uid: UID
    study_instance_uid: str
    series_instance_uid: str
    patient_id: str
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
    has_rescale: bool
    unit: str | None
    has_modality_lut: bool
    lossy: bool
    discriminators: tuple[tuple[str, str], ...]
    pixels: PixelElement | None
    file_bytes: int
    without_preamble: bool
    uids_from_meta: bool
    frame: int | None = None
    concatenation: Concatenation | None = None

    def but(self, **fields: object) -> Header:
        """The same with other values of some fields; `dataclasses.replace` takes ten times as long for so many."""
        changed = object.__new__(Header)
        changed.__dict__.update(self.__dict__, **fields)
        return changed

    @property
    def name(self) -> str:
        """What messages call it: the file's name and, in a multi-frame file, the frame, counted from 1 as in DICOM."""
        return self.path.name if self.frame is None else f"{self.path.name}, frame {self.frame + 1}"

    @property
    def is_of_readable_kind(self) -> bool:
        """Whether its SOP class is one of those that are read."""
        return self.sop_class_uid in MODALITIES

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
        TooLarge: Its header is larger than any header is.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return Ignored(path, "not a file")
        with open(path, "rb") as file:
            return _read_opened(path, file)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise Unreadable(
            f"{path.name} cannot be opened ({reason}); it may be a slice, so it is not skipped: "
            "make it readable or take it out of the folder"
        ) from None


def _read_opened(path: Path, file: BinaryIO) -> Header | Ignored:
    start = file.read(132)
    part_10 = has_preamble(start)
    # a data set without preamble begins with group 0008, or 0002 if only the preamble was lost
    if not part_10 and start[:2] not in (b"\x08\0", b"\x02\0"):
        return Ignored(path, "empty" if not start else "not DICOM")
    return parse_header(file, path, part_10=part_10)


def has_preamble(start: bytes) -> bool:
    """Whether a file that begins with these 132 bytes is in the format of PS3.10."""
    return start[128:132] == b"DICM"


def parse_header(source: BinaryIO, path: Path, *, part_10: bool) -> Header | Ignored:
    """`read_header` of bytes from anywhere.

    Args:
        source: What to read, from its start.
        path: What messages call it.
        part_10: Whether it begins with the preamble of PS3.10.
    """
    try:
        with quiet():
            ds, pixels = read_data_set(source, part_10=part_10, tags=WANTED_TAGS)
            return _header(path, ds, pixels, source.seek(0, os.SEEK_END), without_preamble=not part_10)
    except TooLarge as error:
        raise TooLarge(f"{path.name} cannot be read: {error}; take it out of the folder") from None
    except (DicomError, MemoryError):
        raise
    except Exception as error:
        # pydicom raises at least eight kinds of exception on broken files; all mean the same to the user
        if not part_10:
            return Ignored(path, "not DICOM")
        raise Malformed(
            f"{path.name} is DICOM but cannot be understood ({type(error).__name__}); take it out of the folder or "
            "export it again"
        ) from None


def _header(
    path: Path, ds: FileDataset, pixels: PixelElement | None, file_bytes: int, *, without_preamble: bool
) -> Header | Ignored:
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
        if sop_class and sop_class not in MODALITIES:
            return Ignored(path, f"no image: {sop_class.name}")
        # a slice that was cut off, or whose header is damaged, must not vanish from its series
        raise Malformed(
            f"{path.name} is DICOM, but its header ends early or is damaged: it has no "
            f"{'Rows (0028,0010)' if sop_class else 'SOPClassUID (0008,0016)'}; export it again or take it out"
        )
    if not sop_instance:
        raise Malformed(f"{path.name} has no SOPInstanceUID (0008,0018), so a result could not refer to it")
    transfer_syntax = UID(meta.get("TransferSyntaxUID") or _guessed_transfer_syntax(ds))
    bits_allocated = read_count(path, ds, "BitsAllocated", 0)
    bits_stored = read_count(path, ds, "BitsStored", bits_allocated)
    has_rescale = all(element_values(ds, keyword) for keyword in ("RescaleSlope", "RescaleIntercept"))
    return Header(
        path=path,
        sop_class_uid=sop_class,
        sop_instance_uid=sop_instance,
        study_instance_uid=str(ds.get("StudyInstanceUID") or ""),
        series_instance_uid=str(ds.get("SeriesInstanceUID") or ""),
        patient_id=str(ds.get("PatientID") or ""),
        series_description=str(ds.get("SeriesDescription") or ""),
        modality=_modality(path, ds, sop_class),
        image_type=tuple(str(value) for value in element_values(ds, "ImageType") or ()),
        transfer_syntax_uid=transfer_syntax,
        frame_of_reference_uid=str(ds.get("FrameOfReferenceUID") or "") or None,
        position_lps_mm=read_numbers(path, ds, "ImagePositionPatient", 3),
        orientation=read_numbers(path, ds, "ImageOrientationPatient", 6),
        pixel_spacing_mm=read_numbers(path, ds, "PixelSpacing", 2),
        slice_thickness_mm=(read_numbers(path, ds, "SliceThickness", 1) or (None,))[0],
        rows=read_count(path, ds, "Rows"),
        columns=read_count(path, ds, "Columns"),
        frames=read_count(path, ds, "NumberOfFrames"),
        samples_per_pixel=read_count(path, ds, "SamplesPerPixel"),
        photometric_interpretation=str(ds.get("PhotometricInterpretation") or ""),
        bits_allocated=bits_allocated,
        bits_stored=bits_stored,
        high_bit=bits_stored - 1 if ds.get("HighBit") is None else int(ds.HighBit),
        signed=bool(ds.get("PixelRepresentation")),
        rescale_slope=(read_numbers(path, ds, "RescaleSlope", 1) or (1.0,))[0],
        rescale_intercept=(read_numbers(path, ds, "RescaleIntercept", 1) or (0.0,))[0],
        has_rescale=has_rescale,
        unit=_unit(ds, sop_class) if has_rescale else None,
        has_modality_lut=bool(ds.get("ModalityLUTSequence")),
        lossy=ds.get("LossyImageCompression") == "01" or transfer_syntax in LOSSY_TRANSFER_SYNTAXES,
        discriminators=tuple(
            (keyword, "\\".join(str(value) for value in element_values(ds, keyword) or ()))
            for keyword in DISCRIMINATING
        ),
        pixels=pixels,
        file_bytes=file_bytes,
        without_preamble=without_preamble,
        uids_from_meta=uids_from_meta,
    )


def _guessed_transfer_syntax(ds: FileDataset) -> UID:
    """pydicom found out the encoding of a data set that does not name it."""
    implicit, little = ds.original_encoding
    if implicit:
        return pydicom.uid.ImplicitVRLittleEndian
    return pydicom.uid.ExplicitVRLittleEndian if little else pydicom.uid.ExplicitVRBigEndian


def _modality(path: Path, ds: FileDataset, sop_class: UID) -> str:
    stated = str(ds.get("Modality") or "")
    implied = MODALITIES.get(sop_class, stated)
    if stated not in ("", implied):
        raise Malformed(
            f"{path.name} contradicts itself: Modality (0008,0060) is {stated}, the SOP class {sop_class.name}"
        )
    return implied


def _unit(ds: FileDataset, sop_class: UID) -> str | None:
    """HU for CT (PS3.3 Table C.8-3, RescaleType), Units for PET (Table C.8-60); an MR image has no unit."""
    if sop_class == PositronEmissionTomographyImageStorage:
        return str(ds.get("Units") or "") or None
    return str(ds.get("RescaleType") or "HU") if sop_class == CTImageStorage else None
