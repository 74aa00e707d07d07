"""From a volume back to DICOM: a derived series of single-frame images beside its source.

Every derived slice is made from the header of the source slice at its place, so that patient, study, place and
acquisition stay byte for byte, and only what the processing changed is written anew. The rules follow PS3.3 (C.7.6.1
General Image, C.12.4.1.3 derivation, C.7.5.1 General Equipment) and PS3.16 (CID 7203, CID 7202, CID 7005).
"""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from dlp_lab import __version__
from dlp_lab.dicom.header import Header
from dlp_lab.dicom.rescale import Rescale, choose_rescales
from dlp_lab.dicom.series import HeaderSource
from dlp_lab.errors import TaskResultInvalid, TemplateMismatch
from dlp_lab.volume import Volume

IMPLEMENTATION_CLASS_UID = UID("2.25.227415367163306871046029571240402917383")
MANUFACTURER = "dlp-lab"

_STALE = (
    "InstanceCreatorUID",
    "IconImageSequence",
    "SmallestImagePixelValue",
    "LargestImagePixelValue",
    "SmallestPixelValueInSeries",
    "LargestPixelValueInSeries",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
    "VOILUTSequence",
    "ModalityLUTSequence",
    "RealWorldValueMappingSequence",
    "ReferencedImageRealWorldValueMappingSequence",
    "MACParametersSequence",
    "DigitalSignaturesSequence",
    "DataSetTrailingPadding",
)
"""True of the source's pixels or bytes alone. Padding goes because smoothed padding is no longer one value."""

_EQUIPMENT = (
    "Manufacturer",
    "InstitutionName",
    "InstitutionAddress",
    "InstitutionalDepartmentName",
    "StationName",
    "ManufacturerModelName",
    "DeviceSerialNumber",
    "SoftwareVersions",
    "DateOfLastCalibration",
    "TimeOfLastCalibration",
)
"""General Equipment (PS3.3 C.7.5.1) of the scanner, which becomes a contributing equipment of the derived image."""

_FIRST_OVERLAY, _LAST_OVERLAY = 0x6000, 0x60FF
_FIRST_CURVE, _LAST_CURVE = 0x5000, 0x50FF


@dataclass(frozen=True)
class Derivation:
    """What made the new values.

    Attributes:
        uid_seed: The UIDs of the result follow from this text, so that a job that is run again makes the same ones.
        label: Short name for SeriesDescription, such as the task's name.
        description: What was done, for DerivationDescription.
        code: (value, scheme, meaning) of CID 7203, or None.
        reach_slices: How many slices to either side contribute to a slice; None for all.
        made_at: When, with its time zone.
    """

    uid_seed: str
    label: str
    description: str
    code: tuple[str, str, str] | None = None
    reach_slices: int | None = None
    made_at: datetime.datetime = field(default_factory=lambda: datetime.datetime.now().astimezone())


@dataclass(frozen=True)
class DerivedSeries:
    """What was written.

    Attributes:
        series_instance_uid: Of the new series.
        files: One for each slice, in slice order.
        rescale: How stored values become real ones; half its slope is the greatest rounding error. Where slices differ,
            it is that of the greatest slope.
    """

    series_instance_uid: str
    files: tuple[Path, ...]
    rescale: Rescale


def derived_uid(*seed: str) -> str:
    """A UID that follows from `seed`: a name-based UUID under 2.25 (PS3.5 B.2)."""
    namespace = uuid.UUID(int=int(IMPLEMENTATION_CLASS_UID.removeprefix("2.25.")))
    return f"2.25.{uuid.uuid5(namespace, '/'.join(seed)).int}"


