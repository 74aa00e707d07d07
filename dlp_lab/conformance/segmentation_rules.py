"""Rules for a segmentation and the report of its measurements. A rule is written as those of images are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset

from dlp_lab.conformance.findings import Finding, LayerReport
from dlp_lab.conformance.pair import codes_in
from dlp_lab.conformance.rule import answer_of, code_of, sentence_of
from dlp_lab.conformance.segmentation_pair import SegmentationPair

Check = Callable[[SegmentationPair], str | None]

_KEPT = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
    *("StudyInstanceUID", "StudyID", "StudyDate", "StudyTime", "AccessionNumber", "FrameOfReferenceUID"),
)
_SEXES = ("M", "F", "O")
_ORIENTATION_TOLERANCE = 1e-6
_SPACING_TOLERANCE = 1e-6
_VOLUME_TOLERANCE = 1e-3
_VOLUME = "118565006"


@dataclass(frozen=True)
class SegmentationRule:
    """One rule: its stable name, what is true when it is kept, where the standard says so, and what finds it broken."""

    code: str
    sentence: str
    clause: str
    check: Check
    in_place: bool


SEGMENTATION_RULES: list[SegmentationRule] = []


def _rule(clause: str, *, in_place: bool = False) -> Callable[[Check], Check]:
    """Add a rule; one that is `in_place` says nothing where the source's slices were resampled."""

    def add(check: Check) -> Check:
        SEGMENTATION_RULES.append(SegmentationRule(code_of(check), sentence_of(check), clause, check, in_place))
        return check

    return add


def check_segmentation_rules(pair: SegmentationPair) -> LayerReport:
    """Apply every rule that says something of this pair."""
    applied = [rule for rule in SEGMENTATION_RULES if not (rule.in_place and pair.resampled)]
    findings = []
    for rule in applied:
        wrong = answer_of(lambda rule=rule: rule.check(pair))  # type: ignore[misc]
        if wrong:
            findings.append(Finding("rules", rule.code, pair.path.name, wrong))
    frames = len(pair.ds.get("PerFrameFunctionalGroupsSequence") or [])
    return LayerReport(
        "rules",
        f"{len(applied)} rules on a segmentation of {frames} frames",
        tuple(findings),
        not_applicable=tuple(rule.code for rule in SEGMENTATION_RULES if rule not in applied),
    )


# ---- what it is ------------------------------------------------------------------------------------------------------


@_rule("PS3.3 C.12.1, C.7.3.1")
def segmentation_new(pair: SegmentationPair) -> str | None:
    """SOPInstanceUID and SeriesInstanceUID are none of the source's, and the file meta information says the same."""
    images = {slice_.header.sop_instance_uid for slice_ in pair.source}
    series = {slice_.header.series_instance_uid for slice_ in pair.source}
    if pair.ds.SOPInstanceUID in images or pair.ds.SeriesInstanceUID in series:
        return "SOPInstanceUID (0008,0018) or SeriesInstanceUID (0020,000E) is the source's"
    meta = pair.ds.file_meta
    if (meta.MediaStorageSOPInstanceUID, meta.MediaStorageSOPClassUID) != (pair.ds.SOPInstanceUID, pair.ds.SOPClassUID):
        return "the file meta information names another SOP class or instance than the data set"
    return None


@_rule("PS3.3 C.7.1.1, C.7.2.1, C.7.4.1")
def segmentation_of_patient(pair: SegmentationPair) -> str | None:
    """Patient, study and frame of reference are the source's."""
    source = pair.source[0].ds
    for keyword in _KEPT:
        theirs, own = str(source.get(keyword) or ""), str(pair.ds.get(keyword) or "")
        if keyword == "PatientSex" and theirs not in _SEXES:
            theirs = ""  # what is not defined is not passed on
        if theirs != own and (theirs or keyword != "FrameOfReferenceUID"):
            return f"{keyword} is not that of the source"
    return None


@_rule("PS3.3 C.7.6.1.1.2, C.8.20.2")
def segmentation_derived(pair: SegmentationPair) -> str | None:
    """ImageType is DERIVED, PRIMARY, and Modality SEG."""
    if [str(value) for value in pair.ds.ImageType][:2] != ["DERIVED", "PRIMARY"] or pair.ds.Modality != "SEG":
        return "ImageType (0008,0008) is not DERIVED\\PRIMARY, or Modality (0008,0060) not SEG"
    return None


@_rule("PS3.3 C.8.20.2, Table 10-12")
def segmentation_named(pair: SegmentationPair) -> str | None:
    """ContentLabel, ContentDescription and the equipment are told, ContentCreatorName is there, if empty."""
    told = ("ContentLabel", "Manufacturer", "ManufacturerModelName", "DeviceSerialNumber", "SoftwareVersions")
    absent = [keyword for keyword in told if not pair.ds.get(keyword)]
    absent += [keyword for keyword in ("ContentDescription", "ContentCreatorName") if keyword not in pair.ds]
    return f"{absent[0]} is absent" if absent else None


