"""What the server and the process that knows DICOM tell each other: each message is its length, then MessagePack."""

from __future__ import annotations

import struct
from typing import Literal

import msgspec

from dlp_lab.dicom.options import ReadOptions
from dlp_lab.viewing.slice_location import SliceLocation
from dlp_lab.viewing.volume_info import HeaderElement, VolumeInfo

LENGTH = struct.Struct("<Q")
MAX_MESSAGE_BYTES = 256 * 2**20

SourceKind = Literal["folder", "series_of_file", "hdf5"]


class Source(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """What to open.

    Attributes:
        kind: A folder with a series, a file whose series lies beside it, or a volume in HDF5.
        path, root, skip: As bytes: the file or folder, the folder that nothing may leave, the folder to leave out.
        options: Which images of a folder, and which repairs.
        working_file: Descriptor of an empty file, for voxels.
    """

    kind: SourceKind
    path: bytes
    root: bytes
    skip: bytes
    options: ReadOptions
    working_file: int = -1


class Fill(msgspec.Struct, frozen=True, tag=True):
    """Write all voxels into the working file, those of the middle slices first."""


class ReadElements(msgspec.Struct, frozen=True, tag=True):
    """Tell the header of a slice."""

    slice: int


class Described(msgspec.Struct, frozen=True, tag=True):
    """The volume is there.

    Attributes:
        info: What a viewer is told.
        locations: Where each slice can be read by itself; empty where they cannot.
        frame_of_reference_uid: In which the volume lies, if it is known.
    """

    info: VolumeInfo
    locations: list[SliceLocation]
    frame_of_reference_uid: str | None


class Filled(msgspec.Struct, frozen=True, tag=True):
    """These slices are in the working file."""

    slices: list[int]


class Elements(msgspec.Struct, frozen=True, tag=True):
    """The header of a slice."""

    slice: int
    elements: list[HeaderElement]


class Refused(msgspec.Struct, frozen=True, tag=True):
    """Why what was asked for last cannot be had: code and sentence of an error."""

    code: str
    message: str


Request = Source | Fill | ReadElements
Answer = Described | Filled | Elements | Refused


def packed(message: Request | Answer) -> bytes:
    """A message as it is sent."""
    encoded = msgspec.msgpack.encode(message)
    return LENGTH.pack(len(encoded)) + encoded
