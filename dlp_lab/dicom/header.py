"""The header of one DICOM file: what is needed to place it in a series and to read its values, without its pixels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from operator import attrgetter
from pathlib import Path
from typing import Any

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
    MRImageStorage,
    PositronEmissionTomographyImageStorage,
)

from dlp_lab.dicom.data_set import PixelElement
from dlp_lab.dicom.unchanged_file import FileState
from dlp_lab.errors import printable

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


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class Header:
    """One image without its pixels: a file, or a frame of a multi-frame file.

    A series may have tens of thousands, so that what images have in common is one object for all of them.

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
        file_bytes, inode, modified_ns: Of the file when the header was read, as in `FileState`.
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
    inode: int
    modified_ns: int
    without_preamble: bool
    uids_from_meta: bool
    frame: int | None = None
    concatenation: Concatenation | None = None

    def but(self, **changed: object) -> Header:
        """The same with other values of some fields; `dataclasses.replace` takes several times as long for so many."""
        return self.with_fields(changed.items())

    def with_fields(self, changed: Iterable[tuple[str, Any]]) -> Header:
        """The same with these values of these fields."""
        header = object.__new__(Header)
        for put, value in zip(_SLOTS, _VALUES(self), strict=True):
            put(header, value)
        for name, value in changed:
            object.__setattr__(header, name, value)
        return header

    @property
    def name(self) -> str:
        """What messages call it: the file's name and, in a multi-frame file, the frame, counted from 1 as in DICOM."""
        name = printable(self.path.name)
        return name if self.frame is None else f"{name}, frame {self.frame + 1}"

    @property
    def state(self) -> FileState:
        """The file as it was when the header was read."""
        return FileState(self.inode, self.file_bytes, self.modified_ns)

    @property
    def is_of_readable_kind(self) -> bool:
        """Whether its SOP class is one of those that are read."""
        return self.sop_class_uid in MODALITIES

    @property
    def slice_bytes(self) -> int:
        """Size of the decoded pixels."""
        return self.rows * self.columns * (self.bits_allocated // 8)


_NAMES = tuple(field.name for field in fields(Header))
_VALUES = attrgetter(*_NAMES)
_SLOTS = tuple(getattr(Header, name).__set__ for name in _NAMES)


@dataclass(frozen=True, slots=True)
class Ignored:
    """A file that is no image, and why."""

    path: Path
    reason: str