def write_derived_series(
    source: HeaderSource,
    result: Volume,
    folder: Path,
    derivation: Derivation,
    report: Callable[[float, str], None] = lambda fraction, message: None,
) -> DerivedSeries:
    """Write `result` as a series derived from `source`.

    Args:
        source: The series the result was made from; its headers are read again.
        result: `(k, j, i)` values in the source's unit, on the source's grid.
        folder: Existing empty folder; it gets `0001.dcm`, `0002.dcm`, ... in slice order.
        derivation: What made the values.
        report: Called with the fraction written and the step's name.

    Raises:
        TemplateMismatch: The result does not lie on the source's grid.
        TaskResultInvalid: A value is not finite.
    """
    if not result.geometry.matches(source.geometry):
        raise TemplateMismatch(
            f"the volume has {result.geometry.shape} voxels (slices, rows, columns), its series "
            f"{source.geometry.shape}, and they must lie at the same place (within 0.001 mm, in one frame of reference)"
        )
    if not np.isfinite(result.voxels).all():
        raise TaskResultInvalid(
            "the result holds values that are not finite (nan or infinity); DICOM cannot store them"
        )
    rescales = choose_rescales(source.headers, result.voxels)
    series_uid = derived_uid(derivation.uid_seed, source.headers[0].series_instance_uid)
    references = [_reference(header) for header in source.headers]
    files = []
    for k, header in enumerate(source.headers):
        report(k / len(source.headers), f"writing slice {k + 1} of {len(source.headers)}")
        ds = source.dataset(k)
        _drop_stale(ds)
        _set_identity(ds, header, series_uid, k, derivation)
        _set_derivation(ds, k, references, derivation)
        _set_equipment(ds, derivation)
        _set_pixels(ds, header, rescales[k], rescales[k].store(result.voxels[k]))
        path = folder / f"{k + 1:04d}.dcm"
        _save(ds, path)
        files.append(path)
    report(1.0, "written")
    return DerivedSeries(series_uid, tuple(files), max(rescales, key=lambda rescale: abs(rescale.slope)))


def _drop_stale(ds: Dataset) -> None:
    """Remove what describes the source's pixels, and private groups, whose meaning nobody can check."""
    _drop_private(ds)
    for keyword in _STALE:
        if keyword in ds:
            delattr(ds, keyword)
    for tag in list(ds.keys()):
        overlay = _FIRST_OVERLAY <= tag.group <= _LAST_OVERLAY
        if overlay or _FIRST_CURVE <= tag.group <= _LAST_CURVE:
            del ds[tag]


def _drop_private(ds: Dataset) -> None:
    """Remove private elements, also in sequences.

    Nothing but sequences is decoded on the way, as pydicom's `remove_private_tags` would do: an element that nobody
    touches is written with the bytes it was read with.
    """
    for tag in list(ds.keys()):
        if tag.is_private:
            del ds[tag]
        elif ds.get_item(tag).VR in ("SQ", "UN", None) and ds[tag].VR == "SQ":
            for item in ds[tag].value:
                _drop_private(item)


def _set_identity(ds: Dataset, header: Header, series_uid: str, k: int, derivation: Derivation) -> None:
    """New series and instance in the old study and frame of reference."""
    ds.SOPClassUID = header.sop_class_uid
    ds.SOPInstanceUID = derived_uid(series_uid, str(k))
    ds.SeriesInstanceUID = series_uid
    number = int(ds.get("SeriesNumber") or 0)
    ds.SeriesNumber = number * 100 + 1 if abs(number) < 2**31 // 100 - 1 else number
    name = str(ds.get("SeriesDescription") or "")
    ds.SeriesDescription = f"{name[: 63 - len(derivation.label)]} {derivation.label}".strip()
    ds.InstanceNumber = k + 1
    when = derivation.made_at.astimezone(_time_zone(ds) or derivation.made_at.tzinfo)
    date, time = when.strftime("%Y%m%d"), when.strftime("%H%M%S.%f")
    ds.SeriesDate = ds.ContentDate = ds.InstanceCreationDate = date
    ds.SeriesTime = ds.ContentTime = ds.InstanceCreationTime = time


def _time_zone(ds: Dataset) -> datetime.tzinfo | None:
    """TimezoneOffsetFromUTC (0008,0201) rules all dates and times of a data set, ours too (PS3.3 C.12.1.1.8)."""
    offset = str(ds.get("TimezoneOffsetFromUTC") or "").strip()
    if len(offset) != 5 or offset[0] not in "+-" or not offset[1:].isdigit():
        return None
    minutes = int(offset[1:3]) * 60 + int(offset[3:])
    return datetime.timezone(datetime.timedelta(minutes=minutes if offset[0] == "+" else -minutes))


