"""Beyond what a queue takes nothing. Imports nothing heavy."""

from __future__ import annotations

import shutil
from dataclasses import dataclass

from dlp_lab.errors import DiskFull
from dlp_lab.store.workspace import Workspace


@dataclass(frozen=True)
class QueueLimits:
    """Beyond which the queue of a workspace takes nothing, and stops what runs.

    Attributes:
        max_queued: How many jobs may wait.
        least_free_bytes: Free space that the disk of the output folder must have for a job to be taken.
        job_seconds: How long an attempt at a job may run; None as long as it takes.
        max_queued_of_owner: How many jobs of one user may wait, where users say who they are; None any number.
    """

    max_queued: int = 10_000
    least_free_bytes: int = 2**30
    job_seconds: float | None = None
    max_queued_of_owner: int | None = None

    def refuse_when_disk_is_full(self, workspace: Workspace) -> None:
        """Raises `DiskFull` when there is less room than a job needs to be taken."""
        free = shutil.disk_usage(workspace.output_folder).free
        if free < self.least_free_bytes:
            raise DiskFull(
                f"the disk of the output folder has {free / 2**30:.2f} GiB left; {self.least_free_bytes / 2**30:.2f} "
                "GiB must be free for a job to be taken: free some space and submit again"
            )


DEFAULT_LIMITS = QueueLimits()
