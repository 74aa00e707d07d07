"""That an image is derived, how, when, by whom and from what."""

from __future__ import annotations

from pydicom.dataset import Dataset

from dlp_lab.conformance.identity_rules import changed
from dlp_lab.conformance.pair import DerivedSlice, Pair, codes_in
from dlp_lab.conformance.rule import INTEGERS, RuleTable

RULES = RuleTable()

_ACQUISITION = (
    "AcquisitionDate",
    "AcquisitionTime",
    "AcquisitionDateTime",
    "AcquisitionNumber",
    "PatientPosition",
    "BodyPartExamined",
    "Laterality",
    "ImageLaterality",
    "ProtocolName",
    "KVP",
    "XRayTubeCurrent",
    "ExposureTime",
    "ConvolutionKernel",
    "ReconstructionDiameter",
    "GantryDetectorTilt",
    "ScanningSequence",
    "SequenceVariant",
    "RepetitionTime",
    "EchoTime",
    "InversionTime",
    "FlipAngle",
    "MagneticFieldStrength",
    "ContrastBolusAgent",
    "RadiopharmaceuticalInformationSequence",
    "FrameReferenceTime",
    "ActualFrameDuration",
    "DecayCorrection",
    "DecayFactor",
    "CorrectedImage",
    "SeriesType",
    "NumberOfSlices",
    "ImageIndex",
)
_OF_THE_SERIES = ("PatientPosition", "BodyPartExamined", "Laterality", "ProtocolName")
_LOSSY = ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod")
_MOMENTS = (
    ("SeriesDate", "SeriesTime"),
    ("ContentDate", "ContentTime"),
    ("InstanceCreationDate", "InstanceCreationTime"),
)


def _image_type(ds: Dataset) -> list[str]:
    value = ds.get("ImageType") or []
    return [value] if isinstance(value, str) else [str(part) for part in value]


def _references(slice_: DerivedSlice) -> list[Dataset]:
    return list(slice_.ds.get("SourceImageSequence") or [])


@RULES.each_slice("PS3.3 C.7.6.1.1.2")
def image_type_derived(slice_: DerivedSlice, pair: Pair) -> str | None:
    """ImageType value 1 is DERIVED."""
    if _image_type(slice_.ds)[:1] == ["DERIVED"]:
        return None
    return "ImageType (0008,0008) does not begin with DERIVED, though the pixels are not the scanner's"


@RULES.each_slice("PS3.3 C.7.6.1.1.2, C.8.9.4.1.3, C.8.16.1.2")
def image_type_secondary(slice_: DerivedSlice, pair: Pair) -> str | None:
    """ImageType value 2 is SECONDARY, for PET and in one file PRIMARY."""
    # multi-frame images know no secondary ones (PS3.3 C.8.16.1.2)
    expected = "PRIMARY" if pair.modality == "PT" or pair.form != "series" else "SECONDARY"
    if _image_type(slice_.ds)[1:2] == [expected]:
        return None
    return f"ImageType (0008,0008) value 2 is not {expected}"


@RULES.each_slice("PS3.3 C.7.6.1.1.2", INTEGERS)
def image_type_kept(slice_: DerivedSlice, pair: Pair) -> str | None:
    """ImageType from value 3 on is the source's; of a frame, FrameType value 3."""
    mine, theirs = _image_type(slice_.ds)[2:], _image_type(slice_.source.ds)[2:]
    if slice_.source.frame is not None:
        theirs = [str(value) for value in slice_.source.ds.FrameType][2:]
    if slice_.frame is not None:
        # value 4 of a frame says what was combined (PS3.3 C.8.16.1.4), and there is no value 5
        mine, theirs = [str(value) for value in slice_.ds.FrameType][2:3], theirs[:1] or ["VOLUME"]
    if mine == theirs:
        return None
    return "ImageType (0008,0008) from value 3 on is not that of the source"


@RULES.each_slice("PS3.3 C.12.4")
def derivation_described(slice_: DerivedSlice, pair: Pair) -> str | None:
    """DerivationDescription says what was done, beyond what the source says of itself."""
    text = str(slice_.ds.get("DerivationDescription") or "").strip()
    earlier = str(slice_.source.ds.get("DerivationDescription") or "").strip()
    return "DerivationDescription (0008,2111) does not say what was done" if text in ("", earlier) else None


@RULES.each_slice("PS3.3 C.12.4.1.3")
def source_images_named(slice_: DerivedSlice, pair: Pair) -> str | None:
    """SourceImageSequence names source images, and no image, or frame of it, twice."""
    named = [
        (str(item.get("ReferencedSOPInstanceUID") or ""), str(item.get("ReferencedFrameNumber") or ""))
        for item in _references(slice_)
    ]
    if not named:
        return "SourceImageSequence (0008,2112) is absent or empty"
    return "SourceImageSequence (0008,2112) names an image twice" if len(set(named)) < len(named) else None


