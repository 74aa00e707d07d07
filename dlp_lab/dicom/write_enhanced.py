"""The result of an enhanced multi-frame source: one file of the same SOP class."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from pydicom.dataset import Dataset

from dlp_lab import __version__
from dlp_lab.dicom.derived_frames import (
    RESCALE,
    set_frame_types,
    set_places,
    set_rescales,
    set_stack,
    take_frames,
)
from dlp_lab.dicom.derived_header import (
    Derivation,
    drop_stale,
    mark_lossy,
    set_equipment,
    set_identity,
)
from dlp_lab.dicom.derived_slices import WrittenSlice
from dlp_lab.dicom.frame_derivations import set_derivations
from dlp_lab.dicom.frame_groups import item, references_to, save_frames, set_dimensions, source_evidence, stored_frames
from dlp_lab.dicom.header import Header
from dlp_lab.dicom.pixel_description import set_file_meta
from dlp_lab.dicom.rescale import Rescale
from dlp_lab.dicom.series import HeaderSource

_OF_SINGLE_IMAGES = (
    *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness", "SliceLocation"),
    *RESCALE,
)
_CONCATENATION = (
    "ConcatenationUID",
    "InConcatenationNumber",
    "InConcatenationTotalNumber",
    "ConcatenationFrameOffsetNumber",
)
_COLOURS = (
    "RedPaletteColorLookupTableDescriptor",
    "GreenPaletteColorLookupTableDescriptor",
    "BluePaletteColorLookupTableDescriptor",
    "RedPaletteColorLookupTableData",
    "GreenPaletteColorLookupTableData",
    "BluePaletteColorLookupTableData",
    "SegmentedRedPaletteColorLookupTableData",
    "SegmentedGreenPaletteColorLookupTableData",
    "SegmentedBluePaletteColorLookupTableData",
    "PaletteColorLookupTableUID",
    "LargestMonochromePixelValue",
)
"""Made for stored values of the source (Supplemental Palette Color Lookup Table, PS3.3 C.7.6.19)."""


def write_enhanced(
    source: HeaderSource,
    places: Sequence[WrittenSlice],
    values: Sequence[NDArray[Any]],
    rescales: Sequence[Rescale],
    path: Path,
    derivation: Derivation,
    series_uid: str,
    report: Callable[[float, str], None],
) -> None:
    """Write the frames of a result as one file.

    Args:
        source: The series, whose headers are of frames.
        places: The frames to write, in their order.
        values: `(rows, columns)` real values of each.
        rescales: How each is stored.
        path: New file.
        derivation: What made the values.
        series_uid: Of the new series.
        report: Called with the fraction written and the step's name.
    """
    rows, columns = source.geometry.shape[1:]
    ds = _header(source, places, rescales, derivation, series_uid)
    ds.NumberOfFrames, ds.Rows, ds.Columns = len(values), rows, columns
    save_frames(ds, path, "PixelData", "OW", stored_frames(rescales, values, report), rows * columns * 2)


def _header(
    source: HeaderSource,
    places: Sequence[WrittenSlice],
    rescales: Sequence[Rescale],
    derivation: Derivation,
    series_uid: str,
) -> Dataset:
    resampled = source.resampling is not None
    headers = [source.headers[place.header] for place in places]
    first = headers[0]
    datasets = {}
    for number, header in enumerate(source.headers):
        if header.path not in datasets:
            datasets[header.path] = source.dataset(number)
            drop_stale(datasets[header.path])
    ds = datasets[first.path]
    frames = take_frames(datasets, headers)
    set_identity(ds, first, series_uid, 0, derivation)
    set_frame_types(frames, ds, resampled=resampled)
    set_stack(frames)
    set_rescales(frames, rescales)
    set_places(frames, source.geometry, [place.k for place in places], resampled=resampled)
    contributing = [[source.headers[h] for h in place.contributing] for place in places]
    set_derivations(frames, contributing, derivation, resampled=resampled)
    set_equipment(ds, derivation)
    # required of enhanced equipment (PS3.3 C.7.5.2); a program has no serial number but its version
    ds.DeviceSerialNumber = __version__
    mark_lossy(ds, first)
    for keyword in (*_OF_SINGLE_IMAGES, *_CONCATENATION, *_COLOURS):
        ds.pop(keyword, None)
    if "PixelPresentation" in ds:
        ds.PixelPresentation = "MONOCHROME"
    # one stack, and the place in it: whatever other dimensions the source had, a volume is one point of them
    set_dimensions(ds, series_uid)
    if ds.get("DimensionOrganizationType") != "3D":
        ds.pop("DimensionOrganizationType", None)
    _refer_to_sources(ds, source.headers)
    ds.BitsAllocated = ds.BitsStored = 16
    ds.HighBit, ds.PixelRepresentation = 15, int(rescales[0].signed)
    ds.SharedFunctionalGroupsSequence = [frames.shared]
    ds.PerFrameFunctionalGroupsSequence = list(frames.items)
    set_file_meta(ds)
    return ds


def _refer_to_sources(ds: Dataset, source: Sequence[Header]) -> None:
    """What the frames refer to, listed for the file (PS3.3 Table C.8-131 and C.12.2)."""
    evidence = source_evidence(source)
    if evidence:
        ds.SourceImageEvidenceSequence = [*(ds.get("SourceImageEvidenceSequence") or []), *evidence]
    series_uid = source[0].series_instance_uid
    if "ReferencedSeriesSequence" in ds and series_uid:
        listed = item(SeriesInstanceUID=series_uid, ReferencedInstanceSequence=references_to(source))
        ds.ReferencedSeriesSequence = [*ds.ReferencedSeriesSequence, listed]
