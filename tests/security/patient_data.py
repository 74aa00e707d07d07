"""A series that says `SENTINEL` wherever DICOM has room for text, so that it is seen wherever it comes out again."""

from __future__ import annotations

import re
from pathlib import Path

from pydicom.datadict import DicomDictionary
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from tests.phantom import Phantom, write_phantom_series

SENTINEL = "ZZPHI"
"""In every text of the data sets."""
FOLDER_SENTINEL = "ZZDIR"
"""In the names of folder and files, which the user chose and asks with."""

_TEXT_VRS = ("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT")
_KEPT_KEYWORDS = (
    # without these the files are no series of images, and are refused by their values
    *("SpecificCharacterSet", "Modality", "ImageType", "PhotometricInterpretation", "RescaleType"),
    *("LossyImageCompression", "PixelPaddingValue", "BurnedInAnnotation", "PatientPosition"),
)


def sentinel_of(name: str) -> str:
    """A text that says which attribute it comes from, so that a leak names it."""
    return f"{SENTINEL}{name}"[:16].upper()


def text_tags() -> list[tuple[int, str, str]]:
    """Every text attribute of a data set that pydicom knows: tag, VR and keyword."""
    return [
        (tag, vr, keyword)
        for tag, (vr, _, _, _, keyword) in DicomDictionary.items()
        if vr in _TEXT_VRS and tag >> 16 >= 0x0008 and keyword and keyword not in _KEPT_KEYWORDS
    ]


def told_of(text: str) -> list[str]:
    """The attributes whose text is in it."""
    return re.findall(rf"{SENTINEL}\w*", text, flags=re.IGNORECASE)


def fill_with_sentinel(ds: Dataset) -> None:
    """Say it in every text attribute, in a nested item of an item, and in a private block."""
    for tag, vr, keyword in text_tags():
        ds.add_new(tag, vr, sentinel_of(keyword))
    inner = Dataset()
    inner.PatientName = sentinel_of("inner")
    inner.CodeMeaning = sentinel_of("code")
    outer = Dataset()
    outer.RequestedProcedureDescription = sentinel_of("outer")
    outer.RequestedProcedureCodeSequence = Sequence([inner])
    ds.RequestAttributesSequence = Sequence([outer])
    block = ds.private_block(0x0029, sentinel_of("creator"), create=True)
    block.add_new(0x01, "LO", sentinel_of("private"))
    block.add_new(0x02, "UN", sentinel_of("unknown").encode())
    ds.file_meta.PrivateInformationCreatorUID = "1.2.3"
    ds.file_meta.PrivateInformation = sentinel_of("meta").encode()
    ds.file_meta.SourceApplicationEntityTitle = sentinel_of("title")


def write_patient_series(folder: Path, slices: int = 4) -> Phantom:
    """A CT series whose folder and file names are said in `FOLDER_SENTINEL`."""
    phantom = write_phantom_series(folder, shape=(slices, 5, 6), edit=lambda _, ds: fill_with_sentinel(ds))
    for path in phantom.files:
        path.rename(path.with_name(f"{FOLDER_SENTINEL}-{path.name}"))
    return phantom
