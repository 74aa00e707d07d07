"""Where the planes of a segmentation lie, and which slices of the source they show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.valuerep import DS

from dlp_lab.dicom.derived_header import decimal
from dlp_lab.dicom.frame_data_set import frame_data_set
from dlp_lab.dicom.raw_elements import PREAMBLE_BYTES, raw_elements
from dlp_lab.dicom.series import HeaderSource
from dlp_lab.geometry import FloatArray

Digits = tuple[str, ...]
"""ImagePositionPatient as decimal strings."""

_POSITION = int(Tag("ImagePositionPatient"))
_SAME_PLACE_MM = 1e-3


def positions_lps_mm(source: HeaderSource, ks: Sequence[int]) -> FloatArray:
    """`(n, 3)` place of the first pixel of each plane that is written: its slice's, or that on the resampled grid."""
    if source.resampling is None:
        return np.array([header.position_lps_mm for header in source.headers], float)
    return np.array([[float(text) for text in _grid_digits(source, k)] for k in ks])


def normal_of(orientation: Sequence[float]) -> FloatArray:
    """The direction in which a segmentation counts its planes: that of columns across that of rows.

    Args:
        orientation: ImageOrientationPatient.
    """
    cosines = np.reshape(np.asarray(orientation, float), (2, 3))
    return np.cross(cosines[1], cosines[0])


def matching_slices(
    positions: FloatArray, sources: FloatArray, normal: FloatArray, *, in_place: bool
) -> list[list[int]] | None:
    """The slices that planes show.

    Args:
        positions: `(n, 3)` of the planes, in mm.
        sources: `(m, 3)` of the slices, whose planes are parallel to these.
        normal: Of both, of length 1.
        in_place: The first pixels lie at the same place; else only the planes are the same.

    Returns:
        For each plane the slices nearest to it, by their numbers: more than one only if they are equally near. None if
        there is a plane with none within a thousandth of a mm.
    """
    depths, source_depths = positions @ normal, sources @ normal
    order = np.argsort(source_depths, kind="stable")
    firsts = np.searchsorted(source_depths[order], depths - _SAME_PLACE_MM)
    ends = np.searchsorted(source_depths[order], depths + _SAME_PLACE_MM, "right")
    found = []
    for position, depth, first, end in zip(positions, depths, firsts, ends, strict=True):
        near = np.sort(order[first:end])
        distances = (
            np.linalg.norm(sources[near] - position, axis=1) if in_place else np.abs(source_depths[near] - depth)
        )
        if not len(near) or distances.min() >= _SAME_PLACE_MM:
            return None
        found.append([int(number) for number in near[distances == distances.min()]])
    return found


def slice_digits(source: HeaderSource, shown: Mapping[int, int]) -> dict[int, Digits]:
    """For each plane the position of the slice it shows, told by its number, digit for digit as its header has it."""
    files: dict[Path, Dataset] = {}
    return {plane: _told_digits(source, number, files) for plane, number in shown.items()}


def grid_digits(source: HeaderSource, ks: Sequence[int], planes: Iterable[int]) -> dict[int, Digits]:
    """For each plane the position of its slice of the source's grid; `ks` are the slices' indices."""
    return {plane: _grid_digits(source, ks[plane]) for plane in planes}


def _grid_digits(source: HeaderSource, k: int) -> Digits:
    return tuple(decimal(mm) for mm in source.geometry.positions_lps_mm((k, 0, 0)))


def _told_digits(source: HeaderSource, number: int, files: dict[Path, Dataset]) -> Digits:
    header = source.headers[number]
    if header.frame is not None:
        if header.path not in files:
            files[header.path] = source.dataset(number)
        told = frame_data_set(files[header.path], header).ImagePositionPatient
    else:
        told = _encoded_position(source.encoded_header(number))
        if told is None or tuple(float(text) for text in told) != header.position_lps_mm:
            told = source.dataset(number).ImagePositionPatient
    # what is longer than a decimal string may be is told by as many digits as there is room for
    return tuple(str(DS(DS(text), auto_format=True)) for text in told)


def _encoded_position(encoded: bytes) -> list[str] | None:
    """What an encoded header says, if it is in the format of PS3.10, explicit VR little endian."""
    elements = raw_elements(encoded, PREAMBLE_BYTES) if encoded[128:PREAMBLE_BYTES] == b"DICM" else None
    if elements is None or _POSITION not in elements.at:
        return None
    _, start, end = elements.at[_POSITION]
    texts = encoded[start:end].decode("ascii", "replace").split("\\")
    try:
        [float(text) for text in texts]
    except ValueError:
        return None
    return texts
