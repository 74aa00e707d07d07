"""The header of a derived slice: its source's, changed where the processing changed it.

So patient, study, place and acquisition stay byte for byte. The rules follow PS3.3 (C.7.6.1 General Image, C.12.4
General Reference, C.7.5.1 General Equipment) and PS3.16 (CID 7203, CID 7202, CID 7005).
"""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag
from pydicom.uid import UID

from dlp_lab import __version__
from dlp_lab.dicom.header import LOSSY_TRANSFER_SYNTAXES, Header
from dlp_lab.errors import Malformed
from dlp_lab.geometry import Geometry

IMPLEMENTATION_CLASS_UID = UID("2.25.227415367163306871046029571240402917383")
MANUFACTURER = "dlp-lab"
_NAMESPACE = uuid.UUID(int=int(IMPLEMENTATION_CLASS_UID.removeprefix("2.25.")))

_LONGEST_LO, _LONGEST_ST = 64, 1024

STALE = (
    "InstanceCreatorUID",
    "IconImageSequence",
    "SmallestImagePixelValue",
    "LargestImagePixelValue",
    "SmallestPixelValueInSeries",
    "LargestPixelValueInSeries",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
    "VOILUTSequence",
    "VOILUTFunction",
    "ModalityLUTSequence",
    "HistogramSequence",
    "RealWorldValueMappingSequence",
    "ReferencedImageRealWorldValueMappingSequence",
    "MACParametersSequence",
    "DigitalSignaturesSequence",
    "DataSetTrailingPadding",
    "EncryptedAttributesSequence",
    "PixelDataProviderURL",
    "InstanceCoercionDateTime",
    "SOPInstanceStatus",
    "SOPAuthorizationDateTime",
    "SOPAuthorizationComment",
    "AuthorizationEquipmentCertificationNumber",
    "SOPInstanceUIDOfConcatenationSource",
)
"""True of the source's pixels or bytes alone. Padding goes because smoothed padding is no longer one value."""
_STALE_TAGS = frozenset(map(Tag, STALE))

EQUIPMENT = (
    "Manufacturer",
    "InstitutionName",
    "InstitutionAddress",
    "InstitutionalDepartmentName",
    "StationName",
    "ManufacturerModelName",
    "DeviceSerialNumber",
    "DeviceUID",
    "GantryID",
    "UDISequence",
    "SoftwareVersions",
    "DateOfLastCalibration",
    "TimeOfLastCalibration",
)
"""General Equipment (PS3.3 C.7.5.1) of the scanner, which becomes a contributing equipment of the derived image."""

REPLACED = (
    "ImageType",
    "InstanceCreationDate",
    "InstanceCreationTime",
    "SOPClassUID",
    "SOPInstanceUID",
    "ContentDate",
    "ContentTime",
    "Modality",
    "SourceImageSequence",
    "SeriesInstanceUID",
    "InstanceNumber",
)
"""What `set_identity` and `set_derivation` set without a look at what the source says."""

_FIRST_OVERLAY, _LAST_OVERLAY = 0x6000, 0x60FF
_FIRST_CURVE, _LAST_CURVE = 0x5000, 0x50FF
_PIXELS = 0x7FE0


@dataclass(frozen=True)
class Derivation:
    """What made the new values.

    Attributes:
        uid_seed: The UIDs of the result follow from this text, so that a job that is run again makes the same ones.
        label: Short name for SeriesDescription, such as the task's name.
        description: What was done, for DerivationDescription.
        code: (value, scheme, meaning) of CID 7203, or None.
        reach_slices: How many slices to either side contribute to a slice; None for all.
        other_sources: Images of other series that all of the result was made from too, resampled to the source's grid.
        made_at: When, with its time zone.
    """

    uid_seed: str
    label: str
    description: str
    code: tuple[str, str, str] | None = None
    reach_slices: int | None = None
    other_sources: tuple[Header, ...] = ()
    made_at: datetime.datetime = field(default_factory=lambda: datetime.datetime.now().astimezone())


def derived_uid(*seed: str) -> str:
    """A UID that follows from `seed`: a name-based UUID under 2.25 (PS3.5 B.2)."""
    return f"2.25.{uuid.uuid5(_NAMESPACE, '/'.join(seed)).int}"


