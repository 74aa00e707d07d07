"""What becomes of odd sources when a result is written."""

from __future__ import annotations

import struct

import pydicom
import pytest
from pydicom.uid import ImplicitVRLittleEndian

from dlp_lab import errors
from dlp_lab.dicom.series import one_series
from tests.dicom.quirks import QUIRKS
from tests.dicom.quirks.verdict import rewritten
from tests.dicom.test_write_image import derive
from tests.phantom import write_phantom_series


def test_an_element_that_cannot_be_copied_is_refused_naming_the_file(tmp_path):
    source = write_phantom_series(tmp_path / "source", transfer_syntax=ImplicitVRLittleEndian)
    number = struct.pack("<HHL", 0x0020, 0x0011, 2)  # SeriesNumber
    rewritten(source.files[2], lambda content: content.replace(number + b"3 ", number + b"x "))
    with pytest.raises(errors.Malformed, match=f"{source.files[2].name}: an element"):
        derive(tmp_path / "derived", source.folder)


def test_once_lossy_is_always_lossy(tmp_path):
    QUIRKS["near-lossless JPEG-LS"].build(tmp_path / "source")
    written, _, _ = derive(tmp_path / "derived", tmp_path / "source")
    assert [pydicom.dcmread(path).LossyImageCompression for path in written.files] == ["01"] * 3
    assert "compressed with loss" in one_series(tmp_path / "derived").warnings[0]