@_rule("PS3.3 C.8.20.2, C.8.20.2.3")
def pixels_of_segmentation(pair: SegmentationPair) -> str | None:
    """Pixels are single bits, fractions with their greatest value, or the numbers of a label map."""
    kind, bits = pair.ds.SegmentationType, int(pair.ds.BitsAllocated)
    if pair.is_label_map != (kind == "LABELMAP"):
        return "SegmentationType (0062,0001) does not fit the SOP class"
    if kind == "FRACTIONAL":
        greatest = int(pair.ds.get("MaximumFractionalValue") or 0)
        fits = bits == 8 and bool(pair.ds.get("SegmentationFractionalType"))
        return None if fits and greatest >= int(pair.ds.pixel_array.max(initial=0)) > -1 else "fractions are not told"
    allowed = {"BINARY": (1,), "LABELMAP": (8, 16)}.get(kind, ())
    return None if bits in allowed else "BitsAllocated (0028,0100) does not fit SegmentationType (0062,0001)"


# ---- its segments ----------------------------------------------------------------------------------------------------


@_rule("PS3.3 C.8.20.4")
def segments_numbered(pair: SegmentationPair) -> str | None:
    """Segments are numbered from 1, in steps of 1 but in a label map, each once, and frames name no other."""
    numbers = [int(item.SegmentNumber) for item in pair.ds.SegmentSequence]
    own = sorted(number for number in numbers if number or not pair.is_label_map)
    if len(set(numbers)) < len(numbers) or (not pair.is_label_map and own != list(range(1, len(own) + 1))):
        return "SegmentNumber (0062,0004) does not count from 1"
    unknown = set(pair.voxel_counts) - set(own)
    return f"frames or pixels belong to segment {min(unknown)}, which is not described" if unknown else None


@_rule("PS3.3 C.8.20.4, Table C.8.20-4")
def segments_coded(pair: SegmentationPair) -> str | None:
    """Every segment has a label, coded category and type, and what found it with its version."""
    for number, item in pair.segments.items():
        for keyword in ("SegmentedPropertyCategoryCodeSequence", "SegmentedPropertyTypeCodeSequence"):
            if not any(codes_in(item.get(keyword))):
                return f"{keyword} of segment {number} has no code"
        if not item.get("SegmentLabel") or not item.get("SegmentAlgorithmType"):
            return f"segment {number} has no SegmentLabel (0062,0005) or SegmentAlgorithmType (0062,0008)"
        if item.SegmentAlgorithmType != "MANUAL":
            made_by = (item.get("SegmentationAlgorithmIdentificationSequence") or [Dataset()])[0]
            if not item.get("SegmentAlgorithmName") or not made_by.get("AlgorithmVersion"):
                return f"segment {number} does not say which algorithm found it, in which version"
    return None


@_rule("PS3.3 C.8.20.4, Table C.8.20-4")
def segments_tracked(pair: SegmentationPair) -> str | None:
    """Every segment has a TrackingUID of its own, and a TrackingID with it."""
    uids = Counter(str(item.get("TrackingUID") or "") for item in pair.segments.values())
    if "" in uids or any(not item.get("TrackingID") for item in pair.segments.values()):
        return "a segment has no TrackingUID (0062,0021) or no TrackingID (0062,0020)"
    return "two segments share a TrackingUID (0062,0021)" if max(uids.values(), default=1) > 1 else None


# ---- its frames ------------------------------------------------------------------------------------------------------


@_rule("PS3.3 C.7.6.2.1.1, C.7.6.16.2", in_place=True)
def frames_in_place(pair: SegmentationPair) -> str | None:
    """Every frame lies at a slice of the source, with its orientation, spacing and matrix."""
    for frame in pair.frames:
        slice_ = pair.source_at(frame)
        if slice_ is None:
            return f"frame {frame.number} lies where no slice of the source does"
        header = slice_.header
        if not np.allclose(frame.orientation, header.orientation or (), rtol=0, atol=_ORIENTATION_TOLERANCE):
            return f"frame {frame.number} has another orientation than the source"
        if not np.allclose(frame.pixel_spacing_mm, header.pixel_spacing_mm or (), rtol=_SPACING_TOLERANCE, atol=0):
            return f"frame {frame.number} has another PixelSpacing (0028,0030) than the source"
        if frame.pixels.shape != (header.rows, header.columns):
            return f"frame {frame.number} has another number of rows or columns than the source"
    return None