def set_place(ds: Dataset, geometry: Geometry, k: int) -> None:
    """Place a slice that lies where no source slice does (PS3.3 C.7.6.2)."""
    ds.ImagePositionPatient = [decimal(mm) for mm in geometry.positions_lps_mm((k, 0, 0))]
    ds.SliceThickness = decimal(geometry.spacing_kji_mm[0])
    drop(ds, ("SliceLocation", "SpacingBetweenSlices", "GantryDetectorTilt"))
    ds.DerivationCodeSequence = [
        *(ds.get("DerivationCodeSequence") or []),
        code_item("113085", "DCM", "Spatial resampling"),
    ]


def decimal(value: float) -> str:
    """A place in mm as a decimal string (PS3.5 6.2)."""
    return f"{value:.10g}"[:16]


def drop_stale(ds: Dataset) -> None:
    """Remove what describes the source's pixels, and private groups, whose meaning nobody can check."""
    for tag in list(ds.keys()):
        if is_stale(tag):
            del ds[tag]
    _drop_private(ds)


def drop(ds: Dataset, keywords: Iterable[str]) -> None:
    """Remove elements, present or not, without decoding them."""
    for keyword in keywords:
        if keyword in ds:
            delattr(ds, keyword)


def is_stale(tag: BaseTag) -> bool:
    """Whether an element describes the source's pixels, or is private."""
    overlay = _FIRST_OVERLAY <= tag.group <= _LAST_OVERLAY
    curve = _FIRST_CURVE <= tag.group <= _LAST_CURVE
    return tag.is_private or tag in _STALE_TAGS or overlay or curve or tag.group == _PIXELS


def _drop_private(ds: Dataset) -> None:
    """Remove private elements at any depth without decoding the others, whose bytes then stay as they are."""
    for tag in list(ds.keys()):
        if tag.is_private:
            del ds[tag]
        # an element without a VR of its own (implicit VR) cannot be written as it is; asking for it decodes it
        elif ds.get_item(tag).VR in (None, "SQ") and ds[tag].VR == "SQ":
            for item in ds[tag].value:
                _drop_private(item)


def set_identity(ds: Dataset, header: Header, series_uid: str, k: int, derivation: Derivation) -> None:
    """New series and instance in the old study and frame of reference."""
    _refuse_lost_text(ds, header)
    ds.SOPClassUID = header.sop_class_uid
    ds.Modality = header.modality
    ds.SOPInstanceUID = derived_uid(series_uid, str(k))
    ds.SeriesInstanceUID = series_uid
    number = _whole_number(ds.get("SeriesNumber"))
    ds.SeriesNumber = number * 100 + 1 if abs(number) < 2**31 // 100 - 1 else number
    name = str(ds.get("SeriesDescription") or "")
    label = derivation.label[:_LONGEST_LO]
    ds.SeriesDescription = f"{name[: max(0, _LONGEST_LO - 1 - len(label))]} {label}".strip()
    ds.InstanceNumber = k + 1
    when = derivation.made_at.astimezone(_time_zone(ds) or derivation.made_at.tzinfo)
    date, time = when.strftime("%Y%m%d"), when.strftime("%H%M%S.%f")
    ds.ContentDate = ds.InstanceCreationDate = date
    ds.ContentTime = ds.InstanceCreationTime = time
    # the decay correction and the frame times of PET count from the time of the series (PS3.3 C.8.9.1.1.5, C.8.9.4.1.5)
    if header.modality != "PT":
        ds.SeriesDate, ds.SeriesTime = date, time


def _time_zone(ds: Dataset) -> datetime.tzinfo | None:
    """TimezoneOffsetFromUTC (0008,0201) rules all dates and times of a data set, ours too (PS3.3 Table C.12-1)."""
    offset = str(ds.get("TimezoneOffsetFromUTC") or "").strip()
    if len(offset) != 5 or offset[0] not in "+-" or not offset[1:].isdigit():
        return None
    minutes = int(offset[1:3]) * 60 + int(offset[3:])
    if minutes > 14 * 60:
        return None  # no such time zone
    return datetime.timezone(datetime.timedelta(minutes=minutes if offset[0] == "+" else -minutes))


