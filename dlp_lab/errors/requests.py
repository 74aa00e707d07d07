"""What was asked for, and is not done."""

from __future__ import annotations

from dlp_lab.errors.base import DlpError


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


class CheckersMissing(RequestRefused, ImportError):
    """The programs that check a derived series are not installed."""

    code = "CHECKERS_MISSING"
