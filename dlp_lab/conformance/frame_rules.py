"""What is asked of a result in one file: of a multi-frame image, and of a Parametric Map."""

from __future__ import annotations

from collections import Counter

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import (
    LegacyConvertedEnhancedCTImageStorage,
    LegacyConvertedEnhancedMRImageStorage,
    LegacyConvertedEnhancedPETImageStorage,
)

from dlp_lab.conformance.pair import DerivedSlice, Form, Pair
from dlp_lab.conformance.rule import ONE_FILE, RuleTable
from dlp_lab.geometry import slice_normal

RULES = RuleTable()

_CONVERTED = (
    LegacyConvertedEnhancedCTImageStorage,
    LegacyConvertedEnhancedMRImageStorage,
    LegacyConvertedEnhancedPETImageStorage,
)
_MAP: tuple[Form, ...] = ("parametric_map",)
_UCUM = {"HU": "[hnsf'U]", "BQML": "Bq/ml", "CNTS": "{counts}", "GML": "g/ml", None: "1", "US": "1", "NONE": "1"}
"""Units of those that most series have; others are not judged."""


def _strings(value: object) -> list[str]:
    return [value] if isinstance(value, str) else [str(part) for part in value or ()]  # type: ignore[attr-defined]


@RULES.whole_series("PS3.3 A.70 to A.72, A.75", ONE_FILE)
def one_file(pair: Pair) -> str | None:
    """The result is one file."""
    return None if len(pair.derived_files) == 1 else f"there are {len(pair.derived_files)} files beside each other"


@RULES.each_slice("PS3.3 C.7.6.16.1.1", ONE_FILE)
def frames_counted(slice_: DerivedSlice, pair: Pair) -> str | None:
    """NumberOfFrames is that of the per-frame functional groups."""
    groups = sum(other.header.path == slice_.header.path for other in pair.derived)
    told = int(slice_.ds.NumberOfFrames)
    return None if told == groups else f"NumberOfFrames (0028,0008) is {told}, there are {groups} functional groups"


@RULES.each_slice("PS3.3 C.8.16.1, C.8.32.3.1", ONE_FILE)
def frame_type_derived(slice_: DerivedSlice, pair: Pair) -> str | None:
    """FrameType is there and says what ImageType says, value for value, where ImageType is not MIXED."""
    image_type, frame_type = _strings(slice_.ds.get("ImageType")), _strings(slice_.ds.get("FrameType"))
    if len(frame_type) == 4 and all(i in ("MIXED", f) for i, f in zip(image_type, frame_type, strict=True)):
        return None
    return "FrameType (0008,9007) is absent, has not four values, or is not that of ImageType (0008,0008)"


@RULES.whole_series("PS3.3 C.7.6.17", ONE_FILE)
def frames_in_order(pair: Pair) -> str | None:
    """InStackPositionNumber and DimensionIndexValues count the frames of a stack along their normal, each once."""
    normal = slice_normal(pair.derived[0].header.orientation or ())
    depth_mm = [float(normal @ np.asarray(slice_.header.position_lps_mm)) for slice_ in pair.derived]
    if len({str(slice_.ds.get("StackID")) for slice_ in pair.derived}) > 1:
        return "the frames are in several stacks (StackID (0020,9056))"
    numbers = [int(slice_.ds.InStackPositionNumber) for slice_ in pair.derived]
    indices = [tuple(slice_.ds.DimensionIndexValues) for slice_ in pair.derived]
    if max(Counter(indices).values()) > 1:
        return "two frames have the same DimensionIndexValues (0020,9157)"
    by_depth = [numbers[k] for k in np.argsort(depth_mm)]
    in_order = by_depth in (sorted(numbers), sorted(numbers, reverse=True)) and len(set(numbers)) == len(numbers)
    return None if in_order else "InStackPositionNumber (0020,9057) does not count the frames along their normal"


@RULES.whole_series("PS3.3 C.7.6.16.2.1", ONE_FILE)
def frame_spacing_true(pair: Pair) -> str | None:
    """SpacingBetweenSlices is absent or within 1 % of the distance between the frames along their normal."""
    told = {str(slice_.ds.get("SpacingBetweenSlices") or "") for slice_ in pair.derived} - {""}
    if not told or len(pair.derived) < 2 or pair.source[0].frame is not None:
        return None
    normal = slice_normal(pair.derived[0].header.orientation or ())
    depths_mm = np.sort([float(normal @ np.asarray(slice_.header.position_lps_mm)) for slice_ in pair.derived])
    gap_mm = float(np.median(np.diff(depths_mm)))
    if all(abs(abs(float(value)) - gap_mm) <= 0.011 * gap_mm for value in told):
        return None
    return "SpacingBetweenSlices (0018,0088) is not the distance between the frames"


@RULES.each_slice("PS3.3 C.7.6.16.2.6", ONE_FILE)
def derivation_coded(slice_: DerivedSlice, pair: Pair) -> str | None:
    """DerivationCodeSequence of each frame has a code."""
    codes = slice_.ds.get("DerivationCodeSequence") or []
    complete = all(code.get("CodeValue") and code.get("CodeMeaning") for code in codes)
    return None if codes and complete else "DerivationCodeSequence (0008,9215) is absent or has no code"


@RULES.each_slice("PS3.3 C.12.4.1.2, C.7.6.16.2.27", ["multiframe"])
def conversion_source_known(slice_: DerivedSlice, pair: Pair) -> str | None:
    """ConversionSourceAttributesSequence names the source image at the same place, if the image is a converted one."""
    if slice_.header.sop_class_uid not in _CONVERTED or pair.resampled:
        return None
    if slice_.source.frame is not None:
        return None  # converted before the derivation, from images that are not at hand
    if slice_.ds.get("ReferencedSOPInstanceUID") == slice_.source.header.sop_instance_uid:
        return None
    return "ConversionSourceAttributesSequence (0020,9172) does not name the source image at the same place"


