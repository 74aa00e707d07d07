"""How long a job has been at work, and how long it may still take, by the clock of the machine that answers."""

from __future__ import annotations

from datetime import datetime

import msgspec

from dlp_lab.jobs.job import Job

_LEAST_PROGRESS = 0.03
_LEAST_SECONDS = 2.0


def with_times(job: Job, moment: datetime) -> Job:
    """A job as it is told of at a moment, with `elapsed_seconds` and `seconds_left` filled in.

    What is left is what it will take if it goes on as until now: a guess, and none in its first seconds.

    Args:
        job: As it is recorded.
        moment: Now, with its time zone. A clock that was put back makes no time negative.
    """
    if job.started_at is None or job.state == "queued":
        return job
    end = moment if job.ended_at is None else datetime.fromisoformat(job.ended_at)
    elapsed = max(0.0, (end - datetime.fromisoformat(job.started_at)).total_seconds())
    left = None
    if job.state == "running" and elapsed >= _LEAST_SECONDS and job.progress >= _LEAST_PROGRESS:
        left = round(elapsed * (1 - job.progress) / job.progress, 1)
    return msgspec.structs.replace(job, elapsed_seconds=round(elapsed, 3), seconds_left=left)
