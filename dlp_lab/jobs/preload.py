"""Imported once by the fork server, so that each worker starts with its libraries in memory.

Must start no thread, for threads do not survive a fork: hence the settings, which the libraries read when they load.
"""

import os

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"

import h5py  # noqa: E402, F401
import numpy  # noqa: E402, F401
import pydicom  # noqa: E402, F401
import scipy.ndimage  # noqa: E402, F401

import dlp_lab.jobs.worker  # noqa: E402, F401
from dlp_lab.kernels.compiled import compiled_passes  # noqa: E402
from dlp_lab.store.provenance import software_versions  # noqa: E402

compiled_passes()  # machine code, which a fork has too
software_versions()  # which remembers them