@RULES.whole_series("PS3.3 C.8.13.1, C.12.2", ONE_FILE)
def evidence_complete(pair: Pair) -> str | None:
    """All images that frames refer to are listed once, in their series and study, and no others."""
    ds, source = pair.derived[0].ds, pair.source[0].header
    if not source.study_instance_uid or not source.series_instance_uid:
        return None
    if pair.form == "parametric_map":
        series, references = list(ds.get("ReferencedSeriesSequence") or []), "ReferencedInstanceSequence"
    else:
        earlier = list(pair.source[0].ds.get("SourceImageEvidenceSequence") or [])
        studies = [study for study in ds.get("SourceImageEvidenceSequence") or [] if study not in earlier]
        if {study.get("StudyInstanceUID") for study in studies} != {source.study_instance_uid}:
            return "SourceImageEvidenceSequence (0008,9154) is absent or names another study"
        series, references = (
            [one for study in studies for one in study.ReferencedSeriesSequence],
            "ReferencedSOPSequence",
        )
    if {one.get("SeriesInstanceUID") for one in series} != {source.series_instance_uid}:
        return "the list of the images that frames refer to is absent or names another series"
    listed = Counter(image.ReferencedSOPInstanceUID for one in series for image in one[references].value)
    used = {
        item.ReferencedSOPInstanceUID for slice_ in pair.derived for item in slice_.ds.get("SourceImageSequence", [])
    }
    if used <= listed.keys() <= pair.source_images.keys() and max(listed.values()) == 1:
        return None
    return "the list of the images that frames refer to lacks one, has one twice, or has one that is not in the source"


@RULES.each_slice("PS3.3 C.7.6.16.2.11", ONE_FILE)
def unit_coded(slice_: DerivedSlice, pair: Pair) -> str | None:
    """MeasurementUnitsCodeSequence of a Parametric Map, and of PET frames, has the UCUM code of the source's unit."""
    if pair.form == "multiframe" and (pair.modality != "PT" or slice_.source.frame is not None):
        return None
    units: list[Dataset] = list(slice_.ds.get("MeasurementUnitsCodeSequence") or [])
    if len(units) != 1 or units[0].get("CodingSchemeDesignator") != "UCUM" or not units[0].get("CodeValue"):
        return "MeasurementUnitsCodeSequence (0040,08EA) is absent or has no UCUM code"
    unit = slice_.source.header.unit
    if unit in _UCUM and units[0].CodeValue != _UCUM[unit]:
        return "MeasurementUnitsCodeSequence (0040,08EA) has another unit than the source"
    return None


@RULES.each_slice("PS3.3 C.7.6.16.2.11", ONE_FILE)
def real_world_mapping_true(slice_: DerivedSlice, pair: Pair) -> str | None:
    """A real world value mapping says what the rescale says; that of a Parametric Map is the identity."""
    ends = [slice_.ds.get("RealWorldValueSlope"), slice_.ds.get("RealWorldValueIntercept")]
    if pair.form == "multiframe" and ends == [None, None]:
        return None
    told = [float(slice_.header.rescale_slope), float(slice_.header.rescale_intercept)]
    if pair.form == "parametric_map" and told != [1, 0]:
        return "PixelValueTransformationSequence (0028,9145) of a Parametric Map is not the identity"
    return None if ends == told else "RealWorldValueMappingSequence (0040,9096) says something else than the rescale"


@RULES.each_slice("PS3.3 C.7.6.24, C.8.32.2", _MAP)
def float_pixels(slice_: DerivedSlice, pair: Pair) -> str | None:
    """Pixels of a Parametric Map are 32-bit floating point numbers, without what describes integers."""
    ds = slice_.ds
    if ds.get("BitsAllocated") != 32 or any(name in ds for name in ("BitsStored", "HighBit", "PixelRepresentation")):
        return "BitsAllocated (0028,0100) is not 32, or BitsStored, HighBit or PixelRepresentation is there"
    return None


@RULES.each_slice("PS3.3 C.8.32.2", _MAP)
def appearance_stated(slice_: DerivedSlice, pair: Pair) -> str | None:
    """BurnedInAnnotation of a Parametric Map is NO, and RecognizableVisualFeatures the source's, or YES."""
    if slice_.ds.get("BurnedInAnnotation") != "NO" or slice_.source.ds.get("BurnedInAnnotation") == "YES":
        return "BurnedInAnnotation (0028,0301) is not NO, here or in the source"
    expected = slice_.source.ds.get("RecognizableVisualFeatures") or "YES"
    told = slice_.ds.get("RecognizableVisualFeatures")
    return None if told == expected else "RecognizableVisualFeatures (0028,0302) promises more than the source"


@RULES.each_slice("PS3.3 C.8.32.2, C.7.5.2", _MAP)
def content_identified(slice_: DerivedSlice, pair: Pair) -> str | None:
    """ContentLabel, ContentDescription and the equipment are told, ContentCreatorName is there, if empty."""
    needed = ("ContentLabel", "ContentDescription", "ManufacturerModelName", "DeviceSerialNumber", "SoftwareVersions")
    absent = [keyword for keyword in needed if not slice_.ds.get(keyword)]
    absent += [keyword for keyword in ("ContentCreatorName",) if keyword not in slice_.ds]
    return f"absent or empty: {', '.join(absent)}" if absent else None
