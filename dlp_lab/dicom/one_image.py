"""One image of a file by itself, for a picture of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from pydicom.uid import ExplicitVRLittleEndian, ParametricMapStorage

from dlp_lab.dicom.data_set import read_header_elements
from dlp_lab.dicom.frames import read_frames
from dlp_lab.dicom.header import Header
from dlp_lab.dicom.quiet import quiet
from dlp_lab.dicom.read import read_volume
from dlp_lab.dicom.series import assemble
from dlp_lab.dicom.similar_headers import read_headers
from dlp_lab.dicom.unchanged_file import opened_unchanged
from dlp_lab.errors import DicomError, NoGeometry, NoPicture, Truncated, UnsupportedPixels
from dlp_lab.geometry import Geometry
from dlp_lab.volume import Volume

_FLOAT_PIXEL_DATA = 0x7FE00008


def read_image(path: Path, frame: int | None) -> Volume:
    """An image as a volume of one slice, in real-world values.

    Of a Parametric Map, which is read for this alone, the volume has no place: only its spacing is right.

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
    if found.sop_class_uid == ParametricMapStorage:
        return _read_map(found, _number(frame, found.frames, path))
    images = read_frames(found)
    image = images[_number(frame, len(images), path)]
    if not image.slice_thickness_mm:
        image = replace(image, slice_thickness_mm=1.0)  # no picture shows it, and a slice alone has no other depth
    return read_volume(assemble([image]))


def _number(frame: int | None, images: int, path: Path) -> int:
    number = images // 2 if frame is None else frame
    if not 0 <= number < images:
        raise NoPicture(f"{path.name} has {images} images; there is no image {number + 1}")
    return number


def _read_map(header: Header, number: int) -> Volume:
    """A frame of a Parametric Map (PS3.3 A.75) with floats of 32 bits, as this program writes it."""
    pixels = header.pixels
    if pixels is None or pixels.tag != _FLOAT_PIXEL_DATA or header.transfer_syntax_uid != ExplicitVRLittleEndian:
        raise UnsupportedPixels(f"{header.name} has not the uncompressed FloatPixelData (7FE0,0008) that is shown")
    count = header.rows * header.columns
    with opened_unchanged(header, buffering=0) as file:
        values = np.fromfile(file, "<f4", count, offset=pixels.offset + number * count * 4)
    if len(values) < count:
        raise Truncated(f"{header.name} ends before its pixels do (FloatPixelData (7FE0,0008)); export it again")
    between_rows_mm, between_columns_mm = _pixel_spacing_mm(header)
    geometry = Geometry((1, header.rows, header.columns), np.diag([1.0, between_rows_mm, between_columns_mm, 1.0]))
    return Volume(voxels=values.reshape(1, header.rows, header.columns), geometry=geometry)


def _pixel_spacing_mm(header: Header) -> tuple[float, float]:
    with quiet(), opened_unchanged(header) as file:
        ds = read_header_elements(file, part_10=not header.without_preamble)
        for sequence in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
            for groups in (ds.get(sequence) or ())[:1]:
                for measures in groups.get("PixelMeasuresSequence") or ():
                    between_rows_mm, between_columns_mm = map(float, measures.PixelSpacing)
                    return between_rows_mm, between_columns_mm
    raise NoGeometry(f"{header.name} has no PixelSpacing (0028,0030)")
