"""What becomes of odd sources when a result is written."""

from __future__ import annotations

import struct

import pydicom
import pytest
from pydicom.uid import ImplicitVRLittleEndian

from dlp_lab import errors
from dlp_lab.dicom.series import one_series
from tests.dicom.deriving import derive
from tests.dicom.quirks import QUIRKS
from tests.dicom.quirks.verdict import rewritten
from tests.phantom import write_phantom_series


def test_an_element_that_cannot_be_copied_is_refused_naming_the_file(tmp_path):
    source = write_phantom_series(
        tmp_path / "source",
        modality="MR",
        transfer_syntax=ImplicitVRLittleEndian,
        edit=lambda k, ds: setattr(ds, "AcquisitionMatrix", [0, 64, 64, 0]),
    )
    whole = struct.pack("<HHL4H", 0x0018, 0x1310, 8, 0, 64, 64, 0)
    cut = struct.pack("<HHL", 0x0018, 0x1310, 3) + b"\0\0\0"  # no whole number of 16-bit values
    rewritten(source.files[2], lambda content: content.replace(whole, cut))
    with pytest.raises(errors.Malformed, match=f"{source.files[2].name}: an element"):
        derive(tmp_path / "derived", source.folder)


def test_once_lossy_is_always_lossy(tmp_path):
    QUIRKS["near-lossless JPEG-LS"].build(tmp_path / "source")
    written, _, _ = derive(tmp_path / "derived", tmp_path / "source")
    assert [pydicom.dcmread(path).LossyImageCompression for path in written.files] == ["01"] * 3
    assert "compressed with loss" in one_series(tmp_path / "derived").warnings[0]


def test_what_is_set_anew_is_not_written_under_a_wrong_vr_of_the_source(tmp_path):
    QUIRKS["Rows as UL"].build(tmp_path / "source")
    written, _, _ = derive(tmp_path / "derived", tmp_path / "source")
    assert pydicom.dcmread(written.files[0])["Rows"].VR == "US"
