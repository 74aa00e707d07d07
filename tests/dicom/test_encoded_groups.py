"""Functional groups that are walked as bytes say what pydicom says of them, or are left to it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from pydicom.data import get_testdata_files
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from dlp_lab.dicom import encoded_groups, functional_groups
from dlp_lab.dicom.data_set import read_data_set, read_with_groups
from dlp_lab.dicom.element_values import element_values
from dlp_lab.dicom.encoded_groups import PER_FRAME_GROUPS, EncodedElements, Unfamiliar
from dlp_lab.dicom.functional_groups import FRAME_DISCRIMINATING, read_frames_values, read_functional_groups
from dlp_lab.dicom.header import DISCRIMINATING, ENHANCED, Header
from dlp_lab.dicom.header_reading import read_header
from dlp_lab.errors import TooLarge
from tests.dicom.quirks.frames import FRAMES, in_frames, undefined_lengths
from tests.dicom.quirks.verdict import Accepted, resaved
from tests.enhanced_phantom import write_enhanced_phantom

DATA = Path(os.environ.get("DLP_LAB_TEST_DATA", "/dev/null/none"))
KEYWORDS = (
    *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness"),
    *("RescaleSlope", "RescaleIntercept", "RescaleType", "Units", *FRAME_DISCRIMINATING, *DISCRIMINATING),
)


def values_of_both(path: Path) -> tuple[list[list[str]], list[list[str]]]:
    """What the walker and what pydicom reads of each frame, as text; the walker must not give up."""
    with open(path, "rb") as file:
        count = int(pydicom.dcmread(path, specific_tags=["NumberOfFrames"]).get("NumberOfFrames") or 1)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(functional_groups, "MAX_UNFAMILIAR_BYTES", -1)
            _, _, walked = read_frames_values(file, part_10=True, count=count)
        reference = list(read_functional_groups(file, part_10=True).frames(count))
    return [[_text(frame, keyword) for keyword in KEYWORDS] for frame in walked], [
        [_text(frame, keyword) for keyword in KEYWORDS] for frame in reference
    ]


def _text(frame: dict, keyword: str) -> str:
    return "\\".join(str(value).strip() for value in element_values(frame, keyword) or ())


def enhanced_files() -> Iterator[Path]:
    files = {Path(name) for name in get_testdata_files() if Path(name).is_file()} | {*DATA.glob("enhanced/*")}
    for path in sorted(files):
        try:
            ds = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["SOPClassUID"])
        except Exception:  # what pydicom raises on its own broken files
            continue
        if ds.get("SOPClassUID") in ENHANCED:
            yield path


@pytest.mark.parametrize("undefined", [False, True], ids=["lengths", "delimiters"])
@pytest.mark.parametrize(
    "syntax",
    [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian],
    ids=lambda uid: uid.keyword,
)
@pytest.mark.parametrize("modality", ["CT", "MR", "PT"])
def test_the_walker_reads_what_pydicom_reads(tmp_path, modality, syntax, undefined):
    path = write_enhanced_phantom(tmp_path / "a.dcm", modality=modality, transfer_syntax=syntax).file
    if undefined:
        undefined_lengths(path)
    walked, reference = values_of_both(path)
    assert walked == reference
    assert all(any(frame) for frame in walked)


@pytest.mark.parametrize("name", [name for name, quirk in FRAMES.items() if isinstance(quirk.verdict, Accepted)])
def test_the_walker_reads_what_pydicom_reads_of_odd_files(tmp_path, name):
    FRAMES[name].build(tmp_path)
    for path in tmp_path.iterdir():
        walked, reference = values_of_both(path)
        assert walked == reference


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_walker_reads_what_pydicom_reads_of_files_of_others():
    files = list(enhanced_files())
    for path in files:
        walked, reference = values_of_both(path)
        assert walked == reference, path.name
    assert "emri_small.dcm" in {path.name for path in files}


def test_the_walker_finds_the_pixels_where_pydicom_does(tmp_path):
    path = write_enhanced_phantom(tmp_path / "a.dcm").file
    for change in (lambda path: None, undefined_lengths):
        change(path)
        with open(path, "rb") as file:
            _, expected = read_data_set(file, part_10=True)
            assert read_with_groups(file, part_10=True, tags=[])[1] == expected


def test_a_walk_that_needs_more_bytes_reads_them(tmp_path, monkeypatch):
    monkeypatch.setattr(encoded_groups, "_FIRST_BYTES", 100)
    path = write_enhanced_phantom(tmp_path / "a.dcm").file
    undefined_lengths(path)
    walked, reference = values_of_both(path)
    assert walked == reference


def test_text_that_is_not_ascii_is_left_to_pydicom(tmp_path):
    def renamed(number: int, item: Dataset) -> None:
        item.FrameContentSequence[0].StackID = "Stäck"

    path = write_enhanced_phantom(tmp_path / "a.dcm", edit=in_frames(renamed)).file
    with open(path, "rb") as file:
        _, found, frames = read_frames_values(file, part_10=True, count=7)
    assert found == 7
    assert {frame["StackID"] for frame in frames} == {"Stäck"}


def test_a_sequence_in_an_unknown_encoding_is_left_to_pydicom(tmp_path):
    path = write_enhanced_phantom(tmp_path / "a.dcm").file
    content = path.read_bytes()
    path.write_bytes(content.replace(b"\x00\x52\x30\x92SQ", b"\x00\x52\x30\x92UN"))
    with open(path, "rb") as file, pytest.raises(Unfamiliar):
        read_with_groups(file, part_10=True, tags=[])


def test_what_stands_behind_the_groups_out_of_order_is_read_by_pydicom(tmp_path):
    path = write_enhanced_phantom(tmp_path / "a.dcm").file
    content = path.read_bytes()
    at = content.index(b"\xe0\x7f\x10\0OW")
    lut = b"\x28\0\x00\x30SQ\0\0\x08\0\0\0\xfe\xff\0\xe0\0\0\0\0"
    path.write_bytes(content[:at] + lut + content[at:])
    header = read_header(path)
    assert isinstance(header, Header) and header.has_modality_lut


def test_large_groups_that_only_pydicom_can_read_are_refused(tmp_path):
    path = write_enhanced_phantom(tmp_path / "a.dcm").file

    def edit(ds: Dataset) -> None:
        for item in ds.PerFrameFunctionalGroupsSequence:
            item.FrameContentSequence[0].StackID = "Stäck"
            item.add_new(0x00091010, "OB", bytes(2**20))

    resaved(path, edit)
    with open(path, "rb") as file, pytest.raises(TooLarge, match="MiB in an encoding"):
        read_frames_values(file, part_10=True, count=7)


def test_a_walk_has_an_end(monkeypatch):
    monkeypatch.setattr(encoded_groups, "MAX_STEPS", 1000)
    item = b"\xfe\xff\x00\xe0" + bytes(4)
    elements = EncodedElements(item * 2000, implicit=False, little=True, complete=True)
    with pytest.raises(TooLarge, match="1000"):
        elements.items(0, len(elements.data))


def test_a_tag_of_the_groups_is_read_by_pydicom_if_it_is_asked_for(tmp_path):
    path = write_enhanced_phantom(tmp_path / "a.dcm").file
    with open(path, "rb") as file:
        ds, pixels = read_data_set(file, part_10=True, tags=[PER_FRAME_GROUPS])
    assert len(ds.PerFrameFunctionalGroupsSequence) == 7
    assert pixels is not None
