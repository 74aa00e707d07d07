"""What a result depends on, as one digest: where it is the same, nothing need be done again."""

from __future__ import annotations

import hashlib

import msgspec

from dlp_lab.errors import DlpError
from dlp_lab.jobs.job import JobRequest
from dlp_lab.tasks import task_named

_FORMAT = 1


def case_fingerprint(request: JobRequest, input_sha256: str) -> str:
    """Digest of the input's content, the task, its parameters with defaults, its model, and the versions of programs.

    Where the folder is, how urgent the job is, and what the cohort is called play no part.

    Args:
        request: The job of the case.
        input_sha256: Of what it reads; see `FolderContent.sha256_of`.
    """
    try:
        task = task_named(request.task).from_params(request.params)
        params, depends_on = task.params(), task.depends_on()
    except DlpError as error:  # the case will be refused; it is another one once that has changed
        params, depends_on = request.params, {"refused": str(error)}
    return _digest(
        {
            "format": _FORMAT,
            "input": input_sha256,
            "task": request.task,
            "params": params,
            "depends_on": depends_on,
            "read": msgspec.to_builtins(request.read),
            "output_form": request.output_form,
            "keep_hdf5": request.keep_hdf5,
        }
    )


def report_fingerprint(case: str, job: str, notebook: bytes) -> str:
    """Digest of a case's fingerprint, its job, and the notebook that makes the report."""
    return _digest([_FORMAT, case, job, hashlib.sha256(notebook).hexdigest()])


def submission_key(request: JobRequest, fingerprint: str) -> str:
    """Idempotency key of a case's job: who submits the case again, after whatever end, finds the job it has."""
    return f"cohort/{_digest([fingerprint, msgspec.to_builtins(request)])}"


def _digest(content: object) -> str:
    return hashlib.sha256(msgspec.json.encode(content, order="sorted")).hexdigest()
