"""Images that are in a folder twice."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pydicom
from pydicom.tag import Tag

from dlp_lab.dicom.header import Header, Ignored
from dlp_lab.errors import DuplicateConflict


def without_copies(headers: Sequence[Header]) -> tuple[list[Header], list[Ignored]]:
    """Drop copies of an image: files with the same SOPInstanceUID, place and pixels.

    Returns:
        One header for each image, and the copies left out.

    Raises:
        DuplicateConflict: Two files claim to be the same image, and are not.
    """
    kept: dict[str, Header] = {}
    dropped = []
    for header in headers:
        first = kept.setdefault(header.sop_instance_uid, header)
        if first is header:
            continue
        if first.position_lps_mm != header.position_lps_mm or _pixels_digest(first) != _pixels_digest(header):
            raise DuplicateConflict(
                f"{first.path.name} and {header.path.name} have the same SOPInstanceUID (0008,0018) and differ in "
                "pixels or position; take the wrong one out of the folder"
            )
        dropped.append(Ignored(header.path, f"copy of {first.path.name}"))
    return list(kept.values()), dropped


def _pixels_digest(header: Header) -> bytes:
    ds = pydicom.dcmread(header.path, specific_tags=[Tag("PixelData")], force=header.without_preamble)
    return hashlib.sha256(ds.get("PixelData") or b"").digest()
