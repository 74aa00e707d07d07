"""Every exception that dlp-lab raises on purpose.

A message says what came, what was expected and what to do. It may name a file by its name and a slice by its index;
it never holds a patient's name or id. Each class knows how the doors answer: the stable `code` that programs test, the
HTTP status of the REST routes (and after how long it makes sense to ask again) and the exit status of the command line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import ClassVar


def printable(text: str) -> str:
    """`text` fit for a terminal, a log or JSON: a file's name may hold line breaks, or bytes that are no text."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def printable_lines(text: str) -> str:
    """The same of a text of several lines: its line feeds and tabs stay."""
    return "".join(c if c in "\n\t" else printable(c) for c in text) if not text.isprintable() else text


@dataclass(frozen=True, kw_only=True)
class ErrorDetail:
    """What of a refusal a program can use.

    Attributes:
        parameter: Name of the field or parameter that is wrong, with a dot between names.
        minimum, maximum: Between which its values must lie, these two included.
        above, below: Between which they must lie, without these two.
        file: Name of the file that is wrong, or the first of several.
        slice: Its index in the stack, along the normal, where there is one.
        tag: Of the DICOM attribute, such as "(0020,0032)".
    """

    parameter: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    below: float | None = None
    file: str | None = None
    slice: int | None = None
    tag: str | None = None


_FIELD = re.compile(r"(?:unknown|missing required) field `(?P<name>[^`]+)`")
_TAG = re.compile(r"\([0-9A-F]{4},[0-9A-F]{4}\)")
_PATH = re.compile(r" - at `\$\.?(?P<path>[^`]+)`$")


def detail_of_validation(message: str) -> ErrorDetail | None:
    """Which field msgspec speaks of, such as `read.gaps`; None where it is the whole."""
    path, field = _PATH.search(message), _FIELD.search(message)
    names = [path and path["path"], field and field["name"]]
    name = ".".join(filter(None, names))
    return ErrorDetail(parameter=name) if name else None


class DlpError(Exception):
    """Base of all errors that are an answer to the user, not a defect of the program."""

    code: ClassVar[str] = "ERROR"
    http_status: ClassVar[int] = 500
    exit_status: ClassVar[int] = 1
    retry_after_seconds: ClassVar[int | None] = None

    def __init__(self, message: str, detail: ErrorDetail | None = None) -> None:
        super().__init__(printable(message))
        self.detail = detail


# --- what was asked for -----------------------------------------------------------------------------------------------


class MalformedRequest(DlpError, ValueError):
    """The request cannot be understood: not JSON, a missing or unknown attribute."""

    code = "MALFORMED_REQUEST"
    http_status = 400
    exit_status = 2


class RequestRefused(DlpError, ValueError):
    """The request is understood, and what it asks for cannot be done."""

    code = "REFUSED"
    http_status = 422
    exit_status = 2


class UnknownTask(RequestRefused, LookupError):
    """No task of that name is installed."""

    code = "UNKNOWN_TASK"


class NoSuchTask(DlpError, LookupError):
    """The address of a task that is not installed."""

    code = "NO_SUCH_TASK"
    http_status = 404


class BadParameters(RequestRefused):
    """The parameters do not fit the task's schema."""

    code = "BAD_PARAMETERS"


class PathRefused(RequestRefused):
    """The path does not exist, is not a folder, or leaves the configured root."""

    code = "PATH_REFUSED"


class NoPicture(RequestRefused):
    """There is nothing that a picture can be made of."""

    code = "NO_PICTURE"


class NoSuchFile(DlpError, LookupError):
    """The result has no file of that name, or there is no result."""

    code = "NO_SUCH_FILE"
    http_status = 404


class RangeNotSatisfiable(DlpError, ValueError):
    """The file has not the bytes that are asked for."""

    code = "RANGE_NOT_SATISFIABLE"
    http_status = 416


class OutputExists(RequestRefused, FileExistsError):
    """Something is already where the output should go; nothing is ever overwritten."""

    code = "OUTPUT_EXISTS"


class NoSuchVolume(DlpError, LookupError):
    """No volume is open under that id: it was closed, or not used for a while, or the server is another one."""

    code = "NO_SUCH_VOLUME"
    http_status = 404


class NoSuchJob(DlpError, LookupError):
    """No job has that uid."""

    code = "NO_SUCH_JOB"
    http_status = 404
    exit_status = 2


