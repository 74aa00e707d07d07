"""Reads the header of one DICOM file, within limits. `header.py` says what a header is."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

import pydicom
from pydicom.dataset import FileDataset
from pydicom.tag import BaseTag, Tag
from pydicom.uid import (
    UID,
    CTImageStorage,
    MediaStorageDirectoryStorage,
    PositronEmissionTomographyImageStorage,
)

from dlp_lab.dicom.data_set import PixelElement, read_data_set
from dlp_lab.dicom.element_values import element_values, read_count, read_numbers
from dlp_lab.dicom.header import DISCRIMINATING, LOSSY_TRANSFER_SYNTAXES, MODALITIES, Header, Ignored
from dlp_lab.dicom.quiet import quiet
from dlp_lab.dicom.unchanged_file import FileState, refuse_changed
from dlp_lab.errors import DicomError, Malformed, TooLarge, Unreadable

_KEYWORDS = (
    "ImageType",
    "SOPClassUID",
    "SOPInstanceUID",
    "Modality",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "SeriesDescription",
    "PatientID",
    "SliceThickness",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "FrameOfReferenceUID",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "PixelSpacing",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "RescaleIntercept",
    "RescaleSlope",
    "RescaleType",
    "ModalityLUTSequence",
    "Units",
    "LossyImageCompression",
    *DISCRIMINATING,
)
WANTED_TAGS: list[BaseTag | int] = [Tag(keyword) for keyword in _KEYWORDS]


def read_header(path: Path) -> Header | Ignored:
    """Read the header of one file.

    Returns:
        The header, or, for a file that is not DICOM or holds no image, the reason why it plays no part.

    Raises:
        Unreadable: The file cannot be opened. It is not skipped, for it may be a slice.
        FileChanged: The file was written to meanwhile.
        Malformed: The file is DICOM, but broken.
        TooLarge: Its header is larger than any header is.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return Ignored(path, "not a file")
        with open(path, "rb") as file:
            state = FileState.of(file.fileno())
            try:
                return _read_opened(path, file, state)
            finally:
                refuse_changed(file.fileno(), state, path.name)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise Unreadable(
            f"{path.name} cannot be opened ({reason}); it may be a slice, so it is not skipped: "
            "make it readable or take it out of the folder"
        ) from None


def _read_opened(path: Path, file: BinaryIO, state: FileState) -> Header | Ignored:
    start = file.read(132)
    part_10 = has_preamble(start)
    # a data set without preamble begins with group 0008, or 0002 if only the preamble was lost
    if not part_10 and start[:2] not in (b"\x08\0", b"\x02\0"):
        return Ignored(path, "empty" if not start else "not DICOM")
    return parse_header(file, path, part_10=part_10, state=state)


def has_preamble(start: bytes) -> bool:
    """Whether a file that begins with these 132 bytes is in the format of PS3.10."""
    return start[128:132] == b"DICM"


def parse_header(source: BinaryIO, path: Path, *, part_10: bool, state: FileState | None = None) -> Header | Ignored:
    """`read_header` of bytes from anywhere.

    Args:
        source: What to read, from its start.
        path: What messages call it.
        part_10: Whether it begins with the preamble of PS3.10.
        state: Of the file, if the bytes are those of one.
    """
    try:
        with quiet():
            ds, pixels = read_data_set(source, part_10=part_10, tags=WANTED_TAGS)
            state = state or FileState(0, source.seek(0, os.SEEK_END), 0)
            return _header(path, ds, pixels, state, without_preamble=not part_10)
    except TooLarge as error:
        raise TooLarge(f"{path.name} cannot be read: {error}; take it out of the folder") from None
    except (DicomError, MemoryError):
        raise
    except Exception as error:
        # pydicom raises at least eight kinds of exception on broken files; all mean the same to the user
        if not part_10:
            return Ignored(path, "not DICOM")
        raise Malformed(
            f"{path.name} is DICOM but cannot be understood ({type(error).__name__}); take it out of the folder or "
            "export it again"
        ) from None