@RULES.each_slice("PS3.3 C.12.4.1.3")
def source_images_known(slice_: DerivedSlice, pair: Pair) -> str | None:
    """SourceImageSequence refers only to images of the source, each by its own SOP class."""
    known = {**pair.other_images, **pair.source_images}
    for item in _references(slice_):
        sop_class = known.get(item.get("ReferencedSOPInstanceUID"))
        if sop_class is None or item.get("ReferencedSOPClassUID") != sop_class:
            return "SourceImageSequence (0008,2112) refers to an image that is not in the source"
    return None


@RULES.each_slice("PS3.3 C.12.4.1.3")
def source_image_first(slice_: DerivedSlice, pair: Pair) -> str | None:
    """The first reference is the source image at the same place, the one that viewers compare with."""
    if pair.resampled or not _references(slice_):
        return None
    first = _references(slice_)[0]
    frames = first.get("ReferencedFrameNumber")
    numbers = [frames] if isinstance(frames, int) else list(frames or [])
    own = [] if slice_.source.frame is None else [slice_.source.frame + 1]
    if first.get("ReferencedSOPInstanceUID") == slice_.source.header.sop_instance_uid and numbers[:1] == own:
        return None
    return "the first item of SourceImageSequence (0008,2112) is not the source image at the same place"


@RULES.each_slice("PS3.3 C.12.4.1.3; PS3.16 CID 7202")
def source_images_purpose(slice_: DerivedSlice, pair: Pair) -> str | None:
    """Every reference has the purpose (121322, DCM), and preserved locations unless resampled."""
    for item in _references(slice_):
        if "121322" not in codes_in(item.get("PurposeOfReferenceCodeSequence")):
            return "an item of SourceImageSequence (0008,2112) lacks the purpose (121322, DCM)"
        is_other = item.get("ReferencedSOPInstanceUID") in pair.other_images  # on a grid of its own
        if not pair.resampled and not is_other and item.get("SpatialLocationsPreserved") != "YES":
            return "SpatialLocationsPreserved (0028,135A) is not YES, though the grid is the source's"
    return None


@RULES.each_slice("PS3.3 C.7.6.1.1.5")
def lossy_kept(slice_: DerivedSlice, pair: Pair) -> str | None:
    """An image of a lossy source stays marked lossy, with ratio and method."""
    return changed(slice_, _LOSSY) if slice_.source.ds.get("LossyImageCompression") == "01" else None


@RULES.each_slice("PS3.3 C.7.3.1, C.7.6.1, C.12.1")
def made_later(slice_: DerivedSlice, pair: Pair) -> str | None:
    """Series, content and creation have a time of their own, not the source's."""
    # the times of a PET series are those its decay correction counts from, so they stay (PS3.3 C.8.9.1.1.5)
    moments = _MOMENTS if slice_.source.ds.get("Modality") != "PT" else [m for m in _MOMENTS if m[0] != "SeriesDate"]
    for date, time in moments:
        moment = slice_.ds.get(date), slice_.ds.get(time)
        if not all(moment):
            return f"{date} or {time} is absent"
        if moment == (slice_.source.ds.get(date), slice_.source.ds.get(time)):
            return f"{date} and {time} are the source's, which was made before"
    return None


@RULES.each_slice("PS3.3 C.7.6.1, C.8.2.1, C.8.3.1, C.8.9.1 to C.8.9.4")
def acquisition_kept(slice_: DerivedSlice, pair: Pair) -> str | None:
    """What is told of the acquisition is the source's; nothing is added."""
    if pair.form == "parametric_map":  # it has no place for the rest
        return changed(slice_, _OF_THE_SERIES)
    is_pet = slice_.source.ds.get("Modality") == "PT"
    return changed(slice_, (*_ACQUISITION, "SeriesDate", "SeriesTime") if is_pet else _ACQUISITION)


@RULES.each_slice("PS3.3 C.12.1.1.5; PS3.16 CID 7005")
def equipment_contributed(slice_: DerivedSlice, pair: Pair) -> str | None:
    """ContributingEquipmentSequence has the program (109102) and, if its maker is known, the scanner (109101)."""
    items = slice_.ds.get("ContributingEquipmentSequence") or []
    purposes = {code for item in items for code in codes_in(item.get("PurposeOfReferenceCodeSequence"))}
    # Manufacturer is Type 1 of a contributing equipment (PS3.3 Table C.12-1)
    absent = ({"109101", "109102"} if slice_.source.ds.get("Manufacturer") else {"109102"}) - purposes
    return f"ContributingEquipmentSequence (0018,A001) has no item for {sorted(absent)[0]}, DCM" if absent else None


@RULES.each_slice("PS3.3 C.7.5.1")
def equipment_own(slice_: DerivedSlice, pair: Pair) -> str | None:
    """The equipment of the derived image is the program that made it, not the scanner."""
    makers = [
        item.get("Manufacturer")
        for item in slice_.ds.get("ContributingEquipmentSequence") or []
        if "109102" in codes_in(item.get("PurposeOfReferenceCodeSequence"))
    ]
    if slice_.ds.get("Manufacturer") not in makers[-1:]:
        return "Manufacturer (0008,0070) is not that of the processing equipment"
    number = slice_.ds.get("DeviceSerialNumber")
    if number and number == slice_.source.ds.get("DeviceSerialNumber"):
        return "DeviceSerialNumber (0018,1000) is the scanner's"
    return None
