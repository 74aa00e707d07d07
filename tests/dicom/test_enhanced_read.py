"""Enhanced multi-frame files are read frame by frame: each where it is and with the values it has."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from dlp_lab.dicom.read import read_volume
from dlp_lab.dicom.series import one_series
from tests.enhanced_phantom import EnhancedPhantom, write_enhanced_phantom
from tests.phantom import ORIENTATIONS


def assert_read_as_it_is(phantom: EnhancedPhantom) -> None:
    volume = read_volume(one_series(phantom.file.parent))
    np.testing.assert_allclose(volume.geometry.affine_kji_to_lps, phantom.affine_kji_to_lps, atol=1e-9)
    np.testing.assert_array_equal(volume.voxels, phantom.values)


@pytest.mark.parametrize("legacy", [False, True], ids=["enhanced", "converted"])
@pytest.mark.parametrize("modality", ["CT", "MR", "PT"])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_every_frame_is_read_at_its_place(tmp_path, modality, legacy, orientation):
    phantom = write_enhanced_phantom(tmp_path / "a.dcm", modality=modality, legacy=legacy, orientation=orientation)
    assert_read_as_it_is(phantom)


@pytest.mark.parametrize("bits", [8, 16, 32])
@pytest.mark.parametrize(
    "syntax",
    [
        ExplicitVRLittleEndian,
        ImplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
        RLELossless,
        JPEGLSLossless,
        JPEG2000Lossless,
    ],
    ids=lambda uid: uid.keyword,
)
def test_frames_are_read_in_every_encoding(tmp_path, syntax: UID, bits: int):
    if bits == 32 and syntax.is_encapsulated:
        pytest.skip("pydicom encodes no 32 bits in it")
    phantom = write_enhanced_phantom(tmp_path / "a.dcm", bits=bits, transfer_syntax=syntax, shape=(7, 40, 48))
    assert_read_as_it_is(phantom)
