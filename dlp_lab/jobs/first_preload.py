"""Imported by the fork server of a command that is waited for: what each job needs. Tasks load what else they need.

Must start no thread; see `preload.py`.
"""

import gc
import os

gc.disable()  # what is imported is no garbage

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"

from dlp_lab.dicom.quick_start import load_pydicom  # noqa: E402

load_pydicom()

import dlp_lab.jobs.pipeline  # noqa: E402
import dlp_lab.jobs.worker  # noqa: E402, F401

gc.freeze()  # so that what is forked shares it
gc.enable()
