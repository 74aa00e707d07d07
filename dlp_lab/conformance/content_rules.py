"""Where the derived images lie and what their pixels mean."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pydicom
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from dlp_lab.conformance.identity_rules import changed
from dlp_lab.conformance.pair import DerivedSlice, Pair
from dlp_lab.conformance.rule import INTEGERS, RuleTable

RULES = RuleTable()

_PLACE = (
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "SliceThickness",
    "SpacingBetweenSlices",
    "SliceLocation",
)
_SERIES_EXTREMES = ("SmallestPixelValueInSeries", "LargestPixelValueInSeries")
_PADDING = ("PixelPaddingValue", "PixelPaddingRangeLimit")
_TABLES = ("VOILUTSequence", "ModalityLUTSequence", "PresentationLUTSequence")
_MAPPINGS = ("RealWorldValueMappingSequence", "ReferencedImageRealWorldValueMappingSequence")
_OF_THE_OLD_BYTES = (
    "IconImageSequence",
    "MACParametersSequence",
    "DigitalSignaturesSequence",
    "DataSetTrailingPadding",
    "InstanceCreatorUID",
)


def _listed(value: Any) -> list[Any]:
    if value is None or value == "":
        return []
    return list(value) if isinstance(value, (MultiValue, list, tuple)) else [value]


def _present(ds: Dataset, keywords: Sequence[str]) -> str | None:
    names = [keyword for keyword in keywords if keyword in ds]
    return f"left over from the source's pixels: {', '.join(names)}" if names else None


def _within(ds: Dataset, first_group: int, last_group: int) -> str | None:
    tags = [str(tag) for tag in list(ds.keys()) if first_group <= tag.group <= last_group]
    return f"left over from the source's pixels: {tags[0]}" if tags else None


@RULES.whole_series("PS3.3 C.7.6.2")
def slice_count(pair: Pair) -> str | None:
    """There are as many derived images as source images."""
    before, after = len(pair.source), len(pair.derived)
    if pair.resampled or before == after:
        return None
    return f"{after} derived images, {before} source images"


@RULES.each_slice("PS3.3 C.7.6.2.1.1")
def place_kept(slice_: DerivedSlice, pair: Pair) -> str | None:
    """Position, orientation, spacing and thickness are those of a source image, digit for digit."""
    if pair.resampled:
        return None
    if not slice_.at_place_of_source:
        return "ImagePositionPatient (0020,0032): no source image lies there"
    if slice_.frame is None or slice_.source.frame is not None:
        return changed(slice_, _PLACE[:-1] if pair.form == "parametric_map" else _PLACE)  # a map has no SliceLocation
    # a frame needs a thickness (PS3.3 C.7.6.16.2.1), and its spacing is left to `frame-spacing-true`
    told = slice_.source.ds.get("SliceThickness") not in (None, "")
    return changed(slice_, (*_PLACE[:3], "SliceThickness") if told else _PLACE[:3])


@RULES.whole_series("PS3.3 C.7.6.2.1.1")
def place_once(pair: Pair) -> str | None:
    """No two derived images lie at the same place."""
    places = {slice_.header.position_lps_mm for slice_ in pair.derived}
    return None if len(places) == len(pair.derived) else "two derived images have the same ImagePositionPatient"


@RULES.each_slice("PS3.3 C.7.4.1")
def frame_of_reference_kept(slice_: DerivedSlice, pair: Pair) -> str | None:
    """FrameOfReferenceUID and PositionReferenceIndicator are the source's; frames need one even if it has none."""
    if slice_.frame is not None and "FrameOfReferenceUID" not in slice_.source.ds:
        needed = slice_.source.frame is None or pair.form == "parametric_map"
        absent = needed and not slice_.ds.get("FrameOfReferenceUID")
        return "FrameOfReferenceUID (0020,0052) is absent" if absent else None
    return changed(slice_, ["FrameOfReferenceUID", "PositionReferenceIndicator"])


@RULES.each_slice("PS3.3 C.7.6.3")
def matrix_kept(slice_: DerivedSlice, pair: Pair) -> str | None:
    """Rows, Columns and the photometric interpretation are the source's."""
    mine, theirs = slice_.header, slice_.source.header
    if not pair.resampled and (mine.rows, mine.columns) != (theirs.rows, theirs.columns):
        return f"{mine.rows} x {mine.columns} pixels, the source has {theirs.rows} x {theirs.columns}"
    if pair.form == "parametric_map":
        is_map = slice_.ds.get("PhotometricInterpretation") == "MONOCHROME2" and slice_.ds.get("SamplesPerPixel") == 1
        return None if is_map else "PhotometricInterpretation (0028,0004) is not MONOCHROME2, or samples are not 1"
    return changed(slice_, ["PhotometricInterpretation", "SamplesPerPixel"])


@RULES.each_slice("PS3.3 C.7.6.3, C.8.2.1; PS3.5 8.1.1", INTEGERS)
def pixel_format(slice_: DerivedSlice, pair: Pair) -> str | None:
    """Pixels are 16 bits, with the highest stored bit on top of the stored ones."""
    header = slice_.header
    if header.bits_allocated != 16:
        return f"BitsAllocated (0028,0100) is {header.bits_allocated}; CT, MR and PET images have 16"
    if not 12 <= header.bits_stored <= 16 or header.high_bit != header.bits_stored - 1:
        return f"BitsStored (0028,0101) is {header.bits_stored} and HighBit (0028,0102) {header.high_bit}"
    return None


