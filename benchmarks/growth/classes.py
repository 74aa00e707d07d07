"""Cost of a segmentation over the number of its labels: a + b n, with a small b.

Real jobs, from a series to the files of the result, of packages of n labels. The network looks at single voxels, so
that its own passes take little beside all that is done with their values.
"""

from __future__ import annotations

import os
import shutil
import uuid
from functools import partial
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from benchmarks.growth.curve import LINEAR, Curve, Growth
from benchmarks.rounds import Times
from benchmarks.segment import WINDOWS
from benchmarks.timed_network import blobs, single_voxels
from dlp_lab.jobs.job import Job
from dlp_lab.jobs.pipeline import run_job
from dlp_lab.models.registry import MODELS_VARIABLE, add_model
from dlp_lab.store.workspace import Workspace
from dlp_lab.tasks.task import no_report
from tests.models.networks import description, write_package
from tests.phantom import write_phantom_series

FORMS = ("binary", "labelmap")


def write_blobs(folder: Path, length: int) -> None:
    """An axial CT of `length`^3 voxels of 1 mm."""
    values = blobs(length).voxels

    def put(k: int, ds: Dataset) -> None:
        ds.PixelData = (values[k] - int(ds.RescaleIntercept)).astype(np.int16).tobytes()

    shape = (length, length, length)
    write_phantom_series(folder, shape=shape, spacing_kji_mm=(1.0, 1.0, 1.0), orientation="axial", edit=put)


def run(workspace: Workspace, labels: int, form: str) -> None:
    """One job; its result is gone afterwards."""
    job = Job(
        uid=uuid.uuid4().hex,
        task="segment",
        input_dir="source",
        params={"model": f"of-{labels}", "form": form},
        keep_hdf5=False,
        state="running",
        submitted_at="2026-01-01T00:00:00.000Z",
    )
    run_job(workspace, job, no_report)
    shutil.rmtree(workspace.job_folder(job.uid))


def measure(folder: Path, is_short: bool) -> Growth:
    """Each number of labels in turn; the least processor time of the rounds."""
    length, counts, rounds = (32, [2, 4], 1) if is_short else (128, [2, 5, 10, 25, 50, 100], 2)
    before = os.environ.get(MODELS_VARIABLE)
    os.environ[MODELS_VARIABLE] = str(folder / "models")
    try:
        for labels in counts:
            described = description(labels, name=f"of-{labels}", orientation=None, inference=WINDOWS)
            add_model(write_package(folder / f"of-{labels}", single_voxels(labels + 1), described))
        write_blobs(folder / "root/source", length)
        workspace = Workspace(folder / "root")
        workspace.create()
        run(workspace, counts[0], FORMS[0])
        times = {(form, labels): Times() for form in FORMS for labels in counts}
        for _ in range(rounds):
            for labels in counts:
                for form in FORMS:
                    times[form, labels].add(partial(run, workspace, labels, form))
    finally:
        del os.environ[MODELS_VARIABLE]
        if before is not None:
            os.environ[MODELS_VARIABLE] = before
    curves = [
        Curve(f"job, {form}", [(labels, 1e3 * min(times[form, labels].cpu_s)) for labels in counts], LINEAR)
        for form in FORMS
    ]
    return Growth(f"segment, {length}³ voxels, windows of 96³", "labels", "processor time of a job, ms", curves)