@_rule("PS3.3 C.7.6.16.2.1", in_place=True)
def slice_distance_true(pair: SegmentationPair) -> str | None:
    """SpacingBetweenSlices is absent or within 1 % of the distance between the source's slices along their normal."""
    measures = pair.ds.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    told = measures.get("SpacingBetweenSlices")
    if told is None or abs(float(told) - pair.slice_distance_mm) <= 0.01 * pair.slice_distance_mm:
        return None
    return f"SpacingBetweenSlices (0018,0088) is {float(told):g} mm; slices are {pair.slice_distance_mm:g} mm apart"


@_rule("PS3.3 C.8.20.2")
def frames_once(pair: SegmentationPair) -> str | None:
    """No two frames of a segment lie at one place."""
    places = Counter((frame.segment, frame.position_lps_mm) for frame in pair.frames)
    return "two frames of a segment lie at one place" if max(places.values(), default=1) > 1 else None


@_rule("PS3.3 C.7.6.16.2.6; PS3.16 CID 7202", in_place=True)
def frames_refer_to_source(pair: SegmentationPair) -> str | None:
    """Every frame refers to the source image, and frame of it, at its place, with the purpose (121322, DCM)."""
    for frame in pair.frames:
        slice_ = pair.source_at(frame)
        if slice_ is None:
            continue  # which is for `frames-in-place` to say
        header = slice_.header
        wanted = header.sop_instance_uid, header.sop_class_uid, None if slice_.frame is None else slice_.frame + 1
        own = [
            (item.ReferencedSOPInstanceUID, item.ReferencedSOPClassUID, None if number is None else int(number))
            for item in frame.references
            for number in [item.get("ReferencedFrameNumber")]
            if "121322" in codes_in(item.get("PurposeOfReferenceCodeSequence"))
        ]
        if wanted not in own:
            return f"frame {frame.number} does not refer to the source image at its place"
    return None


@_rule("PS3.3 C.12.2")
def source_slices_listed(pair: SegmentationPair) -> str | None:
    """ReferencedSeriesSequence lists every image of the source once, each by its SOP class, and no unknown one."""
    listed = Counter(
        (str(item.ReferencedSOPInstanceUID), str(item.ReferencedSOPClassUID))
        for series in pair.ds.get("ReferencedSeriesSequence") or []
        for item in series.get("ReferencedInstanceSequence") or []
    )
    source = {(str(s.header.sop_instance_uid), str(s.header.sop_class_uid)) for s in pair.source}
    others = {(str(uid), str(sop_class)) for uid, sop_class in pair.other_images.items()}
    if not source <= listed.keys():
        return "ReferencedSeriesSequence (0008,1115) lacks an image of the source"
    if not listed.keys() <= source | others:
        return "ReferencedSeriesSequence (0008,1115) lists an image that is not in the source"
    return "ReferencedSeriesSequence (0008,1115) lists an image twice" if max(listed.values()) > 1 else None


# ---- its report ------------------------------------------------------------------------------------------------------


@_rule("PS3.16 TID 1500, TID 1411", in_place=True)
def measurements_true(pair: SegmentationPair) -> str | None:
    """The report, if there is one, tells of every segment that was found its volume, and refers to it."""
    if pair.report is None:
        return None
    voxel_ml = float(np.prod(pair.frames[0].pixel_spacing_mm)) * pair.slice_distance_mm / 1000 if pair.frames else 0.0
    expected = {number: count * voxel_ml for number, count in pair.voxel_counts.items() if count}
    is_counted = pair.ds.SegmentationType != "FRACTIONAL"  # where a label is a little likely, its fraction is no 0
    told: dict[int, float] = {}
    for group in _groups(pair.report):
        references = [
            item
            for part in group.get("ContentSequence") or []
            for item in part.get("ReferencedSOPSequence") or []
            if item.get("ReferencedSOPInstanceUID") == pair.ds.SOPInstanceUID
        ]
        volumes = [
            float(part.MeasuredValueSequence[0].NumericValue)
            for part in group.get("ContentSequence") or []
            if _VOLUME in codes_in(part.get("ConceptNameCodeSequence")) and part.get("MeasuredValueSequence")
        ]
        if len(references) != 1 or len(volumes) != 1:
            return "a group of measurements does not refer to one segment, or tells not one volume"
        told[int(references[0].ReferencedSegmentNumber)] = volumes[0]
    if not told.keys() <= expected.keys() or (is_counted and told.keys() != expected.keys()):
        return "the report tells of other segments than those that were found"
    for number, ml in told.items():
        if is_counted and abs(ml - expected[number]) > _VOLUME_TOLERANCE * expected[number]:
            return f"the report gives segment {number} {ml:.6g} ml; its voxels have {expected[number]:.6g} ml"
    return None


def _groups(report: Dataset) -> list[Dataset]:
    """The containers that are a "Measurement Group" (125007, DCM)."""
    found = []
    for item in report.get("ContentSequence") or []:
        if "125007" in codes_in(item.get("ConceptNameCodeSequence")):
            found.append(item)
        found += _groups(item)
    return found
