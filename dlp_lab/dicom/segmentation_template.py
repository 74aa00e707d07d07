"""A segmentation of one frame, which says all that does not depend on the frames (PS3.3 A.51, A.87).

Made by highdicom: coded segments, what is carried over of patient and study, and the groups that all frames share are
the same for everyone.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage

from dlp_lab import __version__
from dlp_lab.dicom.derived_header import MANUFACTURER, Derivation, code_item, decimal, derived_uid
from dlp_lab.dicom.frame_data_set import frame_data_set
from dlp_lab.dicom.series import HeaderSource
from dlp_lab.dicom.writable import broken_elements_named
from dlp_lab.errors import Malformed, ModelsMissing
from dlp_lab.geometry import Geometry
from dlp_lab.label_map import Algorithm, Code, Label, LabelMap, SegmentationForm

if TYPE_CHECKING:
    import highdicom

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

_EARLIER_SIGNS = {"StudyDate": ".", "PatientBirthDate": ".", "StudyTime": ":"}
"""Between the parts of dates and times before 1993 (PS3.5 6.2)."""

_SEXES = ("M", "F", "O")
"""Defined by PS3.3 C.7.1.1."""


def require_highdicom() -> None:
    """Raises `ModelsMissing` where segmentations cannot be written."""
    try:
        import highdicom  # noqa: F401
    except ImportError:
        raise ModelsMissing("segmentations need highdicom: pip install 'dlp-lab[models]'") from None


def segmentation_template(
    source: HeaderSource,
    label_map: LabelMap,
    algorithm: Algorithm,
    form: SegmentationForm,
    series_uid: str,
    derivation: Derivation,
) -> Dataset:
    """A segmentation whose one frame lies where the first slice of the source does; the arguments are the writer's.

    Raises:
        Malformed: The first slice does not say which study it is of, or says something that cannot be carried over.
    """
    with broken_elements_named(source.headers[0]):
        return _template(source, label_map, algorithm, form, series_uid, derivation)


def _template(
    source: HeaderSource,
    label_map: LabelMap,
    algorithm: Algorithm,
    form: SegmentationForm,
    series_uid: str,
    derivation: Derivation,
) -> Dataset:
    import highdicom

    image = _first_image(source, series_uid)
    segmentation = highdicom.seg.Segmentation(
        source_images=[image],
        pixel_array=_one_plane(label_map, form),
        segmentation_type=form.upper(),
        segment_descriptions=[
            _segment(label, number, algorithm, series_uid) for number, label in enumerate(label_map.labels, start=1)
        ],
        series_instance_uid=series_uid,
        series_number=_series_number(image),
        sop_instance_uid=derived_uid(series_uid, "0"),
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=derivation.label[:64],
        software_versions=__version__,
        device_serial_number=algorithm.version[:64],
        content_label="SEGMENTATION",
        content_description=derivation.description[:64],
        series_description=f"{derivation.label}: {derivation.description}"[:64],
        specific_character_set=None,
        plane_positions=[highdicom.PlanePositionSequence("PATIENT", source.headers[0].position_lps_mm or ())],
        plane_orientation=highdicom.PlaneOrientationSequence("PATIENT", _orientation(source)),
        pixel_measures=_pixel_measures(source),
    )
    if image.get("SpecificCharacterSet"):
        # names are carried over as they are encoded; highdicom refuses what files say, such as ISO 2022 IR 13 alone
        segmentation.SpecificCharacterSet = image.SpecificCharacterSet
    # the one UID that highdicom draws by chance
    organization = derived_uid(series_uid, "dimensions")
    for item in (*segmentation.DimensionOrganizationSequence, *segmentation.DimensionIndexSequence):
        item.DimensionOrganizationUID = organization
    # of source and arguments highdicom takes the source's, and scanners write the gap between slices here
    measures = segmentation.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    measures.SpacingBetweenSlices = decimal(_along_normal_mm(source.geometry))
    segmentation.ContentCreatorName = None  # Type 2 (PS3.3 Table 10-12): nobody, and present
    return segmentation


def _one_plane(label_map: LabelMap, form: SegmentationForm) -> NDArray[np.uint8] | NDArray[np.float32]:
    """A plane with one voxel of the first segment, in the shape that tells highdicom whether segments may overlap."""
    size = 1, *label_map.geometry.shape[1:]
    if form == "fractional" and label_map.fractions is not None:
        shares = np.zeros((*size, len(label_map.labels)), np.float32)
        shares[0, 0, 0, 0] = 1
        return shares
    segments = np.zeros(size, np.uint8)
    segments[0, 0, 0] = 1
    return segments


def _first_image(source: HeaderSource, series_uid: str) -> Dataset:
    """The first slice's header, with all that a segmentation needs of it."""
    header = source.headers[0]
    image = source.dataset(0)
    if header.frame is not None:
        image = frame_data_set(image, header)
    if "StudyInstanceUID" not in image:
        raise Malformed(f"{header.path.name} has no StudyInstanceUID (0020,000D), which a segmentation needs")
    for keyword in _MAY_BE_EMPTY:
        if keyword not in image:
            setattr(image, keyword, None)
    if image.PatientSex not in _SEXES:
        image.PatientSex = None  # what DICOM does not define, neither highdicom nor a checker takes
    for keyword, sign in _EARLIER_SIGNS.items():
        if sign in str(image.get(keyword) or ""):
            setattr(image, keyword, str(image[keyword].value).replace(sign, ""))
    if image.get("SliceThickness") in (None, ""):
        image.SliceThickness = decimal(_along_normal_mm(source.geometry))  # asked of every image, told by few of MR
    # a frame is handed over as an image of one
    image.SOPClassUID = header.sop_class_uid if header.frame is None else CTImageStorage
    image.SOPInstanceUID = header.sop_instance_uid
    if not image.get("FrameOfReferenceUID"):
        # the references to the images say where it belongs; a frame of reference must be there (PS3.3 C.7.4.1)
        image.FrameOfReferenceUID = derived_uid(series_uid, "frame of reference")
    return image


def _along_normal_mm(geometry: Geometry) -> float:
    return geometry.spacing_kji_mm[0] * math.cos(math.radians(geometry.tilt_degrees))


def _orientation(source: HeaderSource) -> tuple[float, ...]:
    """As the slices of the source say, digit for digit, or that of the grid that they were resampled to."""
    if source.resampling is None:
        return source.headers[0].orientation or ()
    geometry = source.geometry
    steps = geometry.affine_kji_to_lps[:3, :3] / np.asarray(geometry.spacing_kji_mm)
    return (*steps[:, 2].tolist(), *steps[:, 1].tolist())


def _pixel_measures(source: HeaderSource) -> highdicom.PixelMeasuresSequence:
    import highdicom

    spacing = source.geometry.spacing_kji_mm
    return highdicom.PixelMeasuresSequence(
        pixel_spacing=[float(decimal(mm)) for mm in spacing[1:]],
        slice_thickness=float(decimal(spacing[0])),
        spacing_between_slices=float(decimal(spacing[0])),
    )


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