def _set_derivation(ds: Dataset, k: int, references: list[Dataset], derivation: Derivation) -> None:
    """Say that the image is derived, how, and from what (PS3.3 C.7.6.1.1.2, C.12.4.1.3)."""
    kept = list(ds.get("ImageType") or [])[2:]
    # PET knows no secondary images: value 2 is PRIMARY there (PS3.3 C.8.9.4.1.3)
    ds.ImageType = ["DERIVED", "PRIMARY" if ds.Modality == "PT" else "SECONDARY", *kept]
    earlier = str(ds.get("DerivationDescription") or "")
    own = f"{derivation.description}; {MANUFACTURER} {__version__}"
    ds.DerivationDescription = f"{earlier}; {own}"[:1024] if earlier else own[:1024]
    if derivation.code is not None:
        ds.DerivationCodeSequence = [*(ds.get("DerivationCodeSequence") or []), _code(*derivation.code)]
    reach = len(references) if derivation.reach_slices is None else derivation.reach_slices
    contributing = references[max(0, k - reach) : k + reach + 1]
    # the slice at the same place comes first: viewers take the first reference as the one to compare with
    ds.SourceImageSequence = [references[k], *(item for item in contributing if item is not references[k])]


def _reference(header: Header) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = header.sop_class_uid
    item.ReferencedSOPInstanceUID = header.sop_instance_uid
    item.SpatialLocationsPreserved = "YES"
    item.PurposeOfReferenceCodeSequence = [_code("121322", "DCM", "Source image for image processing operation")]
    return item


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def _set_equipment(ds: Dataset, derivation: Derivation) -> None:
    """This program made the image; the scanner contributed to it (PS3.3 C.7.5.1, C.12.1.1.5)."""
    scanner, program = Dataset(), Dataset()
    for keyword in _EQUIPMENT:
        if keyword in ds:
            if keyword == "Manufacturer" or ds.get(keyword):
                scanner[keyword] = ds[keyword]
            del ds[keyword]
    if "Manufacturer" not in scanner:
        scanner.Manufacturer = ""
    scanner.PurposeOfReferenceCodeSequence = [_code("109101", "DCM", "Acquisition Equipment")]
    program.PurposeOfReferenceCodeSequence = [_code("109102", "DCM", "Processing Equipment")]
    program.ContributionDateTime = derivation.made_at.strftime("%Y%m%d%H%M%S.%f%z")
    program.ContributionDescription = derivation.description[:1024]
    for item in (ds, program):
        item.Manufacturer = MANUFACTURER
        item.ManufacturerModelName = derivation.label
        item.SoftwareVersions = __version__
    ds.ContributingEquipmentSequence = [*(ds.get("ContributingEquipmentSequence") or []), scanner, program]


def _set_pixels(ds: Dataset, header: Header, rescale: Rescale, stored: NDArray[Any]) -> None:
    ds.BitsAllocated = ds.BitsStored = 16
    ds.HighBit = 15
    ds.PixelRepresentation = 1 if rescale.signed else 0
    ds.Rows, ds.Columns = stored.shape
    if rescale.written:
        for keyword, known, text in (
            ("RescaleSlope", header.rescale_slope, rescale.slope_text),
            ("RescaleIntercept", header.rescale_intercept, rescale.intercept_text),
        ):
            # a number that stays is left as the source wrote it, "1.000000" for 1
            if known != float(text) or ds.get(keyword) in (None, ""):
                setattr(ds, keyword, text)
        if ds.Modality != "PT" and not ds.get("RescaleType"):
            ds.RescaleType = "HU" if ds.Modality == "CT" else "US"  # US: unspecified (PS3.3 C.11.1.1.2)
    # PS3.3 C.11.2.1.2: a window narrower than 1 is not allowed, yet some scanners write one
    widths = ds.get("WindowWidth")
    if widths is not None and any(float(width) < 1 for width in np.atleast_1d(widths)):
        del ds.WindowWidth, ds.WindowCenter
    ds.PixelData = stored.astype(stored.dtype.newbyteorder("<"), copy=False).tobytes()
    ds["PixelData"].VR = "OW"


def _save(ds: Dataset, path: Path) -> None:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = ds.SOPClassUID
    meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
    meta.ImplementationVersionName = f"DLPLAB_{__version__}"[:16]
    ds.file_meta = meta
    ds.preamble = b"\0" * 128  # the source's may hold another format's header
    pydicom.dcmwrite(path, ds, enforce_file_format=True, implicit_vr=False, little_endian=True)
