"""The files that pydicom tests itself with: from many writers, of all transfer syntaxes, many of them broken."""

from __future__ import annotations

import shutil
import time
import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_files
from pydicom.dataset import Dataset

from dlp_lab.dicom.compressed import read_compressed
from dlp_lab.dicom.header import Header
from dlp_lab.dicom.header_reading import read_header
from dlp_lab.dicom.pixel_data import check_pixel_element, encoded_frame, stored_dtype
from dlp_lab.dicom.read import StoredSlices, read_volume
from dlp_lab.dicom.series import one_series
from dlp_lab.errors import DlpError

FILES = sorted({Path(name) for name in get_testdata_files() if Path(name).is_file()}, key=lambda path: path.name)
PROCESSOR_SECONDS = 5.0


def test_there_are_files_of_others_to_read():
    assert len(FILES) > 60


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_file_loads_or_is_refused_by_a_named_error(tmp_path, path):
    shutil.copy(path, tmp_path)
    began = time.process_time()
    try:
        read_volume(one_series(tmp_path))
    except DlpError as error:
        assert str(error)
    assert time.process_time() - began < PROCESSOR_SECONDS


def greyscale(path: Path) -> Header | None:
    try:
        header = read_header(path)
        if not isinstance(header, Header) or header.bits_allocated not in (8, 16, 32):
            return None
        if (header.samples_per_pixel, header.frames) != (1, 1):
            return None
        check_pixel_element(header)
    except DlpError:
        return None
    return header


def of_pydicom(path: Path) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ds: Dataset = pydicom.dcmread(path, force=True)
        if "TransferSyntaxUID" not in ds.file_meta:
            implicit, little = ds.original_encoding
            ds.file_meta.TransferSyntaxUID = (
                pydicom.uid.ImplicitVRLittleEndian
                if implicit
                else pydicom.uid.ExplicitVRLittleEndian
                if little
                else pydicom.uid.ExplicitVRBigEndian
            )
        return ds.pixel_array


def stored_values(header: Header) -> np.ndarray:
    place = np.empty((header.rows, header.columns), stored_dtype(header))
    if not header.transfer_syntax_uid.is_encapsulated:
        return StoredSlices().read(header, place)
    read_compressed(encoded_frame(header), place)
    return place


def test_pixels_are_those_that_pydicom_reads():
    compared: set[str] = set()
    for path in FILES:
        header = greyscale(path)
        if header is None:
            continue
        try:
            stored = stored_values(header)
        except DlpError:
            continue
        np.testing.assert_array_equal(stored, of_pydicom(path), err_msg=path.name)
        compared.add(path.name)
    assert {"CT_small.dcm", "MR_small_bigendian.dcm", "MR_small_padded.dcm", "image_dfl.dcm"} <= compared
    assert {"MR_small_RLE.dcm", "MR_small_jp2klossless.dcm", "JPEGLSNearLossless_16.dcm"} <= compared
