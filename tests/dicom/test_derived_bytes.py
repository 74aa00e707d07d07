"""Headers that are put together from bytes are those that pydicom writes, to the last byte."""

from __future__ import annotations

import datetime
import os
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import JPEGLSLossless, RLELossless

from dlp_lab.dicom.derived_bytes import DerivedHeaders
from dlp_lab.dicom.derived_data_set import DerivedDataSets
from dlp_lab.dicom.derived_header import Derivation
from dlp_lab.dicom.derived_slices import written_slices
from dlp_lab.dicom.header_archive import ArchivedSeries, encode_header, series_from_headers
from dlp_lab.dicom.options import ReadOptions
from dlp_lab.dicom.quiet import quiet
from dlp_lab.dicom.raw_elements import raw_elements
from dlp_lab.dicom.rescale import Rescale
from dlp_lab.dicom.series import HeaderSource, one_series
from dlp_lab.errors import DlpError
from tests.contracts.header_source_contract import burdened
from tests.dicom.quirks import QUIRKS
from tests.dicom.quirks.verdict import Edit, rewritten, setting
from tests.dicom.test_raw_elements import data_set_start, nested
from tests.dicom.test_write_headers import ODD_HEADERS
from tests.phantom import ORIENTATIONS, write_phantom_series

MADE_AT = datetime.datetime(2025, 3, 4, 5, 6, 7, 89, tzinfo=datetime.UTC)
BLUR = Derivation("job", "3dblur", "x", ("113088", "DCM", "Gaussian blur"), reach_slices=1, made_at=MADE_AT)
RESCALES = (
    Rescale("1", "-1024", signed=True, written=True),
    Rescale("0.0625", "-1000", signed=False, written=True),
    Rescale("1", "0", signed=True, written=False),
)
REAL = Path(os.environ.get("DLP_LAB_TEST_DATA", "/dev/null/none"))


def every_other(**attributes: object) -> Edit:
    """Every other slice has other values, of the same lengths where the rules read them."""
    return lambda k, ds: setting(**attributes)(k, ds) if k % 2 else None


