"""Who the derived images are: UIDs, series, patient and study."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from pydicom.datadict import keyword_for_tag
from pydicom.tag import BaseTag
from pydicom.uid import (
    UID,
    CTImageStorage,
    LegacyConvertedEnhancedCTImageStorage,
    LegacyConvertedEnhancedMRImageStorage,
    LegacyConvertedEnhancedPETImageStorage,
    MRImageStorage,
    ParametricMapStorage,
    PositronEmissionTomographyImageStorage,
)

from dlp_lab.conformance.pair import DerivedSlice, Pair
from dlp_lab.conformance.rule import RuleTable

RULES = RuleTable()

_PATIENT_GROUP = 0x0010
_STUDY = (
    "StudyInstanceUID",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "StudyDescription",
    "AccessionNumber",
    "IssuerOfAccessionNumberSequence",
    "TimezoneOffsetFromUTC",
    "ReferringPhysicianName",
    "ReferringPhysicianIdentificationSequence",
    "ConsultingPhysicianName",
    "PhysiciansOfRecord",
    "NameOfPhysiciansReadingStudy",
    "RequestingService",
    "ReferencedStudySequence",
    "ProcedureCodeSequence",
    "AdmittingDiagnosesDescription",
    "AdmissionID",
    "ServiceEpisodeID",
)
_DEIDENTIFICATION = (
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "DeidentificationMethodCodeSequence",
    "LongitudinalTemporalInformationModified",
    "BurnedInAnnotation",
    "RecognizableVisualFeatures",
)
_CONVERTED = {
    CTImageStorage: LegacyConvertedEnhancedCTImageStorage,
    MRImageStorage: LegacyConvertedEnhancedMRImageStorage,
    PositronEmissionTomographyImageStorage: LegacyConvertedEnhancedPETImageStorage,
}
_SERIES = ("Modality", "SeriesInstanceUID", "SeriesNumber", "SeriesDescription", "SeriesDate", "SeriesTime")


def changed(slice_: DerivedSlice, tags: Iterable[BaseTag | str]) -> str | None:
    """Which of these are not as in the source slice at the same place, as a sentence; values are not told."""
    names = [
        tag if isinstance(tag, str) else keyword_for_tag(tag) or str(tag)
        for tag in tags
        if slice_.differs_in(slice_.source, tag)
    ]
    return f"not as in the source: {', '.join(names)}" if names else None


@RULES.each_slice("PS3.3 C.12.1, C.7.6.1.1.2")
def instance_uid_new(slice_: DerivedSlice, pair: Pair) -> str | None:
    """SOPInstanceUID is none of the source's."""
    reused = slice_.header.sop_instance_uid in pair.source_images
    return "SOPInstanceUID (0008,0018) is that of a source image, whose pixels are others" if reused else None


@RULES.whole_series("PS3.3 C.12.1")
def instance_uid_unique(pair: Pair) -> str | None:
    """No two derived images share a SOPInstanceUID."""
    uids = Counter(slice_.header.sop_instance_uid for slice_ in pair.derived_files.values())
    twice = sum(count > 1 for count in uids.values())
    return f"SOPInstanceUID (0008,0018): {twice} values are used more than once" if twice else None


@RULES.each_slice("PS3.5 9.1")
def uid_valid(slice_: DerivedSlice, pair: Pair) -> str | None:
    """The new UIDs are valid: numbers without leading zeros between dots, at most 64 characters."""
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID"):
        uid = UID(str(slice_.ds.get(keyword) or ""))
        if not uid.is_valid or len(uid) > 64:
            return f"{keyword} is no valid UID: {str(uid)!r}"
    return None


@RULES.each_slice("PS3.10 7.1")
def meta_equals_data_set(slice_: DerivedSlice, pair: Pair) -> str | None:
    """The file meta information has the SOP class and instance of the data set."""
    meta = slice_.ds.file_meta
    for of_meta, of_data_set in (
        ("MediaStorageSOPInstanceUID", "SOPInstanceUID"),
        ("MediaStorageSOPClassUID", "SOPClassUID"),
    ):
        if meta.get(of_meta) != slice_.ds.get(of_data_set):
            return f"{of_meta} is not {of_data_set}"
    return None


