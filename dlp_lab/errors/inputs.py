"""What was read, and is no volume."""

from __future__ import annotations

import re
from dataclasses import replace

from dlp_lab.errors.base import DlpError, ErrorDetail, printable
from dlp_lab.errors.requests import RequestRefused

_TAG = re.compile(r"\([0-9A-F]{4},[0-9A-F]{4}\)")


class VolumeError(DlpError, ValueError):
    """Voxels and geometry that do not fit each other."""

    code = "VOLUME_INVALID"
    http_status = 422


class Hdf5Error(RequestRefused):
    """The HDF5 file is not one that can be read as a volume."""

    code = "HDF5_REFUSED"


class DicomError(RequestRefused):
    """Base of all refusals of a DICOM input. The attribute that its message names by tag is in its detail too."""

    code = "DICOM_REFUSED"

    def __init__(self, message: str, detail: ErrorDetail | None = None) -> None:
        found = _TAG.search(message)
        super().__init__(message, detail or (ErrorDetail(tag=found[0]) if found else None))

    def name_file(self, name: str, slice_index: int | None = None) -> None:
        """Say in the detail which file it is about, unless it is said already."""
        if self.detail is None or self.detail.file is None:
            self.detail = replace(self.detail or ErrorDetail(), file=printable(name), slice=slice_index)


class NoDicom(DicomError):
    """The folder holds no DICOM image."""

    code = "NO_DICOM"


class Unreadable(DicomError):
    """A file could not be opened. It is not skipped, for it may be a slice."""

    code = "UNREADABLE"


class FileChanged(DicomError):
    """A file was written to, or replaced, between two readings of it."""

    code = "FILE_CHANGED"


class Malformed(DicomError):
    """A file is DICOM but broken."""

    code = "MALFORMED"


class MultipleSeries(DicomError):
    """More than one usable image series is in the folder."""

    code = "MULTIPLE_SERIES"


class UnsupportedSopClass(DicomError):
    """The images are of a kind that is not read (multi-frame, ultrasound, secondary capture, ...)."""

    code = "UNSUPPORTED_SOP_CLASS"


class NotGrayscale(DicomError):
    """The images have colour."""

    code = "NOT_GRAYSCALE"


class UnsupportedPixels(DicomError):
    """The pixel format is not one whose values can be read for certain."""

    code = "UNSUPPORTED_PIXELS"


class NoGeometry(DicomError):
    """Position, orientation or pixel spacing is absent. No geometry is ever guessed."""

    code = "NO_GEOMETRY"


class MixedOrientation(DicomError):
    """The slices of one series do not share an orientation (often a localizer among them)."""

    code = "MIXED_ORIENTATION"


class MixedGrid(DicomError):
    """The slices of one series differ in matrix, pixel spacing or another property that must be common."""

    code = "MIXED_GRID"


class DuplicateConflict(DicomError):
    """Two files have the same SOPInstanceUID and different content."""

    code = "DUPLICATE_CONFLICT"


class SymlinkEscape(DicomError):
    """A symbolic link leads out of the root."""

    code = "SYMLINK_ESCAPE"


class NoSuchSeries(DicomError, LookupError):
    """The series or the images asked for are not in the folder."""

    code = "NO_SUCH_SERIES"


class DuplicatePosition(DicomError):
    """Two slices lie at the same place (several echoes, phases, time points, ...)."""

    code = "DUPLICATE_POSITION"


class MissingSlices(DicomError):
    """There is a gap in the stack."""

    code = "MISSING_SLICES"


class IrregularSpacing(DicomError):
    """The slices are not equally spaced."""

    code = "IRREGULAR_SPACING"


class Sheared(DicomError):
    """The stack is tilted: its slices are shifted against each other (gantry tilt)."""

    code = "SHEARED"


class Truncated(DicomError):
    """A file ends before its pixels do."""

    code = "TRUNCATED"


class TooLarge(DicomError):
    """The headers declare more pixels than the limit allows."""

    code = "TOO_LARGE"


class NoDecoder(DicomError):
    """No installed decoder reads the transfer syntax."""

    code = "NO_DECODER"


class DecoderCrashed(DicomError, RuntimeError):
    """The process that decodes compressed pixels ended without an answer; a file may be damaged or malicious."""

    code = "DECODER_CRASHED"


class TemplateMismatch(DicomError):
    """Volume and template series do not lie on the same grid."""

    code = "TEMPLATE_MISMATCH"
