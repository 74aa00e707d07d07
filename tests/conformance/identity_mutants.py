"""Derived series that are wrong about who they are and what they come from."""

from __future__ import annotations

from pydicom.uid import MRImageStorage, SecondaryCaptureImageStorage

from tests.conformance.mutation import (
    Files,
    Mutant,
    as_source,
    both,
    each,
    in_meta,
    in_references,
    set_instance_uid,
    setting,
    setting_one,
    without,
)


def _foreign_preamble(files: Files) -> None:
    for path in files.derived_paths():
        path.write_bytes(b"II*\0" + path.read_bytes()[4:])


MUTANTS: tuple[Mutant, ...] = (
    # identity
    Mutant(
        "SOPInstanceUID of the source",
        ("rules:instance-uid-new", "validators:dcentvfy"),
        each(lambda ds, k, source: set_instance_uid(ds, source.SOPInstanceUID)),
    ),
    Mutant(
        "one SOPInstanceUID for two slices",
        ("rules:instance-uid-unique",),
        each(lambda ds, k, source: set_instance_uid(ds, "2.25.7") if k < 2 else None),
    ),
    Mutant(
        "UID component with a leading zero",
        ("rules:uid-valid", "validators:dciodvfy"),
        each(lambda ds, k, source: set_instance_uid(ds, f"1.2.03.{k}")),
    ),
    Mutant(
        "UID of 65 characters",
        ("rules:uid-valid",),
        each(lambda ds, k, source: set_instance_uid(ds, f"1.{k}.{'1' * 61}")),
    ),
    Mutant("SOPInstanceUID only in the file meta", ("rules:uid-valid",), setting("SOPInstanceUID", "")),
    Mutant(
        "file meta with another instance UID",
        ("rules:meta-equals-data-set", "validators:dciodvfy"),
        in_meta("MediaStorageSOPInstanceUID", "2.25.1"),
    ),
    Mutant(
        "file meta with another SOP class",
        ("rules:meta-equals-data-set",),
        in_meta("MediaStorageSOPClassUID", MRImageStorage),
    ),
    Mutant("preamble of another format", ("rules:preamble-empty",), _foreign_preamble),
    Mutant(
        "written as secondary capture",
        ("rules:kind-kept",),
        both(
            setting("SOPClassUID", SecondaryCaptureImageStorage),
            in_meta("MediaStorageSOPClassUID", SecondaryCaptureImageStorage),
        ),
    ),
    Mutant("another Modality", ("geometry:unreadable",), setting("Modality", "OT")),
    Mutant("SeriesInstanceUID of the source", ("rules:series-new",), as_source("SeriesInstanceUID")),
    Mutant(
        "a series for every slice",
        ("rules:series-one",),
        each(lambda ds, k, source: setattr(ds, "SeriesInstanceUID", f"2.25.{k + 1}")),
    ),
    Mutant("one slice with another SeriesNumber", ("rules:series-one",), setting_one("SeriesNumber", 9)),
    Mutant("another study", ("rules:study-kept",), setting("StudyInstanceUID", "2.25.2")),
    Mutant("AccessionNumber lost", ("rules:study-kept",), setting("AccessionNumber", "")),
    Mutant("StudyDate of today", ("rules:study-kept",), setting("StudyDate", "20300101")),
    Mutant("another PatientID", ("rules:patient-kept", "validators:dcentvfy"), setting("PatientID", "OTHER")),
    Mutant("PatientID lost", ("rules:patient-kept", "validators:dciodvfy"), without("PatientID")),
    Mutant("PatientName without its umlaut", ("rules:patient-kept",), setting("PatientName", "Phantom^?nne")),
    Mutant("PatientAge invented", ("rules:patient-kept",), setting("PatientAge", "050Y")),
    Mutant("one slice of another patient", ("rules:patient-kept",), setting_one("PatientID", "OTHER")),
    Mutant("character set changed", ("rules:charset-kept",), setting("SpecificCharacterSet", "ISO_IR 192")),
    Mutant("character set lost", ("rules:charset-kept",), without("SpecificCharacterSet")),
    Mutant("asserted that nothing is burned in", ("rules:deidentification-kept",), setting("BurnedInAnnotation", "NO")),
    Mutant("asserted to be de-identified", ("rules:deidentification-kept",), setting("PatientIdentityRemoved", "YES")),
    Mutant("one InstanceNumber for all", ("rules:instance-number-unique",), setting("InstanceNumber", 1)),
    Mutant("InstanceNumber lost", ("rules:instance-number-unique",), setting("InstanceNumber", None)),
    # derivation
    Mutant("ImageType ORIGINAL", ("rules:image-type-derived",), as_source("ImageType")),
    Mutant("ImageType lost", ("rules:image-type-derived",), without("ImageType")),
    Mutant("a CT result as PRIMARY", ("rules:image-type-secondary",), setting("ImageType", "DERIVED\\PRIMARY\\AXIAL")),
    Mutant(
        "a PET result as SECONDARY", ("rules:image-type-secondary",), setting("ImageType", "DERIVED\\SECONDARY"), "PT"
    ),
    Mutant("ImageType value 3 lost", ("rules:image-type-kept",), setting("ImageType", "DERIVED\\SECONDARY")),
    Mutant("not said what was done", ("rules:derivation-described",), without("DerivationDescription")),
    Mutant("no source named", ("rules:source-images-named",), without("SourceImageSequence")),
    Mutant("a source named twice", ("rules:source-images-named",), in_references(lambda items: items.append(items[0]))),
    Mutant(
        "an unknown image as source",
        ("rules:source-images-known",),
        in_references(lambda items: setattr(items[-1], "ReferencedSOPInstanceUID", "2.25.3")),
    ),
    Mutant(
        "a source by another SOP class",
        ("rules:source-images-known",),
        in_references(lambda items: setattr(items[0], "ReferencedSOPClassUID", MRImageStorage)),
    ),
    Mutant(
        "a neighbour as first source",
        ("rules:source-image-first",),
        in_references(lambda items: items.append(items.pop(0))),
    ),
    Mutant(
        "sources without purpose",
        ("rules:source-images-purpose",),
        in_references(lambda items: [delattr(item, "PurposeOfReferenceCodeSequence") for item in items]),
    ),
    Mutant(
        "locations said not to be preserved",
        ("rules:source-images-purpose",),
        in_references(lambda items: [setattr(item, "SpatialLocationsPreserved", "NO") for item in items]),
    ),
    Mutant("lossy source forgotten", ("rules:lossy-kept",), setting("LossyImageCompression", "00")),
    Mutant("lossy ratio lost", ("rules:lossy-kept",), without("LossyImageCompressionRatio")),
    Mutant("content made when the source was", ("rules:made-later",), as_source("ContentDate", "ContentTime")),
    Mutant("series made when the source was", ("rules:made-later",), as_source("SeriesDate", "SeriesTime")),
    Mutant("SeriesDate lost", ("rules:made-later",), without("SeriesDate")),
    Mutant(
        "acquired when it was computed",
        ("rules:acquisition-kept",),
        setting("AcquisitionDateTime", "20300101120000"),
    ),
    Mutant("another KVP", ("rules:acquisition-kept",), setting("KVP", "80")),
    Mutant("KVP lost", ("rules:acquisition-kept", "validators:dciodvfy"), without("KVP")),
    Mutant("another PatientPosition", ("rules:acquisition-kept",), setting("PatientPosition", "FFS")),
    Mutant("Laterality invented", ("rules:acquisition-kept",), setting("Laterality", "L")),
    Mutant("scanner forgotten", ("rules:equipment-contributed",), without("ContributingEquipmentSequence")),
    Mutant("made by the scanner", ("rules:equipment-own",), as_source("Manufacturer")),
    Mutant("with the scanner's serial number", ("rules:equipment-own",), as_source("DeviceSerialNumber")),
)
