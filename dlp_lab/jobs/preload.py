"""Imported once by the fork server, so that each worker starts with its libraries in memory.

Must start no thread, for threads do not survive a fork: hence the settings of `first_preload.py`, which the libraries
read when they load.
"""

import dlp_lab.jobs.first_preload  # noqa: I001  # before all others, for it says how they are loaded

import h5py  # noqa: F401
import scipy.ndimage  # noqa: F401

import dlp_lab.models.image_making  # noqa: F401
from dlp_lab.kernels.compiled import compiled_passes
from dlp_lab.store.provenance import software_versions

compiled_passes()  # machine code, which a fork has too
software_versions()  # which remembers them
