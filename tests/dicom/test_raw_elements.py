"""The walk over encoded elements finds what pydicom finds, or says that it does not know."""

from __future__ import annotations

import zlib
from io import BytesIO

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_partial
from pydicom.sequence import Sequence
from pydicom.uid import DeflatedExplicitVRLittleEndian

from dlp_lab.dicom.raw_elements import raw_elements
from tests.contracts.header_source_contract import burdened
from tests.dicom.test_foreign_files import FILES
from tests.phantom import write_phantom_series


def data_set_start(content: bytes) -> int | None:
    """Where the data set of a file in the format of PS3.10 begins; None of others."""
    file = BytesIO(content)
    try:
        read_partial(file, stop_when=lambda tag, vr, length: True)
    except (InvalidDicomError, zlib.error):
        return None
    return file.tell()


def nested(k: int, ds: Dataset) -> None:
    """Sequences of undefined length in one another."""
    inner, outer = Dataset(), Dataset()
    inner.CodeValue = "1"
    inner.is_undefined_length_sequence_item = True
    outer.ConceptCodeSequence = Sequence([inner, Dataset()])
    outer["ConceptCodeSequence"].is_undefined_length = True
    ds.ProcedureCodeSequence = Sequence([outer, inner])
    ds["ProcedureCodeSequence"].is_undefined_length = True
    ds.RequestAttributesSequence = Sequence([])
    ds["RequestAttributesSequence"].is_undefined_length = True


def assert_as_pydicom_finds_it(content: bytes) -> None:
    start = data_set_start(content)
    assert start is not None
    found = raw_elements(content, start)
    assert found is not None and found.complete
    ds = pydicom.dcmread(BytesIO(content), stop_before_pixels=True)
    tags = [tag for tag in ds.keys() if tag < 0x7FE00008]  # noqa: SIM118 - keys() is raw
    assert list(found.at) == sorted(tags)
    for tag, (vr, value, end) in found.at.items():
        element = ds.get_item(tag)
        if element.is_raw:
            assert (element.VR.encode(), element.value_tell) == (vr, value)
            assert element.length == 0xFFFFFFFF or element.value == content[value:end]


@pytest.mark.parametrize("edit", [None, burdened, nested])
@pytest.mark.filterwarnings("ignore:Invalid value")
def test_it_finds_the_elements_that_pydicom_finds_where_pydicom_finds_them(tmp_path, edit):
    for path in write_phantom_series(tmp_path, edit=edit).files:
        assert_as_pydicom_finds_it(path.read_bytes())


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_in_files_of_others_it_finds_what_pydicom_finds_or_does_not_know():
    walked = 0
    for path in FILES:
        content = path.read_bytes()
        start = data_set_start(content)
        found = None if start is None else raw_elements(content, start)
        if found is None or not found.complete:
            continue
        ds = pydicom.dcmread(path, stop_before_pixels=True)
        syntax = ds.file_meta.get("TransferSyntaxUID")
        if ds.original_encoding == (False, True) and syntax != DeflatedExplicitVRLittleEndian:
            assert_as_pydicom_finds_it(content)
            walked += 1
    assert walked > 20


def test_of_a_part_of_the_bytes_it_finds_the_elements_that_are_whole(tmp_path):
    content = write_phantom_series(tmp_path, edit=nested).files[0].read_bytes()
    start = data_set_start(content)
    whole = raw_elements(content, start)
    ends = {start, *(end for _, _, end in whole.at.values())}
    for size in range(start, whole.end):
        part = raw_elements(content[:size], start)
        assert part.complete == (size in ends)
        assert part.at == {tag: place for tag, place in whole.at.items() if place[2] <= size}
        assert part.end == max(end for end in ends if end <= size)


US = b"\x28\x00\x10\x00US\x02\x00\x05\x00"
ODD = {
    "an unknown VR": US.replace(b"US", b"XX"),
    "no VR at all": b"\x28\x00\x10\x00\x02\x00\x00\x00\x05\x00",
    "a tag twice": US + US,
    "a smaller tag after a larger one": US + b"\x08" + US[1:],
    "the end of an item that never began": US + b"\xfe\xff\x0d\xe0US\x02\x00\x05\x00",
    "reserved bytes that are not 0": b"\x09\x00\x10\x00OB\x01\x00\x00\x00\x00\x00",
    "undefined length without items": b"\x09\x00\x10\x00OB\x00\x00" + b"\xff" * 4,
    "an element in place of an item": b"\x08\x00\x32\x10SQ\x00\x00" + b"\xff" * 4 + US,
    "an unknown VR within an item": b"\x08\x00\x32\x10SQ\x00\x00"
    + b"\xff" * 4
    + b"\xfe\xff\x00\xe0"
    + b"\xff" * 4
    + US.replace(b"US", b"XX"),
}
ODD["sequences in sequences without end"] = 100 * (
    b"\x08\x00\x32\x10SQ\x00\x00" + b"\xff" * 4 + b"\xfe\xff\x00\xe0" + b"\xff" * 4
)


@pytest.mark.parametrize("what", sorted(ODD))
def test_it_does_not_know_what_to_make_of(what):
    assert raw_elements(ODD[what]) is None
