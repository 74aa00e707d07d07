"""DICOM JSON that is made element by element is that which pydicom makes of each header."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from benchmarks.scanner_series import as_scanned
from dlp_lab.dicom.element_json import element_json
from dlp_lab.dicom.header import Header
from dlp_lab.dicom.header_archive import CutHeader, _pieces, decode_header, encode_header
from dlp_lab.dicom.header_json import Model, dicom_json
from dlp_lab.dicom.header_reading import read_header
from dlp_lab.errors import DicomError
from tests.contracts.header_source_contract import burdened
from tests.dicom.quirks import QUIRKS
from tests.dicom.test_similar_headers import FOREIGN, SERIES, write_mutants
from tests.phantom import write_phantom_series

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def by_pydicom(encoded: bytes) -> Model:
    ds = decode_header(encoded)
    model: Model = json.loads(json.dumps(ds.to_json_dict(suppress_invalid_tags=True)), parse_constant=str)
    return model


def cut(paths: Iterable[Path]) -> list[CutHeader]:
    """Of the files that are images, their headers."""
    found = []
    for path in paths:
        try:
            header = read_header(path)
            if isinstance(header, Header):
                found.append(encode_header(header))
        except (DicomError, RecursionError):  # no series is made of these
            continue
    return found


def check(headers: Sequence[CutHeader]) -> None:
    common, slices = dicom_json(headers)
    for header, own in zip(headers, slices, strict=True):
        expected = by_pydicom(header.encoded)
        assert {**common, **own} == expected
        assert not common.keys() & own.keys()
        assert list(own) == sorted(own)


@pytest.mark.parametrize("edit", [None, as_scanned, burdened])
def test_the_headers_of_a_series_are_those_of_pydicom(tmp_path, edit):
    headers = cut(write_phantom_series(tmp_path, edit=edit).files)
    assert all(header.walked for header in headers)
    check(headers)


@pytest.mark.parametrize("name", SERIES)
def test_headers_with_changed_bytes_are_those_of_pydicom(tmp_path, name):
    rng = random.Random(name)
    files = write_phantom_series(tmp_path / "in", shape=(3, 4, 5), **SERIES[name]).files
    for number, path in enumerate(files):
        check(cut(write_mutants(path, tmp_path / f"{number}", 60, rng)))


def test_foreign_headers_are_those_of_pydicom():
    headers = cut(path for path in FOREIGN)
    assert sum(header.walked for header in headers) > 20
    check(headers)


@pytest.mark.parametrize("name", QUIRKS)
def test_headers_of_odd_series_are_those_of_pydicom(tmp_path, name):
    QUIRKS[name].build(tmp_path / "in")
    headers = cut(sorted(path for path in (tmp_path / "in").rglob("*") if path.is_file()))
    if headers:
        check(headers)


@pytest.mark.parametrize("name", SERIES)
def test_pieces_are_the_same_whoever_finds_their_borders(tmp_path, name):
    for path in write_phantom_series(tmp_path / "in", shape=(3, 4, 5), **SERIES[name]).files:
        header = read_header(path)
        assert isinstance(header, Header)
        with open(path, "rb") as file:
            expected = tuple(_pieces(file, pydicom.dcmread(path, stop_before_pixels=True), header))
        assert encode_header(header).pieces == expected


def test_the_same_bytes_in_another_character_set_are_another_text(tmp_path):
    def in_two_sets(k: int, ds: Dataset) -> None:
        ds.SpecificCharacterSet = "ISO_IR 100" if k % 2 else "ISO_IR 144"
        ds[0x00100010] = RawDataElement(pydicom.tag.Tag(0x00100010), "PN", 4, b"\xc4\xd6\xdc^", 0, False, True)

    headers = cut(write_phantom_series(tmp_path, edit=in_two_sets).files)
    _, slices = dicom_json(headers)
    assert slices[0]["00100010"] != slices[1]["00100010"] == slices[3]["00100010"]
    check(headers)


def unknown(tag: int, value: bytes) -> Callable[[int, Dataset], None]:
    """An edit: an element of VR UN, and beside it what gives it a meaning, another one in every second slice."""

    def edit(k: int, ds: Dataset) -> None:
        ds.PixelRepresentation = k % 2
        ds.add_new(0x00290010, "LO", "SIEMENS CSA HEADER" if k % 2 else "NOBODY")
        ds[tag] = RawDataElement(pydicom.tag.Tag(tag), "UN", len(value), value, 0, False, True)

    return edit


@pytest.mark.parametrize(("tag", "value"), [(0x00280106, b"\xff\xff"), (0x00291008, b"IMAGE NUM 4 ")])
def test_the_same_bytes_of_unknown_vr_mean_what_other_elements_make_of_them(tmp_path, tag, value):
    headers = cut(write_phantom_series(tmp_path, edit=unknown(tag, value)).files)
    _, slices = dicom_json(headers)
    assert slices[0][f"{tag:08X}"] != slices[1][f"{tag:08X}"] == slices[3][f"{tag:08X}"]
    check(headers)


TEXTS = {
    "UI": "0123456789.\0 \\",
    "DS": "0123456789.-+eE \\",
    "IS": "0123456789.-+ \\",
    "DA": "0123456789. -\\",
    "TM": "0123456789.:- \\",
}
NUMBERS = ("US", "SS", "UL", "SL", "FL", "FD")
PLAIN = {
    "UI": r"[0-2]?(\.[0-9]{1,3}){0,20}\x00?",
    "DS": r"-?[0-9]{1,7}(\.[0-9]{0,9})? ?(\\-?[0-9]{1,3}(\.[0-9]{1,3})? ?){0,2}",
    "IS": r"-?[0-9]{1,11} ?(\\-?[0-9]{1,3} ?){0,2}",
    "DA": r"[12][09][0-9]{2}[01][0-9][0-3][0-9] ?",
    "TM": r"[0-2][0-9][0-6][0-9][0-6][0-9](\.[0-9]{0,7})? ?",
}


def values(vr: str) -> st.SearchStrategy[bytes]:
    if vr in NUMBERS:
        return st.binary(max_size=17) | st.binary(min_size=8, max_size=8) | st.binary(min_size=16, max_size=16)
    texts = st.text(TEXTS[vr], max_size=24) | st.from_regex(
        PLAIN[vr], fullmatch=True, alphabet=st.characters(max_codepoint=127)
    )
    return texts.map(str.encode)


@pytest.mark.parametrize("vr", [*TEXTS, *NUMBERS])
def test_an_element_that_is_known_without_pydicom_is_what_pydicom_says(vr):
    known = 0

    @settings(deadline=None, max_examples=300, derandomize=True)
    @given(values(vr))
    def check_value(value: bytes) -> None:
        nonlocal known
        element = b"\x19\x00\x99\x10" + vr.encode() + len(value).to_bytes(2, "little") + value
        model = element_json(element)
        if model is not None:
            known += 1
            assert {"00191099": model} == by_pydicom(_start_of_file() + element)

    check_value()
    assert known > 20


def _start_of_file() -> bytes:
    syntax = b"\x02\0\x10\0UI\x14\0" + ExplicitVRLittleEndian.encode() + b"\0"
    return bytes(128) + b"DICM" + b"\x02\0\0\0UL\x04\0" + len(syntax).to_bytes(4, "little") + syntax


def test_of_all_headers_but_the_first_pydicom_reads_only_what_is_odd_and_new(tmp_path, monkeypatch):
    asked: list[int] = []

    def counted(encoded: bytes) -> Dataset:
        ds = decode_header(encoded)
        asked.append(len(ds))
        return ds

    monkeypatch.setattr("dlp_lab.dicom.header_json.decode_header", counted)
    headers = cut(write_phantom_series(tmp_path, edit=as_scanned).files)
    common, slices = dicom_json(headers)
    assert len(common) > 100 and all(len(own) > 10 for own in slices)
    assert len(asked) == 1


def test_elements_that_all_but_some_later_headers_have_alike_are_told_of_each(tmp_path):
    def edit(k: int, ds: Dataset) -> None:
        ds.PatientComments = "late" if k == 5 else "as ever"
        if k == 6:
            del ds.StudyID

    headers = cut(write_phantom_series(tmp_path, edit=edit).files)
    common, slices = dicom_json(headers)
    assert [own["00104000"]["Value"] for own in slices] == [["as ever"]] * 5 + [["late"], ["as ever"]]
    assert ["00200010" in own for own in slices] == [True] * 6 + [False]
    assert not {"00104000", "00200010"} & common.keys()
    check(headers)


@pytest.mark.parametrize("edit", [as_scanned, unknown(0x00280106, b"\xff\xff"), unknown(0x00291008, b"IMAGE NUM 4 ")])
def test_headers_are_the_same_though_elements_are_forgotten_on_the_way(tmp_path, monkeypatch, edit):
    headers = cut(write_phantom_series(tmp_path, edit=edit).files)
    monkeypatch.setattr("dlp_lab.dicom.header_json._MOST_KNOWN_BYTES", 0)
    check(headers)
