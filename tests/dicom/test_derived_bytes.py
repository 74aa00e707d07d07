"""Headers that are put together from bytes are those that pydicom writes, to the last byte."""

from __future__ import annotations

import datetime
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.uid import JPEGLSLossless, RLELossless

from dlp_lab.dicom.derived_bytes import DerivedHeaders
from dlp_lab.dicom.derived_data_set import DerivedDataSets
from dlp_lab.dicom.derived_header import Derivation
from dlp_lab.dicom.derived_slices import written_slices
from dlp_lab.dicom.header_archive import encode_header, series_from_headers
from dlp_lab.dicom.rescale import Rescale
from dlp_lab.dicom.series import HeaderSource, one_series
from dlp_lab.errors import DlpError
from tests.contracts.header_source_contract import burdened
from tests.dicom.quirks import QUIRKS
from tests.dicom.test_raw_elements import nested
from tests.dicom.test_write_image import ODD_HEADERS
from tests.phantom import ORIENTATIONS, write_phantom_series

MADE_AT = datetime.datetime(2025, 3, 4, 5, 6, 7, 89, tzinfo=datetime.UTC)
BLUR = Derivation("job", "3dblur", "x", ("113088", "DCM", "Gaussian blur"), reach_slices=1, made_at=MADE_AT)
RESCALES = (
    Rescale("1", "-1024", signed=True, written=True),
    Rescale("0.0625", "-1000", signed=False, written=True),
    Rescale("1", "0", signed=True, written=False),
)
REAL = Path(os.environ.get("DLP_LAB_TEST_DATA", "/nonexistent"))


def put_together_in(source: HeaderSource) -> int:
    """How many of three headers of each slice are put together from bytes; each is as pydicom writes it."""
    made = DerivedHeaders(DerivedDataSets.of(source, BLUR), 5, 6)
    count = 0
    for rescale in RESCALES:
        for number, place in enumerate(written_slices(source, 1)):
            found = made.encode_from_bytes(place, number, rescale)
            if found is not None:
                assert found == made.encode_by_pydicom(place, number, rescale)
                count += 1
    return count


@pytest.mark.parametrize("modality", ["CT", "MR", "PT"])
@pytest.mark.parametrize("orientation", sorted(ORIENTATIONS))
def test_all_headers_of_a_phantom_are_put_together_as_pydicom_writes_them(tmp_path, modality, orientation):
    write_phantom_series(tmp_path, modality=modality, orientation=orientation)
    assert put_together_in(one_series(tmp_path)) == 21


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless], ids=lambda uid: uid.keyword)
def test_those_of_compressed_images_are_too(tmp_path, syntax):
    write_phantom_series(tmp_path, transfer_syntax=syntax)
    assert put_together_in(one_series(tmp_path)) == 21


@pytest.mark.parametrize("edit", [burdened, nested, *ODD_HEADERS.values()], ids=["burdened", "nested", *ODD_HEADERS])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_those_of_odd_headers_are_too(tmp_path, edit):
    write_phantom_series(tmp_path, edit=edit)
    assert put_together_in(one_series(tmp_path)) == 21


def test_those_of_an_archive_are_too(tmp_path):
    write_phantom_series(tmp_path)
    blobs = [b"".join(encode_header(header)) for header in one_series(tmp_path).headers]
    assert put_together_in(series_from_headers(blobs, "v.h5")) == 21


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", QUIRKS)
def test_a_header_of_a_quirk_is_as_pydicom_writes_it_or_left_to_pydicom(tmp_path, name):
    QUIRKS[name].build(tmp_path)
    try:
        source = one_series(tmp_path)
    except DlpError:
        return
    put_together_in(source)


@pytest.mark.skipif(not REAL.is_dir(), reason="DLP_LAB_TEST_DATA is not set")
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_those_of_real_series_are_too():
    count = 0
    for folder in sorted({path.parent for path in REAL.rglob("*") if path.is_file()}):
        try:
            source = one_series(folder)
        except DlpError:
            continue
        count += put_together_in(source)
    assert count > 100
