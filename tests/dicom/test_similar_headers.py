"""Headers that are read together are those that pydicom reads one by one, whatever is in the files."""

from __future__ import annotations

import os
import random
import struct
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import pydicom
import pytest
from pydicom.data import get_testdata_files
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from benchmarks.scanner_series import as_scanned
from dlp_lab.dicom import similar_headers
from dlp_lab.dicom.header import Header
from dlp_lab.dicom.header_reading import read_header
from dlp_lab.dicom.similar_headers import read_headers
from dlp_lab.errors import DicomError
from tests.dicom.quirks import QUIRKS
from tests.fuzz_targets import check_header
from tests.phantom import write_phantom_series

FOREIGN = sorted({Path(name) for name in get_testdata_files() if Path(name).is_file()}, key=lambda path: path.name)
REAL = Path(os.environ.get("DLP_LAB_TEST_DATA", "/dev/null/none"))


def check(paths: Sequence[Path]) -> None:
    for path, found in zip(paths, read_headers(paths), strict=True):
        check_header(path, found)


@pytest.fixture
def read_by_pydicom(monkeypatch) -> list[Path]:
    """The files that `read_headers` leaves to pydicom."""
    paths: list[Path] = []

    def noted(path: Path) -> object:
        paths.append(path)
        return read_header(path)

    monkeypatch.setattr(similar_headers, "read_header", noted)
    return paths


def mutants(content: bytes, header_bytes: int, rng: random.Random) -> Iterator[bytes]:
    """A file with a byte changed, taken out, put in or doubled somewhere in its header, without end."""
    while True:
        changed = bytearray(content)
        for _ in range(rng.choice((1, 1, 1, 2, 5))):
            at = rng.randrange(128, max(129, min(header_bytes, len(changed))))
            match rng.randrange(8):
                case 0:
                    del changed[at : at + rng.choice((1, 2, 8))]
                case 1:
                    changed[at:at] = changed[at : at + rng.choice((1, 2, 8, 100))]
                case 2:
                    changed[at : at + 4] = b"\xff\xff\xff\xff"
                case 3:
                    changed[at : at + 1] = bytes([rng.choice(b" \0\\.-+e0129AZ")])
                case _:
                    changed[at : at + 1] = bytes([rng.randrange(256)])
        yield bytes(changed)