@RULES.each_slice("PS3.3 C.8.2.1, C.8.9.4, C.11.1", INTEGERS)
def rescale_present(slice_: DerivedSlice, pair: Pair) -> str | None:
    """RescaleSlope and RescaleIntercept are there where the modality or the source needs them, the slope not 0."""
    pieces = [slice_.ds.get("RescaleSlope"), slice_.ds.get("RescaleIntercept")]
    needed = pair.modality in ("CT", "PT") or any(piece is not None for piece in pieces)
    if not needed:
        return None
    if any(piece is None for piece in pieces):
        return "RescaleSlope (0028,1053) or RescaleIntercept (0028,1052) is absent"
    slope = float(slice_.ds.RescaleSlope)
    return None if math.isfinite(slope) and slope != 0 else "RescaleSlope (0028,1053) is 0 or no number"


@RULES.each_slice("PS3.3 C.11.1.1.2, C.8.2.1.1.2, C.8.9.1", INTEGERS)
def unit_kept(slice_: DerivedSlice, pair: Pair) -> str | None:
    """The unit of the values is the source's: RescaleType, or Units of PET."""
    if pair.modality == "PT":
        return changed(slice_, ["Units"])
    mine, theirs = slice_.ds.get("RescaleType"), slice_.source.ds.get("RescaleType")
    if pair.modality == "MR" and "RescaleSlope" in slice_.ds and not mine:
        return "RescaleType (0028,1054) is absent beside RescaleSlope"
    # without a RescaleType a CT image is in HU, and others have no unit that could be named
    implied = "HU" if pair.modality == "CT" else "US"
    return None if (mine or implied) == (theirs or implied) else "RescaleType (0028,1054) is not that of the source"


@RULES.each_slice("PS3.3 C.8.9.4.1.6", INTEGERS)
def pet_intercept_zero(slice_: DerivedSlice, pair: Pair) -> str | None:
    """RescaleIntercept of a PET image is 0."""
    intercept = slice_.ds.get("RescaleIntercept")
    return "RescaleIntercept (0028,1052) is not 0" if pair.modality == "PT" and intercept else None


@RULES.each_slice("PS3.3 C.11.2.1.2")
def window_valid(slice_: DerivedSlice, pair: Pair) -> str | None:
    """Every WindowWidth is at least 1 and has its WindowCenter."""
    widths, centers = _listed(slice_.ds.get("WindowWidth")), _listed(slice_.ds.get("WindowCenter"))
    if len(widths) != len(centers):
        return f"{len(widths)} WindowWidth (0028,1051) for {len(centers)} WindowCenter (0028,1050)"
    return "WindowWidth (0028,1051) is below 1" if any(float(width) < 1 for width in widths) else None


@RULES.each_slice("PS3.5 7.8")
def private_absent(slice_: DerivedSlice, pair: Pair) -> str | None:
    """No private element is left, at any depth: nobody can say whether it is still true."""
    for element in slice_.ds.iterall():
        if element.tag.is_private:
            return f"private element {element.tag}"
    return None


@RULES.each_slice("PS3.3 C.7.6.3")
def extremes_true(slice_: DerivedSlice, pair: Pair) -> str | None:
    """SmallestImagePixelValue and LargestImagePixelValue are absent or true; those of the series are absent."""
    told = [slice_.ds.get("SmallestImagePixelValue"), slice_.ds.get("LargestImagePixelValue")]
    if any(value is not None for value in told):
        pixels = pydicom.dcmread(slice_.header.path).pixel_array
        pixels = pixels if slice_.frame is None or pixels.ndim == 2 else pixels[slice_.frame]
        for value, true in zip(told, (pixels.min(), pixels.max()), strict=True):
            if value is not None and value != true:
                return "SmallestImagePixelValue or LargestImagePixelValue is not that of the pixels"
    return _present(slice_.ds, _SERIES_EXTREMES)


@RULES.each_slice("PS3.3 C.7.5.1.1.2")
def padding_absent(slice_: DerivedSlice, pair: Pair) -> str | None:
    """No PixelPaddingValue is left, for processed padding is no longer one value."""
    return _present(slice_.ds, _PADDING)


@RULES.each_slice("PS3.3 C.11.1, C.11.2")
def tables_absent(slice_: DerivedSlice, pair: Pair) -> str | None:
    """No lookup table is left that was made for the source's stored values."""
    return _present(slice_.ds, _TABLES)


@RULES.each_slice("PS3.3 C.7.6.16.2.11", ["series"])
def real_world_mapping_absent(slice_: DerivedSlice, pair: Pair) -> str | None:
    """No RealWorldValueMappingSequence is left that was made for the source's stored values."""
    return _present(slice_.ds, _MAPPINGS)


@RULES.each_slice("PS3.3 C.9.2")
def overlay_absent(slice_: DerivedSlice, pair: Pair) -> str | None:
    """No overlay (60xx) is left."""
    return _within(slice_.ds, 0x6000, 0x60FF)


@RULES.each_slice("PS3.3 C.10.2 (retired)")
def curve_absent(slice_: DerivedSlice, pair: Pair) -> str | None:
    """No curve (50xx) is left."""
    return _within(slice_.ds, 0x5000, 0x50FF)


@RULES.each_slice("PS3.3 C.7.6.1.1.6, C.12.1.1.3")
def old_bytes_forgotten(slice_: DerivedSlice, pair: Pair) -> str | None:
    """No icon, signature or checksum of the source's bytes is left."""
    return _present(slice_.ds, _OF_THE_OLD_BYTES)