def _header(
    path: Path, ds: FileDataset, pixels: PixelElement | None, state: FileState, *, without_preamble: bool
) -> Header | Ignored:
    meta = ds.file_meta
    sop_class, sop_instance = ds.get("SOPClassUID"), ds.get("SOPInstanceUID")
    uids_from_meta = not (sop_class and sop_instance)
    sop_class = UID(sop_class or meta.get("MediaStorageSOPClassUID") or "")
    sop_instance = UID(sop_instance or meta.get("MediaStorageSOPInstanceUID") or "")
    if not sop_class and without_preamble:
        return Ignored(path, "not DICOM")
    if sop_class == MediaStorageDirectoryStorage:
        return Ignored(path, "DICOMDIR")
    if not ds.get("Rows") or not ds.get("Columns"):
        if sop_class and sop_class not in MODALITIES:
            return Ignored(path, f"no image: {sop_class.name}")
        # a slice that was cut off, or whose header is damaged, must not vanish from its series
        raise Malformed(
            f"{path.name} is DICOM, but its header ends early or is damaged: it has no "
            f"{'Rows (0028,0010)' if sop_class else 'SOPClassUID (0008,0016)'}; export it again or take it out"
        )
    if not sop_instance:
        raise Malformed(f"{path.name} has no SOPInstanceUID (0008,0018), so a result could not refer to it")
    transfer_syntax = UID(meta.get("TransferSyntaxUID") or _guessed_transfer_syntax(ds))
    bits_allocated = read_count(path, ds, "BitsAllocated", 0)
    bits_stored = read_count(path, ds, "BitsStored", bits_allocated)
    has_rescale = all(element_values(ds, keyword) for keyword in ("RescaleSlope", "RescaleIntercept"))
    return Header(
        path=path,
        sop_class_uid=sop_class,
        sop_instance_uid=sop_instance,
        study_instance_uid=str(ds.get("StudyInstanceUID") or ""),
        series_instance_uid=str(ds.get("SeriesInstanceUID") or ""),
        patient_id=str(ds.get("PatientID") or ""),
        series_description=str(ds.get("SeriesDescription") or ""),
        modality=_modality(path, ds, sop_class),
        image_type=tuple(str(value) for value in element_values(ds, "ImageType") or ()),
        transfer_syntax_uid=transfer_syntax,
        frame_of_reference_uid=str(ds.get("FrameOfReferenceUID") or "") or None,
        position_lps_mm=read_numbers(path, ds, "ImagePositionPatient", 3),
        orientation=read_numbers(path, ds, "ImageOrientationPatient", 6),
        pixel_spacing_mm=read_numbers(path, ds, "PixelSpacing", 2),
        slice_thickness_mm=(read_numbers(path, ds, "SliceThickness", 1) or (None,))[0],
        rows=read_count(path, ds, "Rows"),
        columns=read_count(path, ds, "Columns"),
        frames=read_count(path, ds, "NumberOfFrames"),
        samples_per_pixel=read_count(path, ds, "SamplesPerPixel"),
        photometric_interpretation=str(ds.get("PhotometricInterpretation") or ""),
        bits_allocated=bits_allocated,
        bits_stored=bits_stored,
        high_bit=bits_stored - 1 if ds.get("HighBit") is None else int(ds.HighBit),
        signed=bool(ds.get("PixelRepresentation")),
        rescale_slope=(read_numbers(path, ds, "RescaleSlope", 1) or (1.0,))[0],
        rescale_intercept=(read_numbers(path, ds, "RescaleIntercept", 1) or (0.0,))[0],
        has_rescale=has_rescale,
        unit=_unit(ds, sop_class) if has_rescale else None,
        has_modality_lut=bool(ds.get("ModalityLUTSequence")),
        lossy=ds.get("LossyImageCompression") == "01" or transfer_syntax in LOSSY_TRANSFER_SYNTAXES,
        discriminators=tuple(
            (keyword, "\\".join(str(value) for value in element_values(ds, keyword) or ()))
            for keyword in DISCRIMINATING
        ),
        pixels=pixels,
        file_bytes=state.file_bytes,
        inode=state.inode,
        modified_ns=state.modified_ns,
        without_preamble=without_preamble,
        uids_from_meta=uids_from_meta,
    )


def _guessed_transfer_syntax(ds: FileDataset) -> UID:
    """pydicom found out the encoding of a data set that does not name it."""
    implicit, little = ds.original_encoding
    if implicit:
        return pydicom.uid.ImplicitVRLittleEndian
    return pydicom.uid.ExplicitVRLittleEndian if little else pydicom.uid.ExplicitVRBigEndian


def _modality(path: Path, ds: FileDataset, sop_class: UID) -> str:
    stated = str(ds.get("Modality") or "")
    implied = MODALITIES.get(sop_class, stated)
    if stated not in ("", implied):
        raise Malformed(
            f"{path.name} contradicts itself: Modality (0008,0060) is {stated}, the SOP class {sop_class.name}"
        )
    return implied


def _unit(ds: FileDataset, sop_class: UID) -> str | None:
    """HU for CT (PS3.3 Table C.8-3, RescaleType), Units for PET (Table C.8-60); an MR image has no unit."""
    if sop_class == PositronEmissionTomographyImageStorage:
        return str(ds.get("Units") or "") or None
    return str(ds.get("RescaleType") or "HU") if sop_class == CTImageStorage else None