class JobAlreadyEnded(DlpError):
    """The job has ended, so it cannot be cancelled."""

    code = "JOB_ALREADY_ENDED"
    http_status = 409


class JobNotEnded(DlpError):
    """The job waits or runs, so it cannot be removed."""

    code = "JOB_NOT_ENDED"
    http_status = 409


class JobNotFailed(DlpError):
    """The job waits, runs or has succeeded, so there is nothing to try again."""

    code = "JOB_NOT_FAILED"
    http_status = 409


class ResultNotDeleted(DlpError):
    """The result of a job that is to be forgotten with it cannot be deleted."""

    code = "RESULT_NOT_DELETED"


class IdempotencyKeyReused(RequestRefused):
    """The key came before, with another request."""

    code = "IDEMPOTENCY_KEY_REUSED"


class QueueFull(DlpError):
    """As many jobs wait as may."""

    code = "QUEUE_FULL"
    http_status = 429
    retry_after_seconds = 60


class ModelRefused(RequestRefused):
    """A model package is not what it must be: an unknown key, another hash, a network that is not run."""

    code = "MODEL_REFUSED"


class NoSuchModel(RequestRefused, LookupError):
    """No model of that name is registered."""

    code = "NO_SUCH_MODEL"


class InputUnsuitable(RequestRefused):
    """The images are not of the kind that a model was made for."""

    code = "INPUT_UNSUITABLE"


class ModelsMissing(RequestRefused, ImportError):
    """The packages that run models and write segmentations are not installed."""

    code = "MODELS_MISSING"


class CaseTableRefused(RequestRefused):
    """The table or the folder of a cohort's cases is not what it must be."""

    code = "CASE_TABLE_REFUSED"


class CohortBusy(DlpError):
    """Another run works on the folder of the cohort."""

    code = "COHORT_BUSY"
    http_status = 409
    exit_status = 2


class ReportFailed(DlpError, RuntimeError):
    """The notebook of a case could not be executed."""

    code = "REPORT_FAILED"


# --- what became of a job ---------------------------------------------------------------------------------------------


class JobFailed(DlpError, RuntimeError):
    """Raised by `wait()` for a job that ended without a result."""

    code = "JOB_FAILED"


class JobCancelled(DlpError):
    """Raised inside a task by its `report` when the job was cancelled."""

    code = "JOB_CANCELLED"


class WorkerCrashed(DlpError, RuntimeError):
    """The worker process ended without an answer (killed, out of memory, crashed in a native library)."""

    code = "WORKER_CRASHED"


class WorkerLost(DlpError, RuntimeError):
    """The place where the job ran was lost: a machine, a worker or scheduler of a cluster, the fork server."""

    code = "WORKER_LOST"


class ServerStopped(DlpError, RuntimeError):
    """The server stopped while the job was running, too often to try once more."""

    code = "SERVER_STOPPED"


class TimedOut(DlpError, TimeoutError):
    """The job ran longer than jobs may."""

    code = "TIMED_OUT"


class OutOfMemory(DlpError, MemoryError):
    """The job needs more memory than there is."""

    code = "OUT_OF_MEMORY"


class DiskFull(DlpError, OSError):
    """There is no room for the result, or for the queue."""

    code = "DISK_FULL"
    http_status = 507


class DiskFailed(DlpError, OSError):
    """The disk reported an error while a result was written."""

    code = "DISK_FAILED"


class ServerStopping(DlpError, RuntimeError):
    """The server is about to stop, and takes no more requests."""

    code = "SERVER_STOPPING"
    http_status = 503
    retry_after_seconds = 10


class QueueUnusable(DlpError, RuntimeError):
    """The output folder or the queue's database in it cannot be used: not made, not opened, damaged, too new."""

    code = "QUEUE_UNUSABLE"
    http_status = 503
    exit_status = 2


class ExecutorUnusable(DlpError, RuntimeError):
    """Jobs cannot be run where the settings say: something is not installed, an address or a certificate is wrong."""

    code = "EXECUTOR_UNUSABLE"
    http_status = 503
    exit_status = 2


class TaskResultInvalid(DlpError, ValueError):
    """A task returned something that cannot be written: wrong grid, or values that are not finite."""

    code = "TASK_RESULT_INVALID"


class CheckersMissing(RequestRefused, ImportError):
    """The programs that check a derived series are not installed."""

    code = "CHECKERS_MISSING"


# --- what was read ----------------------------------------------------------------------------------------------------


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