def reference_to(uid: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPInstanceUID = uid
    item.add_new(0x00291010, "LO", "private inside")
    return item


def same_length_other_elements(k: int, ds: Dataset) -> None:
    """A second item in a sequence of undefined length, or an element after it."""
    items = [Dataset(), Dataset()]
    items[0].CodeValue = items[1].CodeValue = "12345678"
    if k % 2:
        items.pop()
        ds.InstitutionalDepartmentName = "1234567890ABCDEF"
    ds.SeriesDescriptionCodeSequence = items
    ds["SeriesDescriptionCodeSequence"].is_undefined_length = True


VARIED = {
    "ImageType": every_other(ImageType=["ORIGINAL", "PRIMARY", "OTHER"]),
    "window": every_other(WindowWidth="0.1"),
    "rescale": every_other(RescaleSlope="2", RescaleType=""),
    "rescale of other decimals": every_other(RescaleSlope="1.000000"),
    "description": every_other(SeriesDescription="Süd", DerivationDescription="x"),
    "time zone": every_other(TimezoneOffsetFromUTC="-0500"),
    "loss": every_other(LossyImageCompression="01"),
    "equipment": every_other(Manufacturer=None, DeviceSerialNumber="8"),
    "character set": every_other(SpecificCharacterSet="ISO_IR 192", ManufacturerModelName="Ä"),
    "no character set": every_other(SpecificCharacterSet=None, PatientName="Nobody"),
    "sequence": lambda k, ds: setattr(ds, "ReferencedImageSequence", [reference_to(f"1.2.{k}")]),
    "elements": same_length_other_elements,
    "empty elements": every_other(KVP="", StudyID="", Laterality=""),
    "a group length": lambda k, ds: ds.add_new(0x00200000, "UL", 4),
}


def put_together_in(source: HeaderSource) -> int:
    """How many of three headers of each slice are put together from bytes; each is as pydicom writes it."""
    made = DerivedHeaders(DerivedDataSets(source, BLUR), 5, 6)
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


EDITS = {"burdened": burdened, "nested": nested, **VARIED, **ODD_HEADERS}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_those_of_odd_headers_are_too(tmp_path, edit):
    write_phantom_series(tmp_path, edit=edit, orientation="axial")  # so that the headers are of one length
    assert put_together_in(one_series(tmp_path)) == 21


def test_an_empty_element_of_unknown_vr_gets_the_vr_that_pydicom_gives_it(tmp_path):
    phantom = write_phantom_series(tmp_path, edit=setting(ProtocolName=""))
    for path in phantom.files:
        rewritten(path, lambda content: content.replace(b"\x18\0\x30\x10LO\0\0", b"\x18\0\x30\x10UN" + bytes(6)))
    assert put_together_in(one_series(tmp_path)) == 21


def test_those_of_a_resampled_series_are_left_to_pydicom(tmp_path):
    write_phantom_series(tmp_path, slice_offsets_mm=[0, 2.5, 5, 8, 10, 12.5, 15])
    source = one_series(tmp_path, ReadOptions(irregular="resample"))
    assert source.resampling is not None
    assert put_together_in(source) == 0


def test_those_of_an_archive_are_too(tmp_path):
    write_phantom_series(tmp_path)
    blobs = [encode_header(header).encoded for header in one_series(tmp_path).headers]
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


@pytest.fixture(scope="module")
def archives(tmp_path_factory) -> list[ArchivedSeries]:
    found = []
    for modality in ("CT", "MR", "PT"):
        for edit in (None, burdened, nested):
            folder = tmp_path_factory.mktemp(modality)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                write_phantom_series(folder, modality=modality, edit=edit, shape=(3, 5, 6))
            blobs = [encode_header(header).encoded for header in one_series(folder).headers]
            found.append(series_from_headers(blobs, "v.h5"))
    return found


def mutated(encoded: bytes, data: st.DataObject) -> bytes:
    """An encoded header with a few bytes or elements changed."""
    begin = data_set_start(encoded)
    elements = raw_elements(encoded, begin).at
    starts = [begin, *(end for _, _, end in elements.values())]
    places = [(start, value, end) for start, (_, value, end) in zip(starts, elements.values(), strict=False)]
    for _ in range(data.draw(st.integers(1, 3))):
        start, value, end = data.draw(st.sampled_from(places))
        place = data.draw(st.integers(begin, len(encoded) - 1))
        some = data.draw(st.binary(min_size=1, max_size=4))
        spelt = st.lists(st.sampled_from(b"\0 .019A\\\xe4"), min_size=end - value, max_size=end - value)
        encoded = data.draw(
            st.sampled_from(
                [
                    lambda old, at=place, new=some: old[:at] + new + old[at + len(new) :],
                    lambda old, at=place, new=some: old[:at] + new + old[at:],
                    lambda old, at=place, new=some: old[:at] + old[at + len(new) :],
                    lambda old, at=start, to=end: old[:to] + old[at:],
                    lambda old, at=start, to=end: old[:at] + old[to:],
                    lambda old, at=value, to=end, text=spelt: old[:at] + bytes(data.draw(text)) + old[to:],
                    lambda old, at=start: old[: at + 4] + data.draw(st.sampled_from(VRS)) + old[at + 6 :],
                ]
            )
        )(encoded)
    return encoded


VRS = [b"UN", b"LO", b"DS", b"IS", b"US", b"CS", b"UI", b"OB", b"SQ", b"FD", b"PN", b"XX"]


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data())
def test_a_damaged_header_is_as_pydicom_writes_it_or_left_to_pydicom(archives, data):
    archive = data.draw(st.sampled_from(archives))
    sound, damaged, *others = archive.encoded
    source = replace(archive, encoded=(sound, mutated(damaged, data), *others))
    made = DerivedHeaders(DerivedDataSets(source, BLUR), 5, 6)
    rescale = data.draw(st.sampled_from(RESCALES))
    first, second, _ = written_slices(source, 1)
    assert made.encode_from_bytes(first, 0, rescale) is not None  # what it learnt there must not mislead it
    with quiet():
        try:
            expected = made.encode_by_pydicom(second, 1, rescale)
        except Exception:  # pydicom raises many kinds
            return
        assert made.encode_from_bytes(second, 1, rescale) in (None, expected)
