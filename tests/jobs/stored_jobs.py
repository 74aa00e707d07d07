"""What is asked for, of jobs that nobody runs."""

from __future__ import annotations

from dlp_lab.jobs.job import JobRequest

PARAMS = {"sigma_mm": [1.5, 2.0, 0.0], "mode": "wrap"}


REQUEST = JobRequest(task="3dblur", input_dir="a/b", params=PARAMS, keep_hdf5=True)
