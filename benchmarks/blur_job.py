"""The contestant of `benchmarks.end_to_end` that is ours: the job, as a worker runs it."""

from __future__ import annotations

import uuid
from pathlib import Path

from benchmarks.job_profile import CPU, WALL, JobProfile
from dlp_lab.jobs import preload
from dlp_lab.jobs.job import Job
from dlp_lab.jobs.pipeline import run_job
from dlp_lab.store.workspace import Workspace

assert preload, "a worker is forked from a process that has loaded its libraries"


def blur(source: str, target: str, sigma_mm: str) -> dict[str, float]:
    """DICOM to DICOM; returns the seconds of each step, by `WALL` and `CPU` and its name."""
    return _run(source, target, sigma_mm, keep_hdf5=False)


def blur_and_keep_hdf5(source: str, target: str, sigma_mm: str) -> dict[str, float]:
    """The same, with source and result as HDF5 beside it."""
    return _run(source, target, sigma_mm, keep_hdf5=True)


def _run(source: str, target: str, sigma_mm: str, *, keep_hdf5: bool) -> dict[str, float]:
    workspace = Workspace(Path(source).parent, Path(target).name)
    job = Job(
        uid=uuid.uuid4().hex,
        task="3dblur",
        input_dir=Path(source).name,
        params={"sigma_mm": float(sigma_mm)},
        keep_hdf5=keep_hdf5,
        state="running",
        submitted_at="2026-01-01T00:00:00.000Z",
    )
    profile = JobProfile()
    with profile.taken():
        run_job(workspace, job, lambda fraction, message: None)
    told = {WALL + step: seconds for step, seconds in profile.wall_s.items()}
    return {**told, **{CPU + step: seconds for step, seconds in profile.cpu_s.items()}}