def write_mutants(path: Path, folder: Path, count: int, rng: random.Random) -> list[Path]:
    """The file among its mutants."""
    content = path.read_bytes()
    try:
        header = read_header(path)
    except DicomError:
        header = None
    header_bytes = header.pixels.offset if isinstance(header, Header) and header.pixels else min(len(content), 3000)
    folder.mkdir()
    paths = []
    for number, changed in zip(range(count), mutants(content[: header_bytes + 512], header_bytes, rng), strict=False):
        paths.append(folder / f"{number}")
        paths[-1].write_bytes(changed)
    paths.insert(rng.choice((0, count // 2)), path)
    return paths


def with_open_sequences(k: int, ds: Dataset) -> None:
    """Sequences and items of undefined length, as many archives write them, one in the other."""
    as_scanned(k, ds)
    within = ds.RequestAttributesSequence[0]
    within.ImagePositionPatient, within.PatientID = [k, k, k], f"another {k}"
    for element in ds:
        if element.VR == "SQ":
            element.is_undefined_length = True
            for item in element.value:
                item.is_undefined_length_sequence_item = k % 2 == 0 or len(item) > 1
    within["ScheduledProtocolCodeSequence"].is_undefined_length = True


SERIES: dict[str, dict[str, object]] = {
    "explicit": {"edit": as_scanned},
    "implicit": {"edit": as_scanned, "transfer_syntax": ImplicitVRLittleEndian},
    "open sequences": {"edit": with_open_sequences},
    "open sequences, implicit": {"edit": with_open_sequences, "transfer_syntax": ImplicitVRLittleEndian},
    "MR": {"modality": "MR"},
    "PET, a slope for each slice": {"modality": "PT"},
    "compressed": {"transfer_syntax": RLELossless},
}


@pytest.mark.parametrize("name", SERIES)
def test_one_header_of_a_series_is_read_by_pydicom_and_the_others_are_like_it(tmp_path, name, read_by_pydicom):
    files = write_phantom_series(tmp_path / "in", shape=(24, 4, 5), **SERIES[name]).files
    check(files)
    assert read_by_pydicom == files[:1]


@pytest.mark.parametrize(
    "syntax", [DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian], ids=lambda syntax: syntax.name
)
def test_what_cannot_be_walked_is_left_to_pydicom(tmp_path, syntax, read_by_pydicom):
    files = write_phantom_series(tmp_path / "in", transfer_syntax=syntax).files
    check(files)
    assert read_by_pydicom == files


def test_uids_that_only_the_file_meta_information_has_are_left_to_pydicom(tmp_path):
    files = write_phantom_series(tmp_path / "in").files
    for path in files:
        ds = pydicom.dcmread(path)
        ds.SOPInstanceUID = ""
        ds.save_as(path)
    check(files)
    assert len({header.sop_instance_uid for header in read_headers(files)}) == len(files)


def test_the_same_bytes_in_another_character_set_are_another_text(tmp_path):
    def in_turn(k: int, ds: Dataset) -> None:
        ds.SpecificCharacterSet = "ISO_IR 100" if k % 2 else "ISO_IR 101"
        ds.add_new("SeriesDescription", "LO", b"\xa3\xb3")

    files = write_phantom_series(tmp_path / "in", edit=in_turn).files
    check(files)
    assert len({header.series_description for header in read_headers(files)}) == 2


def test_files_of_two_kinds_in_turn_cost_two_headers_and_what_lies_between_them_changes_nothing(
    tmp_path, read_by_pydicom
):
    one = write_phantom_series(tmp_path / "one", shape=(12, 4, 5)).files
    other = write_phantom_series(tmp_path / "other", modality="MR", shape=(12, 4, 5)).files
    text = tmp_path / "text"
    text.write_text("no image")
    files = [text] * 9 + [path for pair in zip(one, other, strict=True) for path in (*pair, text)]
    check(files)
    assert len([path for path in read_by_pydicom if path != text]) == 2


def test_more_files_than_are_walked_at_once_come_back_in_their_order(tmp_path, monkeypatch):
    monkeypatch.setattr(similar_headers, "_FILES_AT_ONCE", 10)
    monkeypatch.setattr(similar_headers, "_BYTES_AT_ONCE", 20_000)
    files = write_phantom_series(tmp_path / "in", shape=(33, 4, 5)).files
    check(files)


def test_a_sequence_that_matters_and_does_not_tell_its_length_is_left_to_pydicom(tmp_path, read_by_pydicom):
    def with_lut(k: int, ds: Dataset) -> None:
        ds.ModalityLUTSequence = [Dataset()]
        ds["ModalityLUTSequence"].is_undefined_length = True

    files = write_phantom_series(tmp_path / "in", edit=with_lut).files
    check(files)
    assert read_by_pydicom == files


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian], ids=lambda syntax: syntax.name)
def test_a_private_sequence_of_undefined_length_makes_no_difference(tmp_path, syntax):
    def with_private_sequence(k: int, ds: Dataset) -> None:
        ds.private_block(0x0019, "PHANTOM WORKS").add_new(0x02, "SQ", [Dataset()])
        ds[0x0019, 0x1002].is_undefined_length = True

    check(write_phantom_series(tmp_path / "in", edit=with_private_sequence, transfer_syntax=syntax).files)


def test_a_group_length_that_is_no_number_is_refused_beside_right_files(tmp_path):
    files = write_phantom_series(tmp_path / "in").files
    content = files[3].read_bytes()
    files[3].write_bytes(content[:138] + b"\x06\0" + content[140:144] + b"\0\0" + content[144:])
    check(files)


def test_a_length_that_looks_like_a_vr_is_left_to_pydicom(tmp_path):
    """In implicit VR the first element tells pydicom the encoding, unless its length is that of two letters."""
    files = write_phantom_series(tmp_path / "in", transfer_syntax=ImplicitVRLittleEndian).files
    for path, length in zip(files, (0x4040, 0x4040, 0x4142), strict=False):
        content = path.read_bytes()
        at = content.index(b"\x08\0\x05\0")
        path.write_bytes(content[:at] + struct.pack("<HHL", 8, 1, length) + bytes(length) + content[at:])
    check(files[:3])


def test_a_file_that_is_cut_off_is_not_read_beyond_its_end(tmp_path):
    files = write_phantom_series(tmp_path / "in").files
    header = read_header(files[1])
    assert isinstance(header, Header) and header.pixels
    for length in range(header.pixels.offset - 20, header.pixels.offset + 2):
        path = tmp_path / f"{length}"
        path.write_bytes(files[1].read_bytes()[:length])
        check([files[0], path, files[2]])


def test_of_an_element_that_is_there_twice_the_same_is_taken_as_by_pydicom(tmp_path):
    files = write_phantom_series(tmp_path / "in").files
    for k, path in enumerate(files):
        position = b"\x20\0\x32\0DS\x06\0%d\\2\\3 " % k
        path.write_bytes(path.read_bytes().replace(b"\x20\0\x32\0DS", position + b"\x20\0\x32\0DS"))
    check(files)


def test_of_an_element_that_is_there_twice_the_first_plays_no_part_whatever_the_last_looks_like(tmp_path):
    files = write_phantom_series(tmp_path / "in").files
    for k, path in enumerate(files):
        content = path.read_bytes()
        at = content.index(b"\x20\0\x32\0DS")
        behind = at + 8 + int.from_bytes(content[at + 6 : at + 8], "little")
        twice = b"\x20\0\x32\0DS\x06\0%d\\2\\3 \x20\0\x32\0DS\x06\0 0\\2\\3" % k
        path.write_bytes(content[:at] + twice + content[behind:])
    check(files)


def test_a_pipe_among_the_files_holds_nothing_up(tmp_path):
    files = write_phantom_series(tmp_path / "in").files
    os.mkfifo(tmp_path / "in" / "pipe")
    check([files[0], tmp_path / "in" / "pipe", *files[1:]])


SIMPLE = {
    "SOPInstanceUID": b"1.2 |1.02.3|1.2.3\0| 1.2|1|1.2\\1.3||1.x|1.2\0\0\0|1.2.|" + b"1" * 65,
    "ImagePositionPatient": rb"1\2\3|-1.5 \2\3|1e3\2\3|1\2\3 |1\2|1\2\3\4|1\2\|nan\2\3|+1.\.5\-0|1e-05\2\3|1,5\2\3|"
    rb"1_0\2\3|-158.13580322265625\2\3|1e300\2\3|1\2\3  ",
    "RescaleSlope": rb"2|2.50 || |1e2|2\2|x|1E-2|0|-0.0|1e-320",
    "RescaleIntercept": rb"-1024|-1024.0|1e16|999999999999||--1| 5|5  ",
    "AcquisitionNumber": rb"1|01|1 || |1.0|-1|1.5|12345678901|1\2|x|  7",
    "EchoTime": rb"1|01|1 || |1.0|-1|1.5|1e2|1\2|x|1e-2",
    "AcquisitionTime": rb"101500|1015|10|1|| |101500.5|101500.123456 |10:15:00|101500\101501|x",
}
"""Values of an element, as they may stand in a file, with a bar between them."""


@pytest.mark.parametrize("keyword", SIMPLE)
def test_values_that_change_from_file_to_file_are_those_that_pydicom_reads(tmp_path, keyword):
    """Whichever of them stands in the file that the others are compared with."""
    paths = []
    path = write_phantom_series(tmp_path / "in", shape=(1, 4, 5)).files[0]
    plain = pydicom.dcmread(path)
    if keyword not in plain:
        setattr(plain, keyword, "1")
    tag, vr = plain[keyword].tag, plain[keyword].VR
    for number, value in enumerate(SIMPLE[keyword].split(b"|")):
        raw = value + b" "[: len(value) % 2]
        plain._dict[tag] = RawDataElement(tag, vr, len(raw), raw, 0, False, True)
        paths.append(tmp_path / f"{number}")
        pydicom.dcmwrite(paths[-1], plain)
        assert raw in paths[-1].read_bytes()
    for number in range(len(paths)):
        check(paths[number:] + paths[:number])


@pytest.mark.parametrize("keyword", SIMPLE)
def test_values_of_a_wrong_vr_are_those_that_pydicom_reads(tmp_path, keyword):
    def of_various_lengths(k: int, ds: Dataset) -> None:
        ds.EchoTime = "1" * (k + 1)
        ds.SOPInstanceUID = ds.SOPInstanceUID[: 40 + k]
        ds.AcquisitionTime = "101500.123456"[: 8 + k % 2]

    files = write_phantom_series(tmp_path / "in", modality="PT", edit=of_various_lengths).files
    tag = pydicom.tag.Tag(keyword)
    head = struct.pack("<HH", tag.group, tag.element)
    contents = [path.read_bytes() for path in files]
    for vr in ("UI", "DS", "IS", "TM", "LO", "SH", "CS", "ST", "US", "FD", "AT"):
        for path, content in zip(files, contents, strict=True):
            at = content.index(head, 400)
            path.write_bytes(content[: at + 4] + vr.encode() + content[at + 6 :])
        check(files)


@pytest.mark.parametrize("name", SERIES)
def test_files_with_changed_bytes_are_read_as_pydicom_reads_them(tmp_path, name):
    rng = random.Random(name)
    files = write_phantom_series(tmp_path / "in", shape=(6, 4, 5), **SERIES[name]).files
    for number, path in enumerate(files):
        check(write_mutants(path, tmp_path / f"{number}", 100, rng))


@pytest.mark.parametrize("path", FOREIGN, ids=lambda path: path.name)
def test_foreign_files_and_such_with_changed_bytes_are_read_as_pydicom_reads_them(tmp_path, path):
    check(write_mutants(path, tmp_path / "in", 20, random.Random(path.name)))


@pytest.mark.parametrize("name", QUIRKS)
def test_odd_series_are_read_as_pydicom_reads_them(tmp_path, name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        QUIRKS[name].build(tmp_path / "in")
    check(sorted(path for path in (tmp_path / "in").rglob("*") if path.is_file()))


def test_real_series_are_read_as_pydicom_reads_them():
    if not REAL.is_dir():
        pytest.skip("DLP_LAB_TEST_DATA is not set")
    check(sorted(path for path in REAL.rglob("*") if path.is_file() and path.stat().st_size < 2**28))
