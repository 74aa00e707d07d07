"""One image of a file by itself, for a picture of it."""

from __future__ import annotations

from pathlib import Path

from dlp_lab.dicom.frames import read_frames
from dlp_lab.dicom.header import Header
from dlp_lab.dicom.read import read_volume
from dlp_lab.dicom.series import assemble
from dlp_lab.dicom.similar_headers import read_headers
from dlp_lab.errors import DicomError, NoPicture
from dlp_lab.volume import Volume


def read_image(path: Path, frame: int | None) -> Volume:
    """An image as a volume of one slice, in real-world values.

    Args:
        path: A file.
        frame: Which frame of a multi-frame file, from 0; None for the only image, or the middle frame.

    Raises:
        DicomError: The file, or the image, is refused.
        NoPicture: The file is no image, or has not that frame.
    """
    (found,) = read_headers([path])
    if isinstance(found, DicomError):
        raise found
    if not isinstance(found, Header):
        raise NoPicture(f"{path.name} is no image ({found.reason})")
    images = read_frames(found)
    number = len(images) // 2 if frame is None else frame
    if not 0 <= number < len(images):
        raise NoPicture(f"{path.name} has {len(images)} images; there is no image {number + 1}")
    return read_volume(assemble([images[number]]))
