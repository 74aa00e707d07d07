"""A label map as DICOM Segmentation (PS3.3 A.51, A.87), beside the series it was made from.

Written by highdicom: functional groups, coded segments and the packing of single bits are the same for everyone, and no
header of the source has to be carried over but those of patient, study and frame of reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import CTImageStorage

from dlp_lab import __version__
from dlp_lab.dicom.derived_header import MANUFACTURER, Derivation, code_item, decimal, derived_uid
from dlp_lab.dicom.frame_data_set import frame_data_set
from dlp_lab.dicom.frame_groups import copied_tags
from dlp_lab.dicom.header import Header
from dlp_lab.dicom.quiet import quiet
from dlp_lab.dicom.series import HeaderSource
from dlp_lab.errors import ModelsMissing, TemplateMismatch
from dlp_lab.label_map import Algorithm, Code, Label, LabelMap, SegmentationForm
from dlp_lab.large_arrays import volume_array

if TYPE_CHECKING:
    import highdicom

FILE_NAME = "segmentation.dcm"

_ARTIFICIAL_INTELLIGENCE = Code("123110", "DCM", "Artificial Intelligence")  # CID 7162
_LATERALITY = {"left": ("7771000", "SCT", "Left"), "right": ("24028007", "SCT", "Right")}
_SERIES_OFFSET = 2
"""Added to a hundred times the source's SeriesNumber; derived images have 1."""

_MAY_BE_EMPTY = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
    "PositionReferenceIndicator",
)
"""Type 2 of patient, study and frame of reference: absent from some files, where they must be present and empty."""

_OF_EACH_IMAGE = (
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "FrameOfReferenceUID",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "SliceThickness",
    "SpacingBetweenSlices",
    "Rows",
    "Columns",
)
"""What highdicom looks at in every image; all the rest it takes from the first."""

_SEXES = ("M", "F", "O")
"""Defined by PS3.3 C.7.1.1."""


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


