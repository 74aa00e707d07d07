"""A label map as DICOM Segmentation (PS3.3 A.51, A.87), beside the series it was made from.

What does not depend on the frames is made by highdicom (`segmentation_template.py`). What is said of each frame, and
its pixels, are made here while they are written, so that the memory need not hold them.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from dlp_lab.dicom.derived_header import Derivation, derived_uid
from dlp_lab.dicom.encoded_groups import PER_FRAME_GROUPS
from dlp_lab.dicom.encoded_sequence import LARGEST_ELEMENT_BYTES, element_start, encoded_sequence
from dlp_lab.dicom.frame_groups import encoded_file, refuse_too_many_bytes
from dlp_lab.dicom.quiet import quiet
from dlp_lab.dicom.raw_elements import PREAMBLE_BYTES, raw_elements
from dlp_lab.dicom.segmentation_frames import SegmentationFrames
from dlp_lab.dicom.segmentation_groups import (
    REFERENCED_SERIES,
    SOURCE_IMAGES,
    FrameGroups,
    encoded_references,
    encoded_series,
)
from dlp_lab.dicom.segmentation_places import (
    grid_digits,
    matching_slices,
    normal_of,
    positions_lps_mm,
    slice_digits,
)
from dlp_lab.dicom.segmentation_template import require_highdicom, segmentation_template
from dlp_lab.dicom.series import HeaderSource
from dlp_lab.errors import TemplateMismatch, TooLarge
from dlp_lab.geometry import FloatArray
from dlp_lab.label_map import Algorithm, LabelMap, SegmentationForm

FILE_NAME = "segmentation.dcm"
_PIXELS = int(Tag("PixelData"))
_WAY_OUT = "segment fewer slices at a time"


@dataclass(frozen=True)
class WrittenSegmentation:
    """What was written.

    Attributes:
        series_instance_uid: Of the new series.
        file: The one file of it.
        indices: Slice indices of the source's slices in the volume; padded slices are not written.
    """

    series_instance_uid: str
    file: Path
    indices: tuple[int, ...]


def write_segmentation(
    source: HeaderSource,
    label_map: LabelMap,
    algorithm: Algorithm,
    form: SegmentationForm,
    folder: Path,
    derivation: Derivation,
) -> WrittenSegmentation:
    """Write a label map as one file.

    Args:
        source: The series it was made from; its headers are read again.
        label_map: On the source's grid.
        algorithm: What made it.
        form: "binary" has a frame for each label and slice where it occurs, "labelmap" one for each slice where any
            does, "fractional" as binary, with how surely in 255 steps.
        folder: Existing folder; it gets `segmentation.dcm`.
        derivation: Names the result.

    Raises:
        ModelsMissing: highdicom is not installed.
        TemplateMismatch: The labels do not lie on the source's grid, in its frame of reference.
        Malformed: What the source says of patient or study cannot be carried over.
        TooLarge: There are more frames than a file can hold.
    """
    require_highdicom()
    if not label_map.geometry.matches(source.geometry):
        raise TemplateMismatch("the labels do not lie on the grid of their source, in its frame of reference")
    series_uid = derived_uid(derivation.uid_seed, source.headers[0].series_instance_uid)
    ks = tuple(range(source.geometry.shape[0])) if source.resampling is not None else source.indices
    path = folder / FILE_NAME
    with quiet():
        ds = segmentation_template(source, label_map, algorithm, form, series_uid, derivation)
        positions = positions_lps_mm(source, ks)
        normal = normal_of(ds.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0].ImageOrientationPatient)
        frames = SegmentationFrames(label_map, form, ks, (positions @ normal).argsort(kind="stable").tolist())
        if form == "labelmap" or len(label_map.labels) == 1:
            _say_whether_evenly_spaced(ds, positions[sorted(frames.planes)])
        groups = _frame_groups(ds, source, ks, positions, normal, frames)
        bits_allocated = int(ds.BitsAllocated)
        pixel_bits = source.geometry.shape[1] * source.geometry.shape[2] * bits_allocated
        refuse_too_many_bytes(len(frames), math.ceil(pixel_bits / 8), _WAY_OUT)
        ds.NumberOfFrames = len(frames)
        references = {
            SOURCE_IMAGES: encoded_sequence(SOURCE_IMAGES, encoded_references(source.headers)),
            REFERENCED_SERIES: encoded_series(source.headers, derivation.other_sources),
        }
        for tag in (*references, PER_FRAME_GROUPS):
            del ds[tag]
        del ds.PixelData
        # encoded first, for pydicom takes the number from the error of a full disk
        header = _with_elements(bytes(encoded_file(ds)), references)
    pixel_bytes = math.ceil(len(frames) * pixel_bits / 8)
    path.unlink(missing_ok=True)
    with open(path, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(header)
        _write_groups(file, map(groups.encoded, frames))
        file.write(element_start(_PIXELS, b"OB" if bits_allocated <= 8 else b"OW", pixel_bytes + pixel_bytes % 2))
        for pixels in frames.encoded_pixels(bits_allocated):
            file.write(pixels)
        file.write(b"\0" * (pixel_bytes % 2))
    return WrittenSegmentation(series_uid, path, ks)


def _say_whether_evenly_spaced(ds: Dataset, positions: FloatArray) -> None:
    """Frames that are told apart by their place alone may be a volume (PS3.3 C.7.6.17)."""
    import highdicom

    orientation = ds.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0].ImageOrientationPatient
    if len(positions) > 1:
        spacing, _ = highdicom.spatial.get_volume_positions(positions.tolist(), orientation, sort=False)
        if spacing is not None and spacing > 0:
            ds.DimensionOrganizationType = "3D"


def _frame_groups(
    ds: Dataset,
    source: HeaderSource,
    ks: Sequence[int],
    positions: FloatArray,
    normal: FloatArray,
    frames: SegmentationFrames,
) -> FrameGroups:
    """The groups of frames that lie in these planes; what is said of the template's one frame tells of all."""
    told = ds.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence
    is_in_place = bool(told) and told[0].SourceImageSequence[0].SpatialLocationsPreserved == "YES"
    slices = None
    if told:
        sources = np.array([header.position_lps_mm for header in source.headers], float)
        if is_in_place:
            slices = matching_slices(positions, sources, normal, in_place=True)
        is_in_place = slices is not None
        if slices is None:
            slices = matching_slices(positions, sources, normal, in_place=False)
    if source.resampling is not None and not is_in_place:
        digits = grid_digits(source, ks, frames.planes)
    else:
        shown = {plane: plane if slices is None else slices[plane][0] for plane in frames.planes}
        digits = slice_digits(source, shown)
    is_identified = len(ds.SegmentSequence) > 1
    return FrameGroups(source.headers, digits, slices, in_place=is_in_place, identified=is_identified)


def _with_elements(encoded: bytes, added: Mapping[int, bytes]) -> bytes:
    """An encoded file with elements put where their tags belong."""
    elements = raw_elements(encoded, PREAMBLE_BYTES)
    assert elements is not None, "pydicom writes what can be walked over"
    parts, done = [], 0
    for tag in sorted(added):
        place = max((end for other, (_, _, end) in elements.at.items() if other < tag), default=PREAMBLE_BYTES)
        parts += [encoded[done:place], added[tag]]
        done = place
    return b"".join([*parts, encoded[done:]])


def _write_groups(file: BinaryIO, items: Iterable[bytes]) -> None:
    """Write the groups of each frame, and then how long they are.

    Raises:
        TooLarge: They do not fit into one element.
    """
    start = file.tell()
    file.write(element_start(PER_FRAME_GROUPS, b"SQ", 0))
    first = file.tell()
    for item in items:
        file.write(item)
    end = file.tell()
    if end - first > LARGEST_ELEMENT_BYTES:
        raise TooLarge(f"what is said of each frame does not fit into one file (PS3.5 7.1.1: 4 GiB); {_WAY_OUT}")
    file.seek(start)
    file.write(element_start(PER_FRAME_GROUPS, b"SQ", end - first))
    file.seek(end)
