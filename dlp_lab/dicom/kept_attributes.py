"""Which attributes of a classic header stay at the top of a multi-frame image; all others belong to its frames."""

from __future__ import annotations

from pydicom.tag import BaseTag, Tag

_GROUPS = (0x0010, 0x0012, 0x0032, 0x0038)
"""Patient, clinical trial, requested procedure, visit."""

_SOP_COMMON = (
    *("SpecificCharacterSet", "TimezoneOffsetFromUTC", "SOPClassUID", "SOPInstanceUID", "InstanceNumber"),
    *("InstanceCreationDate", "InstanceCreationTime", "ContributingEquipmentSequence"),
    *("LongitudinalTemporalInformationModified", "CodingSchemeIdentificationSequence"),
)
_STUDY = (
    *("StudyInstanceUID", "StudyID", "StudyDate", "StudyTime", "StudyDescription", "AccessionNumber"),
    *("IssuerOfAccessionNumberSequence", "ReferringPhysicianName", "ReferringPhysicianIdentificationSequence"),
    *("ConsultingPhysicianName", "ConsultingPhysicianIdentificationSequence", "PhysiciansOfRecord"),
    *("PhysiciansOfRecordIdentificationSequence", "NameOfPhysiciansReadingStudy"),
    *("PhysiciansReadingStudyIdentificationSequence", "ReferencedStudySequence", "ProcedureCodeSequence"),
    *("AdmittingDiagnosesDescription", "AdmittingDiagnosesCodeSequence", "ReasonForPerformedProcedureCodeSequence"),
)
_SERIES = (
    *("Modality", "SeriesInstanceUID", "SeriesNumber", "SeriesDate", "SeriesTime", "SeriesDescription"),
    *("SeriesDescriptionCodeSequence", "PerformingPhysicianName", "OperatorsName", "ProtocolName"),
    *("BodyPartExamined", "Laterality", "PatientPosition", "AnatomicalOrientationType", "RequestAttributesSequence"),
    *("ReferencedPerformedProcedureStepSequence", "PerformedProcedureStepID", "PerformedProcedureStepStartDate"),
    *("PerformedProcedureStepStartTime", "PerformedProcedureStepDescription"),
)
_FRAME_OF_REFERENCE = ("FrameOfReferenceUID", "PositionReferenceIndicator")
_EQUIPMENT = ("Manufacturer", "ManufacturerModelName", "SoftwareVersions")
_IMAGE = (
    *("ImageType", "ContentDate", "ContentTime", "ImageComments", "BurnedInAnnotation", "RecognizableVisualFeatures"),
    *("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod"),
    *("SamplesPerPixel", "PhotometricInterpretation", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit"),
    *("PixelRepresentation", "AcquisitionContextSequence", "NumberOfFrames"),
)
_TAGS = frozenset(
    Tag(keyword) for keyword in (*_SOP_COMMON, *_STUDY, *_SERIES, *_FRAME_OF_REFERENCE, *_EQUIPMENT, *_IMAGE)
)


def is_kept(tag: BaseTag) -> bool:
    """Whether a multi-frame image has the attribute where a single-frame one has it."""
    return tag in _TAGS or tag.group in _GROUPS