def set_derivation(ds: Dataset, header: Header, references: list[Dataset], derivation: Derivation) -> None:
    """Say that the image is derived, how, and from what (PS3.3 C.7.6.1.1.2, C.12.4.1.1, C.12.4.1.2)."""
    # PET knows no secondary images: value 2 is PRIMARY there (PS3.3 C.8.9.4.1.1)
    second = "PRIMARY" if header.modality == "PT" else "SECONDARY"
    ds.ImageType = ["DERIVED", second, *header.image_type[2:]]
    earlier = str(ds.get("DerivationDescription") or "")
    own = f"{derivation.description}; {MANUFACTURER} {__version__}"
    room = max(0, _LONGEST_ST - 2 - len(own))
    ds.DerivationDescription = f"{earlier[:room]}; {own}" if earlier and room else own[:_LONGEST_ST]
    if derivation.code is not None:
        ds.DerivationCodeSequence = [*(ds.get("DerivationCodeSequence") or []), code_item(*derivation.code)]
    ds.SourceImageSequence = references


def reference_to(header: Header, *, in_place: bool) -> Dataset:
    """An item of SourceImageSequence (PS3.3 C.12.4.1.3)."""
    item = Dataset()
    item.ReferencedSOPClassUID = header.sop_class_uid
    item.ReferencedSOPInstanceUID = header.sop_instance_uid
    item.SpatialLocationsPreserved = "YES" if in_place else "NO"
    item.PurposeOfReferenceCodeSequence = [code_item("121322", "DCM", "Source image for image processing operation")]
    return item


def code_item(value: str, scheme: str, meaning: str) -> Dataset:
    """A coded entry (PS3.3 8.8)."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def mark_lossy(ds: Dataset, header: Header) -> None:
    """Once lost, always lost (PS3.3 C.7.6.1.1.5), also where the source does not say that its syntax loses."""
    if header.transfer_syntax_uid in LOSSY_TRANSFER_SYNTAXES:
        ds.LossyImageCompression = "01"


def set_equipment(ds: Dataset, derivation: Derivation) -> None:
    """This program made the image; the scanner contributed to it (PS3.3 C.7.5.1, C.12.1.1.5)."""
    scanner, program = Dataset(), Dataset()
    for keyword in EQUIPMENT:
        if keyword in ds:
            if ds.get(keyword):
                scanner[keyword] = ds[keyword]
            del ds[keyword]
    scanner.PurposeOfReferenceCodeSequence = [code_item("109101", "DCM", "Acquisition Equipment")]
    program.PurposeOfReferenceCodeSequence = [code_item("109102", "DCM", "Processing Equipment")]
    program.ContributionDateTime = derivation.made_at.strftime("%Y%m%d%H%M%S.%f%z")
    program.ContributionDescription = derivation.description[:1024]
    for item in (ds, program):
        item.Manufacturer = MANUFACTURER
        item.ManufacturerModelName = derivation.label[:_LONGEST_LO]
        item.SoftwareVersions = __version__
    # Manufacturer is Type 1 of a contributing equipment: one of an unknown maker cannot be named
    contributors = [scanner, program] if "Manufacturer" in scanner else [program]
    ds.ContributingEquipmentSequence = [*(ds.get("ContributingEquipmentSequence") or []), *contributors]


WINDOW = ("WindowCenter", "WindowWidth", "WindowCenterWidthExplanation")


def drop_invalid_window(ds: Dataset) -> None:
    """Remove windows that are not allowed; some scanners write them."""
    if not _window_is_valid(ds):
        drop(ds, WINDOW)


def _window_is_valid(ds: Dataset) -> bool:
    """Whether every window has a center and a width of at least 1 (PS3.3 C.11.2.1.2)."""
    try:
        centers, widths = (np.atleast_1d(ds.get(keyword, [])).astype(float) for keyword in WINDOW[:2])
    except (TypeError, ValueError):
        return False
    return len(centers) == len(widths) and bool((widths >= 1).all())


def _whole_number(value: object) -> int:
    """An integer string's value, or 0 where it is none."""
    try:
        return int(str(value))
    except ValueError:
        return 0


def _refuse_lost_text(ds: Dataset, header: Header) -> None:
    """Refuse text that the transcoding of the header would change.

    The bytes of an explicit little endian header are copied as they are; those of others are decoded and encoded again,
    which loses what is not valid in the declared SpecificCharacterSet.
    """
    if ds.original_encoding == (False, True):
        return
    for keyword in ("PatientName", "PatientID", "StudyDescription", "AccessionNumber", "StudyID"):
        if "\ufffd" in str(ds.get(keyword, "")):
            raise Malformed(
                f"{header.path.name}: {keyword} {Tag(keyword)} is not valid in its SpecificCharacterSet (0008,0005), "
                "so it could not be copied into the result; correct the character set first"
            )
