"""A derived series of single-frame images as one file: a Legacy Converted Enhanced CT, MR or PET Image (PS3.3 A.70-72).

The full Enhanced IODs ask for what classic headers do not say, such as a coded anatomic region with its laterality;
the legacy converted ones were made for headers like these. What has a place in a multi-frame image is moved there; the
rest goes, as it is, to the unassigned converted attributes, so that nothing of the acquisition is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import (
    UID,
    CTImageStorage,
    LegacyConvertedEnhancedCTImageStorage,
    LegacyConvertedEnhancedMRImageStorage,
    LegacyConvertedEnhancedPETImageStorage,
    MRImageStorage,
    PositronEmissionTomographyImageStorage,
)

from dlp_lab.dicom.derived_data_set import DerivedDataSets
from dlp_lab.dicom.derived_header import Derivation, derived_uid
from dlp_lab.dicom.derived_slices import WrittenSlice
from dlp_lab.dicom.frame_groups import (
    FILE_NAME,
    Groups,
    copied_tags,
    derivation_group,
    frame_content,
    item,
    plane_groups,
    same_element,
    save_frames,
    set_dimensions,
    set_frame_of_reference,
    set_functional_groups,
    source_evidence,
    stored_frames,
    taken,
    tell_character_sets,
)
from dlp_lab.dicom.header import Header
from dlp_lab.dicom.kept_attributes import is_kept
from dlp_lab.dicom.pixel_description import describe_pixels, set_file_meta
from dlp_lab.dicom.quiet import quiet
from dlp_lab.dicom.rescale import Rescale
from dlp_lab.dicom.series import HeaderSource
from dlp_lab.dicom.units import unit_code
from dlp_lab.dicom.writable import PlannedSlices, broken_elements_named, planned_slices
from dlp_lab.dicom.write_image import DerivedSeries
from dlp_lab.errors import UnsupportedPixels
from dlp_lab.geometry import Geometry
from dlp_lab.volume import Volume

CONVERTED_CLASSES: dict[UID, UID] = {
    CTImageStorage: LegacyConvertedEnhancedCTImageStorage,
    MRImageStorage: LegacyConvertedEnhancedMRImageStorage,
    PositronEmissionTomographyImageStorage: LegacyConvertedEnhancedPETImageStorage,
}
_FRAME_TYPE_SEQUENCES = {
    "CT": "CTImageFrameTypeSequence",
    "MR": "MRImageFrameTypeSequence",
    "PT": "PETFrameTypeSequence",
}
_VOLUME = {
    "PixelPresentation": "MONOCHROME",
    "VolumetricProperties": "VOLUME",
    "VolumeBasedCalculationTechnique": "NONE",
}
_IDENTITY = {"RescaleSlope": "1", "RescaleIntercept": "0", "RescaleType": "US"}
"""US: unspecified (PS3.3 C.11.1.1.2)."""
_OF_THE_FILE = frozenset(Tag(keyword) for keyword in ("SOPInstanceUID", "InstanceNumber", "ImageType"))


def write_multiframe(
    source: HeaderSource,
    result: Volume,
    folder: Path,
    derivation: Derivation,
    report: Callable[[float, str], None] = lambda fraction, message: None,
) -> DerivedSeries:
    """Write `result` as one multi-frame image, frames in slice order.

    Args and errors are those of `write_derived_series`; the source is none that `refuse_monochrome1` refuses.
    """
    return write_planned_multiframe(source, planned_slices(source, result, derivation), folder, derivation, report)


def write_planned_multiframe(
    source: HeaderSource,
    planned: PlannedSlices,
    folder: Path,
    derivation: Derivation,
    report: Callable[[float, str], None],
) -> DerivedSeries:
    """`write_multiframe` of slices that lie on the source's grid; what lies there of an earlier try is replaced."""
    places, slices, rescales = planned.places, planned.slices, planned.rescales
    made = DerivedDataSets(source, derivation)
    path = folder / FILE_NAME
    path.unlink(missing_ok=True)
    rows, columns = source.geometry.shape[1:]
    with quiet(), broken_elements_named(source.headers[0]):
        ds = _data_set(made, places, rescales, (rows, columns))
        save_frames(ds, path, "PixelData", "OW", stored_frames(rescales, slices, report), rows * columns * 2)
    report(1.0, "written")
    return DerivedSeries(made.series_uid, (path,), tuple(place.k for place in places), rescales)


def refuse_monochrome1(headers: Sequence[Header]) -> None:
    """An enhanced image is MONOCHROME2 (PS3.3 C.8.15.2.2); to call it so would show it inverted.

    Raises:
        UnsupportedPixels: The source is MONOCHROME1.
    """
    if headers[0].photometric_interpretation == "MONOCHROME1":
        raise UnsupportedPixels(
            f"{headers[0].path.name}: PhotometricInterpretation (0028,0004) is MONOCHROME1, which multi-frame CT, MR "
            "and PET images do not have; write the result as a series or a parametric map"
        )


