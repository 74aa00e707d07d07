"""Images that are in a folder twice."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from operator import attrgetter

from pydicom.uid import DeflatedExplicitVRLittleEndian

from dlp_lab.dicom.data_set import PixelElement
from dlp_lab.dicom.header import Header, Ignored
from dlp_lab.dicom.pixel_data import present_pixels
from dlp_lab.dicom.unchanged_file import opened_unchanged
from dlp_lab.errors import DuplicateConflict

_PIECE_BYTES = 2**20

_MEANING = attrgetter(
    "patient_id",
    "study_instance_uid",
    "sop_class_uid",
    "frame_of_reference_uid",
    "position_lps_mm",
    "orientation",
    "pixel_spacing_mm",
    "rows",
    "columns",
    "samples_per_pixel",
    "photometric_interpretation",
    "bits_allocated",
    "bits_stored",
    "high_bit",
    "signed",
    "rescale_slope",
    "rescale_intercept",
    "has_rescale",
    "unit",
    "has_modality_lut",
)
"""Whose image it is, where it lies, and what the bytes of its pixels mean."""


def without_copies(headers: Sequence[Header]) -> tuple[list[Header], list[Ignored]]:
    """Drop copies of an image: files with the same SOPInstanceUID, place and values, frame by frame.

    Returns:
        One header for each image, and the copies left out.

    Raises:
        DuplicateConflict: Two files claim to be the same image, and are not.
        Truncated: One of them has no pixels.
        FileChanged: One of them is not as it was when its header was read.
    """
    kept: dict[tuple[str, int | None], Header] = {}
    dropped = []
    for header in headers:
        first = kept.setdefault((header.sop_instance_uid, header.frame), header)
        if first is header:
            continue
        if _MEANING(first) != _MEANING(header) or _pixels_digest(first) != _pixels_digest(header):
            raise DuplicateConflict(
                f"{first.name} and {header.name} have the same SOPInstanceUID (0008,0018) and differ in "
                "pixels, place or what their values mean; take the wrong one out of the folder"
            )
        dropped.append(Ignored(header.path, f"copy of {first.name}"))
    return list(kept.values()), dropped


def _pixels_digest(header: Header) -> tuple[str, bytes]:
    """Transfer syntax, and digest of the bytes of the pixels as they are stored."""
    pixels = present_pixels(header)
    digest = hashlib.sha256()
    with opened_unchanged(header) as file:
        for offset, length in pixels.fragments or [_place(header, pixels)]:
            file.seek(offset)
            left = length
            while left > 0 and (piece := file.read(min(left, _PIECE_BYTES))):
                digest.update(piece)
                left -= len(piece)
    return header.transfer_syntax_uid, digest.digest()


def _place(header: Header, pixels: PixelElement) -> tuple[int, int]:
    """Where in the file the bytes of the pixels begin, and how many they are."""
    if header.transfer_syntax_uid == DeflatedExplicitVRLittleEndian:
        return 0, header.file_bytes  # where in it the pixels are cannot be told without inflating it
    return pixels.offset, header.file_bytes - pixels.offset if pixels.length is None else pixels.length
