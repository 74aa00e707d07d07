"""The contestant of `benchmarks.end_to_end` that is ours: the job, as a worker runs it."""

from __future__ import annotations

import time
import uuid
from pathlib import Path

from dlp_lab.jobs.job import Job
from dlp_lab.jobs.pipeline import run_job
from dlp_lab.store.workspace import Workspace


def blur(source: str, target: str, sigma_mm: str) -> dict[str, float]:
    """DICOM to DICOM; returns the seconds of each step."""
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
    steps: dict[str, float] = {}
    step, since = "headers", time.perf_counter()

    def report(_: float, message: str) -> None:
        """Seconds since the last message are those of the step that it named, by its first word."""
        nonlocal step, since
        now = time.perf_counter()
        steps[step] = steps.get(step, 0.0) + now - since
        step, since = message.split()[0], now

    run_job(workspace, job, report)
    report(1.0, "end")
    return steps
