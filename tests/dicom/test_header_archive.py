"""Headers outlive their files: whole, and small."""

from __future__ import annotations

import pydicom
import pytest

from dlp_lab import errors
from dlp_lab.dicom.header_archive import encode_header, series_from_headers
from dlp_lab.dicom.header_json import acquisition_facts, dicom_json
from dlp_lab.dicom.series import Series, one_series
from tests.contracts.header_source_contract import HeaderSourceContract, OpenSource, burdened
from tests.phantom import write_phantom_series


def encoded(series: Series) -> list[bytes]:
    return [encode_header(header).encoded for header in series.headers]


class TestSeriesOfFiles(HeaderSourceContract):
    @pytest.fixture
    def open_source(self) -> OpenSource:
        return lambda series: series


class TestArchivedSeries(HeaderSourceContract):
    @pytest.fixture
    def open_source(self) -> OpenSource:
        return lambda series: series_from_headers(encoded(series)[::-1], "v.h5")


def test_an_encoded_header_is_the_file_up_to_its_pixels_byte_for_byte(tmp_path):
    phantom = write_phantom_series(tmp_path, edit=lambda k, ds: ds.add_new(0xFFFCFFFC, "OB", b"\0\0"))
    for path in phantom.files:
        path.write_bytes(path.read_bytes() + bytes(1000))  # some programs fill up the last block
    series = one_series(tmp_path)
    for header, blob in zip(series.headers, encoded(series), strict=True):
        content = header.path.read_bytes()
        assert blob == content[: content.index(b"\xe0\x7f\x10\x00OW")]


def test_a_file_without_preamble_is_archived_too(tmp_path):
    phantom = write_phantom_series(tmp_path)
    for path in phantom.files:
        content = path.read_bytes()
        meta = int.from_bytes(content[140:144], "little")
        path.write_bytes(content[144 + meta :])
    series = one_series(tmp_path)
    archived = series_from_headers(encoded(series), "v.h5")
    assert [header.without_preamble for header in archived.headers] == [True] * 7
    assert archived.dataset(3).PatientID == "PHANTOM-1"


def test_most_pieces_are_the_same_in_all_slices(tmp_path):
    write_phantom_series(tmp_path)
    pieces = [encode_header(header).pieces for header in one_series(tmp_path).headers]
    once = {piece for slice_pieces in pieces for piece in slice_pieces}
    assert len(once) < 2 * len(pieces[0])


def test_headers_that_make_no_volume_are_refused_as_files_are(tmp_path):
    write_phantom_series(tmp_path)
    blobs = encoded(one_series(tmp_path))
    with pytest.raises(errors.MissingSlices, match=r"v.h5\[2\]"):
        series_from_headers([*blobs[:3], *blobs[4:]], "v.h5")
    with pytest.raises(errors.Malformed, match=r"slice 1 in v.h5"):
        series_from_headers([blobs[0], b"no DICOM at all", *blobs[2:]], "v.h5")


@pytest.mark.filterwarnings("ignore:Invalid value")
def test_dicom_json_tells_what_is_common_and_what_each_slice_has_of_its_own(tmp_path):
    write_phantom_series(tmp_path, edit=burdened)
    common, slices = dicom_json([encode_header(header) for header in one_series(tmp_path).headers])
    assert common["00100020"] == {"vr": "LO", "Value": ["PHANTOM-1"]}
    assert common["00100010"]["Value"] == [{"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎"}]
    assert "00200032" not in common
    assert [model["00200013"]["Value"] for model in slices] == [[k + 1] for k in range(7)]
    assert "InlineBinary" in slices[0]["00291010"]
    assert not set(common) & set(slices[0])


def test_acquisition_facts_are_the_numbers_that_all_slices_share(tmp_path):
    def one_differs(k: int, ds: pydicom.Dataset) -> None:
        ds.ExposureTime = 100 + k
        ds.PatientWeight = 70
        ds.FlipAngle = ""

    write_phantom_series(tmp_path, edit=one_differs)
    common, _ = dicom_json([encode_header(header) for header in one_series(tmp_path).headers])
    assert acquisition_facts(common) == {"KVP": 120, "SliceThickness": 2.5}
