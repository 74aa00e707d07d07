"""What tests of the HDF5 store share."""

from __future__ import annotations

import resource
import tempfile
from pathlib import Path

import numpy as np

from dlp_lab.geometry import Geometry
from dlp_lab.store.folded_headers import FoldedHeaders
from dlp_lab.store.hdf5_headers import StoredHeaders
from dlp_lab.volume import Volume
from dlp_lab.waiting_bytes import WaitingBytes
from tests.test_geometry import oblique_geometry

IMAGE = "entry/volume/image"
SHAPE = (7, 5, 6)


def volume() -> Volume:
    voxels = np.random.default_rng(0).integers(-1024, 3000, SHAPE, dtype=np.int16)
    return Volume(voxels, oblique_geometry(), "HU", "CT", "1.2.3.4")


def of_shape(shape: tuple[int, int, int], dtype: str) -> Volume:
    """Noise."""
    values = np.random.default_rng(1).normal(0, 300, shape).astype(dtype)
    return Volume(values, Geometry(shape, volume().geometry.affine_kji_to_lps), "HU")


def headers() -> StoredHeaders:
    folder = Path(tempfile.gettempdir())
    folded, slice_json = FoldedHeaders(folder), WaitingBytes(folder)
    for k in range(7):
        folded.add([b"common", b"slice %d" % k])
        slice_json.append(b'{"k": %d}' % k)
    return StoredHeaders(folded, "{}", slice_json)


def peak_memory() -> int:
    """Most resident memory of this process so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