def _data_set(
    made: DerivedDataSets, places: Sequence[WrittenSlice], rescales: Sequence[Rescale], size: tuple[int, ...]
) -> Dataset:
    """All but the pixels."""
    headers = [made.source.headers[place.header] for place in places]
    data_sets, frames = [], []
    for number, (place, header, rescale) in enumerate(zip(places, headers, rescales, strict=True)):
        with broken_elements_named(header):
            ds = made.make(place, number)
            describe_pixels(ds, header, rescale, *size)
            frames.append(_groups(ds, header, number, made.source.geometry))
            data_sets.append(ds)
    tell_character_sets(data_sets, frames)
    shared = _unassigned(data_sets, frames)
    ds = data_sets[0]
    _set_image(ds, data_sets, made, headers[0].sop_class_uid)
    set_dimensions(ds, made.series_uid)
    set_frame_of_reference(ds, made.series_uid)
    evidence = source_evidence(made.source.headers)
    if evidence:
        ds.SourceImageEvidenceSequence = evidence
    set_functional_groups(ds, frames, UnassignedSharedConvertedAttributesSequence=shared)
    set_file_meta(ds)
    return ds


def _groups(ds: Dataset, header: Header, number: int, geometry: Geometry) -> Groups:
    """Move what belongs to a frame from its data set to functional groups (PS3.3 A.70.4, A.71.4, A.72.4)."""
    # their series is not known, so they cannot be listed as referenced images of frames must be (PS3.3 C.7.6.16.2.5)
    ds.pop("ReferencedImageSequence", None)
    image_type = [*ds.ImageType, "", ""]
    ds.ImageType = ["DERIVED", "PRIMARY", image_type[2] or "VOLUME", "NONE"]
    groups = {
        "FrameContentSequence": frame_content(number + 1),
        **plane_groups(ds, geometry),
        _FRAME_TYPE_SEQUENCES[header.modality]: item(FrameType=ds.ImageType, **_VOLUME),
        "DerivationImageSequence": derivation_group(ds),
        "ConversionSourceAttributesSequence": item(
            ReferencedSOPClassUID=header.sop_class_uid, ReferencedSOPInstanceUID=header.sop_instance_uid
        ),
    }
    if "WindowCenter" in ds and "WindowWidth" in ds:
        groups["FrameVOILUTSequence"] = taken(ds, ("WindowCenter", "WindowWidth", "WindowCenterWidthExplanation"))
    transformation = taken(ds, ("RescaleSlope", "RescaleIntercept", "RescaleType"))
    for keyword, value in _IDENTITY.items():
        if keyword not in transformation:
            setattr(transformation, keyword, value)
    groups["PixelValueTransformationSequence"] = transformation
    if header.modality == "PT":
        groups["RealWorldValueMappingSequence"] = _real_world_mapping(transformation, header, ds.PixelRepresentation)
    return groups


def _real_world_mapping(transformation: Dataset, header: Header, signed: int) -> Dataset:
    """The unit of PET: RescaleType has no word for it (PS3.3 C.7.6.16.2.11, C.11.1.1.2)."""
    mapping = item(
        LUTExplanation="Values in the unit of the series",
        LUTLabel=header.unit or "none",
        RealWorldValueSlope=float(transformation.RescaleSlope),
        RealWorldValueIntercept=float(transformation.RescaleIntercept),
        MeasurementUnitsCodeSequence=[unit_code(header.unit)],
    )
    first, last, vr = (-32768, 32767, "SS") if signed else (0, 65535, "US")
    mapping.add_new(Tag("RealWorldValueFirstValueMapped"), vr, first)
    mapping.add_new(Tag("RealWorldValueLastValueMapped"), vr, last)
    return mapping


def _unassigned(data_sets: Sequence[Dataset], frames: Sequence[Groups]) -> Dataset:
    """Move what has no other place to the frames (PS3.3 C.7.6.16.2.26); what all share is returned.

    What stays at the top and is not the same in all slices is told of each frame too.
    """
    first, *others = data_sets
    tags = sorted({tag for ds in data_sets for tag in list(ds.keys())})
    same = {tag for tag in tags if all(same_element(first, other, tag) for other in others)}
    for ds, groups in zip(data_sets, frames, strict=True):
        own = [tag for tag in list(ds.keys()) if tag not in same and tag not in _OF_THE_FILE]
        groups["UnassignedPerFrameConvertedAttributesSequence"] = copied_tags(ds, own)
    shared = copied_tags(first, [tag for tag in tags if tag in same and not is_kept(tag)])
    for tag in list(first.keys()):
        if not is_kept(tag):
            del first[tag]
    return shared


def _set_image(ds: Dataset, data_sets: Sequence[Dataset], made: DerivedDataSets, source_class: UID) -> None:
    """What the file says of itself (PS3.3 C.8.15.2, C.8.13.1, C.8.22.1)."""
    ds.SOPClassUID = CONVERTED_CLASSES[source_class]
    ds.SOPInstanceUID = derived_uid(made.series_uid, "multi-frame")
    ds.InstanceNumber = 1
    flavors = {one.ImageType[2] for one in data_sets}
    ds.ImageType = ["DERIVED", "PRIMARY", flavors.pop() if len(flavors) == 1 else "MIXED", "NONE"]
    if any(one.get("LossyImageCompression") == "01" for one in data_sets):
        ds.LossyImageCompression = "01"
    for keyword, value in _VOLUME.items():
        setattr(ds, keyword, value)
    ds.ContentQualification = "RESEARCH"
    ds.PresentationLUTShape = "IDENTITY"
    if "AcquisitionContextSequence" not in ds:
        ds.AcquisitionContextSequence = []
