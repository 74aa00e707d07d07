"""What a picture of a job's result is of."""

from __future__ import annotations

from collections.abc import Sequence

from dlp_lab.errors import NoPicture
from dlp_lab.jobs.drawing import Subject
from dlp_lab.jobs.job import Job
from dlp_lab.store.workspace import Workspace


def subject_of(workspace: Workspace, job: Job, names: Sequence[str]) -> Subject:
    """The middle slice of a result.

    Args:
        workspace: Where it is.
        job: That made it.
        names: Of the files of the result, in order, which is that of the slices.

    Raises:
        NoPicture: The result holds no image.
    """
    slices = [name for name in names if name.endswith(".dcm")]
    if not slices:
        raise NoPicture("the result holds no DICOM file")
    return Subject(workspace.job_folder(job.uid) / slices[len(slices) // 2])