def require_highdicom() -> None:
    """Raises `ModelsMissing` where segmentations cannot be written."""
    try:
        import highdicom  # noqa: F401
    except ImportError:
        raise ModelsMissing("segmentations need highdicom: pip install 'dlp-lab[models]'") from None


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
        form: "binary" has a frame for each label and slice where it occurs, "labelmap" one for each slice,
            "fractional" as binary, with how surely in 255 steps.
        folder: Existing folder; it gets `segmentation.dcm`.
        derivation: Names the result.

    Raises:
        ModelsMissing: highdicom is not installed.
        TemplateMismatch: The labels do not lie on the source's grid, in its frame of reference.
    """
    require_highdicom()
    import highdicom

    if not label_map.geometry.matches(source.geometry):
        raise TemplateMismatch("the labels do not lie on the grid of their source, in its frame of reference")
    series_uid = derived_uid(derivation.uid_seed, source.headers[0].series_instance_uid)
    ks = tuple(range(source.geometry.shape[0])) if source.resampling is not None else source.indices
    path = folder / FILE_NAME
    with quiet():
        images = _source_images(source, series_uid)
        segmentation = highdicom.seg.Segmentation(
            source_images=images,
            pixel_array=_pixels(label_map, form, ks),
            segmentation_type=form.upper(),
            segment_descriptions=[
                _segment(label, number, algorithm, series_uid) for number, label in enumerate(label_map.labels, start=1)
            ],
            series_instance_uid=series_uid,
            series_number=_series_number(images[0]),
            sop_instance_uid=derived_uid(series_uid, "0"),
            instance_number=1,
            manufacturer=MANUFACTURER,
            manufacturer_model_name=derivation.label[:64],
            software_versions=__version__,
            device_serial_number=algorithm.version[:64],
            content_label="SEGMENTATION",
            content_description=derivation.description[:64],
            series_description=f"{derivation.label}: {derivation.description}"[:64],
            **_places(source, ks),
        )
        _settle_uids(segmentation, series_uid)
        if source.headers[0].frame is not None:
            _name_frames(segmentation, source)
        # of source and arguments highdicom takes the source's, and scanners write the gap between slices here
        measures = segmentation.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
        tilt = np.radians(source.geometry.tilt_degrees)
        measures.SpacingBetweenSlices = decimal(source.geometry.spacing_kji_mm[0] * np.cos(tilt))  # along the normal
        _name_other_series(segmentation, derivation.other_sources)
        segmentation.ContentCreatorName = None  # Type 2 (PS3.3 Table 10-12): nobody, and present
        segmentation.save_as(path)
    return WrittenSegmentation(series_uid, path, ks)


def _pixels(label_map: LabelMap, form: SegmentationForm, ks: Sequence[int]) -> NDArray[Any]:
    """Labels, or how surely in 0 to 1 with the label last, of the slices that are written."""
    if form != "fractional" or label_map.fractions is None:
        if len(ks) == len(label_map.voxels) == label_map.geometry.shape[0] and _is_numbered_without_gaps(label_map):
            return label_map.voxels
        numbers = np.zeros(label_map.labels[-1].number + 1, label_map.voxels.dtype)
        for place, label in enumerate(label_map.labels):
            numbers[label.number] = place + 1  # segments are numbered from 1 without gaps
        segments = volume_array((len(ks), *label_map.voxels.shape[1:]), label_map.voxels.dtype)
        for segment, k in zip(segments, ks, strict=True):
            segment[...] = numbers[label_map.voxels[k]]
        return segments
    shares: NDArray[Any] = np.moveaxis(label_map.fractions[:, list(ks)], 0, -1) / np.float32(255)
    return shares


def _is_numbered_without_gaps(label_map: LabelMap) -> bool:
    return [label.number for label in label_map.labels] == [*range(1, len(label_map.labels) + 1)]


def _source_images(source: HeaderSource, series_uid: str) -> list[Dataset]:
    """The headers of all slices, each with what a segmentation needs of them; that of the first is whole."""
    files: dict[Path, Dataset] = {}
    images: list[Dataset] = []
    for number, header in enumerate(source.headers):
        if header.frame is None:
            image = source.dataset(number)
        else:
            if header.path not in files:
                files[header.path] = source.dataset(number)
            image = frame_data_set(files[header.path], header)
        for keyword in _MAY_BE_EMPTY:
            if keyword not in image:
                setattr(image, keyword, None)
        if image.PatientSex not in _SEXES:
            image.PatientSex = None  # what DICOM does not define, neither highdicom nor a checker takes
        # a frame is handed over as an image of one, which `_name_frames` makes good
        image.SOPClassUID = header.sop_class_uid if header.frame is None else CTImageStorage
        image.SOPInstanceUID = header.sop_instance_uid
        if not image.get("FrameOfReferenceUID"):
            # the references to the images say where it belongs; a frame of reference must be there (PS3.3 C.7.4.1)
            image.FrameOfReferenceUID = derived_uid(series_uid, "frame of reference")
        # a header is a hundred times as large as what is needed of most
        images.append(
            copied_tags(image, [Tag(keyword) for keyword in _OF_EACH_IMAGE if keyword in image]) if images else image
        )
    return images


def _places(source: HeaderSource, ks: Sequence[int]) -> dict[str, Any]:
    """Where the slices lie: as their source says, digit for digit, or on the grid that they were resampled to."""
    import highdicom

    geometry = source.geometry
    positions: list[tuple[float, ...]]
    orientation: tuple[float, ...]
    if source.resampling is None:
        positions = [header.position_lps_mm or () for header in source.headers]
        orientation = source.headers[0].orientation or ()
    else:
        positions = [tuple(float(decimal(mm)) for mm in geometry.positions_lps_mm((k, 0, 0))) for k in ks]
        steps = geometry.affine_kji_to_lps[:3, :3] / np.asarray(geometry.spacing_kji_mm)
        orientation = (*steps[:, 2].tolist(), *steps[:, 1].tolist())
    spacing = geometry.spacing_kji_mm
    return {
        "plane_positions": [highdicom.PlanePositionSequence("PATIENT", position) for position in positions],
        "plane_orientation": highdicom.PlaneOrientationSequence("PATIENT", orientation),
        "pixel_measures": highdicom.PixelMeasuresSequence(
            pixel_spacing=[float(decimal(mm)) for mm in spacing[1:]],
            slice_thickness=float(decimal(spacing[0])),
            spacing_between_slices=float(decimal(spacing[0])),
        ),
    }


def _segment(label: Label, number: int, algorithm: Algorithm, series_uid: str) -> highdicom.seg.SegmentDescription:
    import highdicom

    made_by = highdicom.AlgorithmIdentificationSequence(
        name=algorithm.name[:64],
        family=_coded(_ARTIFICIAL_INTELLIGENCE),
        version=algorithm.version[:64],
        source=algorithm.source,
        parameters=dict(algorithm.parameters) or None,
    )
    segment = highdicom.seg.SegmentDescription(
        segment_number=number,
        segment_label=label.name[:64],
        segmented_property_category=_coded(label.category),
        segmented_property_type=_coded(label.type),
        algorithm_type="AUTOMATIC",
        algorithm_identification=made_by,
        tracking_uid=derived_uid(series_uid, "segment", str(number)),
        tracking_id=f"{algorithm.name} {label.name}"[:64],
        display_color=None if label.colour_rgb is None else highdicom.color.CIELabColor.from_rgb(*label.colour_rgb),
    )
    if label.laterality is not None:
        segment.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = [
            code_item(*_LATERALITY[label.laterality])
        ]
    return segment


def _coded(code: Code) -> highdicom.sr.CodedConcept:
    import highdicom

    return highdicom.sr.CodedConcept(code.value, code.scheme, code.meaning)


def _series_number(image: Dataset) -> int:
    """Follows from the source's, so that a job that is run again gives the same one."""
    try:
        number = int(str(image.get("SeriesNumber") or 0))
    except ValueError:
        number = 0
    return number * 100 + _SERIES_OFFSET if 0 <= number < 2**31 // 100 - 1 else _SERIES_OFFSET


