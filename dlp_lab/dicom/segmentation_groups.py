"""What a segmentation says of each frame, and of the images it was made from, as bytes (PS3.3 C.7.6.16, C.12.2).

Data sets for all frames take ten times as long to make as their pixels, and as much memory.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence

from pydicom.tag import Tag

from dlp_lab.dicom.encoded_sequence import encoded_code, encoded_item, encoded_sequence, encoded_text
from dlp_lab.dicom.header import Header
from dlp_lab.dicom.raw_elements import encoded_element
from dlp_lab.dicom.segmentation_frames import Frame
from dlp_lab.dicom.segmentation_places import Digits

SOURCE_IMAGES = int(Tag("SourceImageSequence"))
REFERENCED_SERIES = int(Tag("ReferencedSeriesSequence"))

_REFERENCED_CLASS, _REFERENCED_INSTANCE = int(Tag("ReferencedSOPClassUID")), int(Tag("ReferencedSOPInstanceUID"))
_REFERENCED_FRAME = int(Tag("ReferencedFrameNumber"))
_REFERENCED_INSTANCES, _SERIES = int(Tag("ReferencedInstanceSequence")), int(Tag("SeriesInstanceUID"))
_DERIVATION, _DERIVATION_CODE = int(Tag("DerivationImageSequence")), int(Tag("DerivationCodeSequence"))
_PRESERVED, _PURPOSE = int(Tag("SpatialLocationsPreserved")), int(Tag("PurposeOfReferenceCodeSequence"))
_CONTENT, _INDEX_VALUES = int(Tag("FrameContentSequence")), int(Tag("DimensionIndexValues"))
_PLANE_POSITION, _POSITION = int(Tag("PlanePositionSequence")), int(Tag("ImagePositionPatient"))
_IDENTIFICATION, _SEGMENT = int(Tag("SegmentIdentificationSequence")), int(Tag("ReferencedSegmentNumber"))

_SEGMENTATION_CODE = encoded_sequence(_DERIVATION_CODE, encoded_code("113076", "DCM", "Segmentation"))
_SOURCE_CODE = encoded_sequence(_PURPOSE, encoded_code("121322", "DCM", "Source image for image processing operation"))


class FrameGroups:
    """The functional groups of each frame.

    Args:
        headers: The slices of the source.
        positions: ImagePositionPatient of each plane.
        slices: For each plane the slices it shows; None if that is not known.
        in_place: Whether their pixels lie where the plane's do.
        identified: Whether each frame says which segment it is of; else the groups that all share do.
    """

    def __init__(
        self,
        headers: Sequence[Header],
        positions: Mapping[int, Digits],
        slices: Sequence[Sequence[int]] | None,
        *,
        in_place: bool,
        identified: bool,
    ) -> None:
        self._headers, self._positions, self._slices = headers, positions, slices
        self._preserved = encoded_text(_PRESERVED, b"CS", "YES" if in_place else "NO")
        self._identified = identified

    def encoded(self, frame: Frame) -> bytes:
        """An item of PerFrameFunctionalGroupsSequence."""
        place = [frame.place] if frame.segment is None else [frame.segment, frame.place]
        values = struct.pack(f"<{len(place)}L", *place)
        position = encoded_text(_POSITION, b"DS", *self._positions[frame.plane])
        groups = [
            self._derivation(frame.plane),
            encoded_sequence(_CONTENT, encoded_item(encoded_element(_INDEX_VALUES, b"UL", values))),
            encoded_sequence(_PLANE_POSITION, encoded_item(position)),
        ]
        if frame.segment is not None and self._identified:
            number = encoded_element(_SEGMENT, b"US", struct.pack("<H", frame.segment))
            groups.append(encoded_sequence(_IDENTIFICATION, encoded_item(number)))
        return encoded_item(*groups)

    def _derivation(self, plane: int) -> bytes:
        """Which images the plane was made from (PS3.3 C.7.6.16.2.6)."""
        if self._slices is None:
            return encoded_sequence(_DERIVATION)
        references = [self._reference(self._headers[number]) for number in self._slices[plane]]
        images = encoded_sequence(SOURCE_IMAGES, *references)
        # the code has the greater tag
        return encoded_sequence(_DERIVATION, encoded_item(images, _SEGMENTATION_CODE))

    def _reference(self, header: Header) -> bytes:
        frame = b"" if header.frame is None else encoded_text(_REFERENCED_FRAME, b"IS", str(header.frame + 1))
        return encoded_item(*_instance(header), frame, self._preserved, _SOURCE_CODE)


def encoded_references(headers: Iterable[Header]) -> bytes:
    """Items that name these images, each file once."""
    first_of: dict[str, Header] = {}
    for header in headers:
        first_of.setdefault(header.sop_instance_uid, header)
    return b"".join(encoded_item(*_instance(header)) for header in first_of.values())


def encoded_series(headers: Sequence[Header], others: Sequence[Header]) -> bytes:
    """ReferencedSeriesSequence: the images of the source, and those of other series that were looked at."""
    by_series: dict[str, list[Header]] = {}
    for header in others:
        by_series.setdefault(header.series_instance_uid, []).append(header)
    series = [(headers[0].series_instance_uid, headers), *by_series.items()]
    return encoded_sequence(
        REFERENCED_SERIES,
        *(
            encoded_item(
                encoded_sequence(_REFERENCED_INSTANCES, encoded_references(images)), encoded_text(_SERIES, b"UI", uid)
            )
            for uid, images in series
        ),
    )


def _instance(header: Header) -> tuple[bytes, bytes]:
    return (
        encoded_text(_REFERENCED_CLASS, b"UI", header.sop_class_uid),
        encoded_text(_REFERENCED_INSTANCE, b"UI", header.sop_instance_uid),
    )
