"""A frame of an enhanced multi-frame file as the data set of a slice, so that it can be derived from like one."""

from __future__ import annotations

from pydicom.dataset import Dataset

from dlp_lab.dicom.derived_header import decimal
from dlp_lab.dicom.encoded_groups import PER_FRAME_GROUPS, SHARED_GROUPS
from dlp_lab.dicom.header import Header

_OF_A_SLICE = (
    "PixelMeasuresSequence",
    "PlanePositionSequence",
    "PlaneOrientationSequence",
    "FrameVOILUTSequence",
)


def frame_data_set(ds: Dataset, header: Header) -> Dataset:
    """What the file says as a whole, and the place, the window and the anatomy of one frame of it.

    Args:
        ds: Of the file, without its pixels; it stays as it is.
        header: Of the frame.
    """
    slice_ = Dataset(parent_encoding=ds.original_character_set)
    implicit, little = ds.original_encoding
    slice_.set_original_encoding(implicit, little, ds.original_character_set)
    for tag in list(ds.keys()):
        if tag not in (SHARED_GROUPS, PER_FRAME_GROUPS):
            slice_[tag] = ds.get_item(tag)
    for group in _groups(ds, header.frame or 0):
        for tag in list(group.keys()):
            slice_[tag] = group.get_item(tag)
    for item in _items(ds, header.frame or 0):
        if "FrameAnatomySequence" in item:
            slice_["FrameAnatomySequence"] = item["FrameAnatomySequence"]
    for keyword, values in (
        ("ImagePositionPatient", header.position_lps_mm),
        ("ImageOrientationPatient", header.orientation),
        ("PixelSpacing", header.pixel_spacing_mm),
    ):
        if keyword not in slice_:  # it stands elsewhere in the file
            setattr(slice_, keyword, [decimal(value) for value in values or ()])
    return slice_


def _groups(ds: Dataset, frame: int) -> list[Dataset]:
    return [item[keyword].value[0] for item in _items(ds, frame) for keyword in _OF_A_SLICE if item.get(keyword)]


def _items(ds: Dataset, frame: int) -> list[Dataset]:
    per_frame = ds.get(PER_FRAME_GROUPS)
    items = [ds[SHARED_GROUPS].value[0]] if ds.get(SHARED_GROUPS) else []
    return items + ([per_frame.value[frame]] if per_frame is not None and per_frame.value else [])