def _settle_uids(segmentation: Dataset, series_uid: str) -> None:
    """Replace the one UID that highdicom draws by chance."""
    organization = derived_uid(series_uid, "dimensions")
    for item in (*segmentation.DimensionOrganizationSequence, *segmentation.DimensionIndexSequence):
        item.DimensionOrganizationUID = organization


def _name_frames(segmentation: Dataset, source: HeaderSource) -> None:
    """Say which frame of a multi-frame source each frame was made from; highdicom took each for a file."""
    frame_at = {header.position_lps_mm: (header.frame or 0) + 1 for header in source.headers}
    for groups in segmentation.PerFrameFunctionalGroupsSequence:
        position = tuple(float(mm) for mm in groups.PlanePositionSequence[0].ImagePositionPatient)
        for derivation in groups.DerivationImageSequence:
            for reference in derivation.SourceImageSequence:
                reference.ReferencedFrameNumber = frame_at[position]
                reference.ReferencedSOPClassUID = source.headers[0].sop_class_uid
    for series in segmentation.ReferencedSeriesSequence:
        once = {str(item.ReferencedSOPInstanceUID): item for item in series.ReferencedInstanceSequence}
        series.ReferencedInstanceSequence = list(once.values())
        for item in once.values():
            item.ReferencedSOPClassUID = source.headers[0].sop_class_uid


def _name_other_series(segmentation: Dataset, others: Sequence[Header]) -> None:
    """List the images of the other series that were looked at (PS3.3 C.12.2)."""
    by_series: dict[str, dict[str, Dataset]] = {}
    for header in others:
        item = Dataset()
        item.ReferencedSOPClassUID = header.sop_class_uid
        item.ReferencedSOPInstanceUID = header.sop_instance_uid
        by_series.setdefault(header.series_instance_uid, {})[header.sop_instance_uid] = item
    for series_uid, images in by_series.items():
        listed = Dataset()
        listed.SeriesInstanceUID = series_uid
        listed.ReferencedInstanceSequence = list(images.values())
        segmentation.ReferencedSeriesSequence.append(listed)