@RULES.each_slice("PS3.10 7.1")
def preamble_empty(slice_: DerivedSlice, pair: Pair) -> str | None:
    """The preamble is zero, for no other format's header describes the new pixels."""
    return "the preamble of 128 bytes is absent or not zero" if slice_.ds.preamble != b"\0" * 128 else None


@RULES.each_slice("PS3.3 A.3, A.4, A.21, A.70 to A.72, A.75")
def kind_kept(slice_: DerivedSlice, pair: Pair) -> str | None:
    """SOP class and Modality are those of the source, or the SOP class is one for its frames in one file."""
    mine, theirs = slice_.header.sop_class_uid, slice_.source.header.sop_class_uid
    if mine not in (theirs, _CONVERTED.get(theirs) if slice_.frame is not None else None, ParametricMapStorage):
        return "SOPClassUID (0008,0016) is not that of the source, and not one that holds its slices as frames"
    return changed(slice_, ["Modality"])


@RULES.whole_series("PS3.3 C.7.3.1")
def series_new(pair: Pair) -> str | None:
    """SeriesInstanceUID is not the source's."""
    own = {slice_.header.series_instance_uid for slice_ in pair.derived}
    shared = own & {slice_.header.series_instance_uid for slice_ in pair.source}
    return "SeriesInstanceUID (0020,000E) is that of the source: they would become one series" if shared else None


@RULES.whole_series("PS3.3 C.7.3.1")
def series_one(pair: Pair) -> str | None:
    """What belongs to the series is the same in all images."""
    several = [name for name in _SERIES if len({str(slice_.ds.get(name)) for slice_ in pair.derived}) > 1]
    return f"not the same in all derived images: {', '.join(several)}" if several else None


@RULES.whole_series("PS3.3 C.7.6.1")
def instance_number_unique(pair: Pair) -> str | None:
    """Every image has an InstanceNumber of its own."""
    numbers = [str(slice_.ds.get("InstanceNumber") or "") for slice_ in pair.derived_files.values()]
    if all(numbers) and len(set(numbers)) == len(numbers):
        return None
    return "InstanceNumber (0020,0013) is absent or used more than once"


@RULES.each_slice("PS3.3 C.7.1.1, C.7.2.2")
def patient_kept(slice_: DerivedSlice, pair: Pair) -> str | None:
    """All of the patient's attributes (group 0010) are those of the source, byte for byte."""
    tags = slice_.as_stored.keys() | slice_.source.as_stored.keys()
    # element 0 is the length of the group, which has been retired
    return changed(slice_, sorted(tag for tag in tags if tag.group == _PATIENT_GROUP and tag.element))


@RULES.each_slice("PS3.3 C.7.2.1")
def study_kept(slice_: DerivedSlice, pair: Pair) -> str | None:
    """The study's attributes are those of the source, byte for byte."""
    return changed(slice_, _STUDY)


@RULES.each_slice("PS3.3 C.12.1.1.2")
def charset_kept(slice_: DerivedSlice, pair: Pair) -> str | None:
    """SpecificCharacterSet is the source's, for it says how the patient's name is to be read."""
    return changed(slice_, ["SpecificCharacterSet"])


@RULES.each_slice("PS3.3 C.7.1.1, C.7.6.1; PS3.15 E")
def deidentification_kept(slice_: DerivedSlice, pair: Pair) -> str | None:
    """What the source says about identity is kept, and nothing is asserted that it does not say."""
    # a Parametric Map must say the last two (PS3.3 C.8.32.2), so they are left to `appearance-stated`
    return changed(slice_, _DEIDENTIFICATION[:-2] if pair.form == "parametric_map" else _DEIDENTIFICATION)
