"""A segmentation beside the series it was made from, frame by frame: what its rules look at.

Read through the functional groups and pydicom's pixels, with nothing of the code that writes segmentations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import UID, SegmentationStorage

from dlp_lab.conformance.pair import Slice
from dlp_lab.geometry import POSITION_TOLERANCE_MM, slice_normal

LABEL_MAP_STORAGE = UID("1.2.840.10008.5.1.4.1.1.66.7")
SEGMENTATIONS = (SegmentationStorage, LABEL_MAP_STORAGE)
BACKGROUND = 0
"""Number of the segment of a label map that is none."""


@dataclass(frozen=True, eq=False)
class SegmentFrame:
    """One frame.

    Attributes:
        number: From 1, as in DICOM.
        segment: ReferencedSegmentNumber; None in a label map, whose pixels are the numbers.
        position_lps_mm: ImagePositionPatient; empty where absent.
        orientation: ImageOrientationPatient; empty where absent.
        pixel_spacing_mm: PixelSpacing; empty where absent.
        references: Items of SourceImageSequence.
        pixels: `(rows, columns)` as stored.
    """

    number: int
    segment: int | None
    position_lps_mm: tuple[float, ...]
    orientation: tuple[float, ...]
    pixel_spacing_mm: tuple[float, ...]
    references: tuple[Dataset, ...]
    pixels: NDArray[Any]


@dataclass(frozen=True, eq=False)
class SegmentationPair:
    """A source series and a segmentation of it.

    Attributes:
        source: Its slices.
        resampled: The source was read with its slices resampled, so no frame lies where a slice of it does.
        path: Of the segmentation.
        ds: Its data set.
        report: The structured report with its measurements, if there is one.
        other_images: SOP class by SOPInstanceUID of other series that it was made from too.
    """

    source: tuple[Slice, ...]
    resampled: bool
    path: Path
    ds: FileDataset
    report: FileDataset | None
    other_images: Mapping[str, str]

    @property
    def is_label_map(self) -> bool:
        """Whether pixels are numbers of segments."""
        return bool(self.ds.get("SOPClassUID") == LABEL_MAP_STORAGE)

    @cached_property
    def segments(self) -> dict[int, Dataset]:
        """The descriptions of structures by their number; the background of a label map is none."""
        items = {int(item.SegmentNumber): item for item in self.ds.get("SegmentSequence") or []}
        return {number: item for number, item in items.items() if number != BACKGROUND or not self.is_label_map}

    @cached_property
    def frames(self) -> tuple[SegmentFrame, ...]:
        """All frames, in their order."""
        shared = (self.ds.get("SharedFunctionalGroupsSequence") or [Dataset()])[0]
        groups = list(self.ds.get("PerFrameFunctionalGroupsSequence") or [])
        pixels = self.ds.pixel_array.reshape(-1, int(self.ds.Rows), int(self.ds.Columns))
        return tuple(
            _frame(number, own, shared, stored)
            for number, (own, stored) in enumerate(zip(groups, pixels, strict=True), start=1)
        )

    def source_at(self, frame: SegmentFrame) -> Slice | None:
        """The source slice at the place of a frame."""
        number = self._source_numbers.get(frame.position_lps_mm)
        return None if number is None else self.source[number]

    @cached_property
    def _source_numbers(self) -> dict[tuple[float, ...], int]:
        """By place of frames which slice of the source lies there; frames are many, and their places few."""
        nowhere = (np.nan,) * 3
        own = np.array([slice_.header.position_lps_mm or nowhere for slice_ in self.source], dtype=np.float64)
        found = {}
        for place in {frame.position_lps_mm for frame in self.frames}:
            off_mm = np.linalg.norm(own - np.asarray(place or nowhere), axis=1)
            nearest = int(np.argmin(np.nan_to_num(off_mm, nan=np.inf)))
            if off_mm[nearest] <= POSITION_TOLERANCE_MM:
                found[place] = nearest
        return found

    def parts(self, frame: SegmentFrame) -> dict[int, NDArray[np.bool_]]:
        """Which pixels of a frame belong, at all, to which segment."""
        if frame.segment is not None:
            return {frame.segment: frame.pixels > 0}
        numbers = (int(number) for number in np.unique(frame.pixels) if number != BACKGROUND)
        return {number: frame.pixels == number for number in numbers}

    @cached_property
    def slice_distance_mm(self) -> float:
        """Mean distance between the source's slices along their normal; the thickness of a single one."""
        places = np.array([slice_.header.position_lps_mm for slice_ in self.source], dtype=np.float64)
        if len(places) < 2:
            return self.source[0].header.slice_thickness_mm or 0.0
        along = places @ slice_normal(self.source[0].header.orientation or ())
        return float(np.ptp(along)) / (len(places) - 1)

    @cached_property
    def sideways_mm(self) -> float:
        """How far the last slice of the source lies beside the normal through the first, as after a gantry tilt."""
        places = np.array([slice_.header.position_lps_mm for slice_ in self.source], dtype=np.float64)
        normal = slice_normal(self.source[0].header.orientation or ())
        ends = places[np.argsort(places @ normal)[[0, -1]]]
        across = ends[1] - ends[0]
        return float(np.linalg.norm(across - (across @ normal) * normal))

    @cached_property
    def voxel_counts(self) -> dict[int, int]:
        """Voxels of each segment, of those that a description or a frame names."""
        counts = dict.fromkeys(self.segments, 0)
        for frame in self.frames:
            for number, part in self.parts(frame).items():
                counts[number] = counts.get(number, 0) + int(part.sum())
        return counts


def read_segmentation(
    source: tuple[Slice, ...],
    path: Path,
    report: Path | None,
    *,
    resampled: bool = False,
    other_images: Mapping[str, str] | None = None,
) -> SegmentationPair:
    """Read a segmentation and its report beside a source that was read."""
    return SegmentationPair(
        source,
        resampled,
        path,
        pydicom.dcmread(path),
        None if report is None else pydicom.dcmread(report),
        other_images or {},
    )


def _frame(number: int, own: Dataset, shared: Dataset, pixels: NDArray[Any]) -> SegmentFrame:
    def group(keyword: str) -> Dataset:
        found: Dataset = ((own.get(keyword) or shared.get(keyword)) or [Dataset()])[0]
        return found

    identified = group("SegmentIdentificationSequence").get("ReferencedSegmentNumber")
    references = [
        reference
        for derivation in own.get("DerivationImageSequence") or shared.get("DerivationImageSequence") or []
        for reference in derivation.get("SourceImageSequence") or []
    ]
    return SegmentFrame(
        number,
        None if identified is None else int(identified),
        _numbers(group("PlanePositionSequence"), "ImagePositionPatient"),
        _numbers(group("PlaneOrientationSequence"), "ImageOrientationPatient"),
        _numbers(group("PixelMeasuresSequence"), "PixelSpacing"),
        tuple(references),
        pixels,
    )


def _numbers(ds: Dataset, keyword: str) -> tuple[float, ...]:
    return tuple(float(value) for value in ds.get(keyword) or ())
