"""Quirks of a series: which files, where they lie, and whether they lie evenly."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset

from tests.dicom.quirks.verdict import (
    Accepted,
    Edit,
    Quirk,
    Refused,
    changed,
    edited,
    in_slice,
    plain,
    resaved,
    setting,
)
from tests.phantom import Phantom, write_phantom_series

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def _two(folder: Path, **second: object) -> Phantom:
    first = write_phantom_series(folder / "a", seed=1)
    write_phantom_series(folder / "b", seed=2, **second)  # type: ignore[arg-type]
    return first


def _join(folder: Path, edit: Edit, modality: str = "MR") -> None:
    """A second set of images in the series of the first."""
    first = write_phantom_series(folder / "a", modality=modality)
    uids = pydicom.dcmread(first.files[0])

    def join(k: int, ds: Dataset) -> None:
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):
            setattr(ds, keyword, uids[keyword].value)
        edit(k, ds)

    write_phantom_series(folder / "b", modality=modality, edit=join)


def _copy(folder: Path, phantom: Phantom) -> None:
    (folder / "copy").write_bytes(phantom.files[2].read_bytes())


def _nest(folder: Path, phantom: Phantom) -> None:
    for number, path in enumerate(phantom.files):
        (folder / f"{number}" / "deeper").mkdir(parents=True)
        path.rename(folder / f"{number}" / "deeper" / "IM.ima")


def _junk(folder: Path, phantom: Phantom) -> None:
    (folder / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0" * 100)
    (folder / "notes.dcm").write_text("not an image")
    (folder / "empty.dcm").touch()
    (folder / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")


def _dicomdir(folder: Path, phantom: Phantom) -> None:
    directory = pydicom.Dataset()
    directory.file_meta = pydicom.dataset.FileMetaDataset()
    directory.file_meta.MediaStorageSOPClassUID = pydicom.uid.MediaStorageDirectoryStorage
    directory.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    directory.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    directory.FileSetID = "../../../etc"
    directory.save_as(folder / "DICOMDIR", enforce_file_format=True)


def _dangling(folder: Path, phantom: Phantom) -> None:
    phantom.files[2].unlink()
    phantom.files[2].symlink_to(folder / "nowhere")


def _circle(folder: Path, phantom: Phantom) -> None:
    (folder / "again").symlink_to(folder, target_is_directory=True)
    (folder / "up").symlink_to(folder.parent, target_is_directory=True)


def _file_circle(folder: Path, phantom: Phantom) -> None:
    (folder / "one").symlink_to(folder / "other")
    (folder / "other").symlink_to(folder / "one")


def _fifo(folder: Path, phantom: Phantom) -> None:
    os.mkfifo(folder / "pipe")


def _without(*numbers: int):
    return lambda folder, phantom: [phantom.files[k].unlink() for k in numbers]


def _without_end(folder: Path) -> None:
    for path in write_phantom_series(folder).files[5:]:
        path.unlink()


def _nothing(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "readme.txt").write_text("hello")


def _localizer(k: int, ds: Dataset) -> None:
    ds.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
    ds.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]


def _jitter(k: int, ds: Dataset) -> None:
    ds.ImageOrientationPatient = [f"{float(value) + 1e-4:.6f}" for value in ds.ImageOrientationPatient]


def _other_matrix(folder: Path, phantom: Phantom) -> None:
    def crop(ds: Dataset) -> None:
        ds.Rows, ds.PixelData = 4, ds.PixelData[: 4 * 6 * 2]

    resaved(phantom.files[3], crop)


SERIES: dict[str, Quirk] = {
    "files in nested folders, with any extension": changed(_nest, Accepted()),
    "slices numbered backwards": edited(lambda k, ds: setattr(ds, "InstanceNumber", 99 - k), Accepted()),
    "all slices with one InstanceNumber": edited(setting(InstanceNumber=1), Accepted()),
    "no InstanceNumber": edited(setting(InstanceNumber=None), Accepted()),
    "thumbnails, text, empty and hidden files": changed(_junk, Accepted("files were ignored")),
    "a DICOMDIR that points elsewhere": changed(_dicomdir, Accepted("1 x DICOMDIR")),
    "a link to a folder, in a circle": changed(_circle, Accepted()),
    "links to files, in a circle": changed(_file_circle, Refused("UNREADABLE")),
    "a link to nowhere": changed(_dangling, Refused("UNREADABLE")),
    "a named pipe": changed(_fifo, Accepted("1 x not a file")),
    "no DICOM at all": Quirk(_nothing, Refused("NO_DICOM")),
    "two series": Quirk(_two, Refused("MULTIPLE_SERIES")),
    "secondary captures beside the series": Quirk(
        lambda folder: _two(folder, shape=(2, 5, 6), edit=setting(SOPClassUID=SECONDARY_CAPTURE)),
        Accepted("2 images of other series"),
    ),
    "secondary captures only": edited(setting(SOPClassUID=SECONDARY_CAPTURE), Refused("UNSUPPORTED_SOP_CLASS")),
    "an empty SeriesInstanceUID": edited(setting(SeriesInstanceUID=""), Accepted("SeriesInstanceUID")),
    "a localizer among the slices": edited(in_slice(3, _localizer), Refused("MISSING_SLICES")),
    "directions that differ in the 4th digit": edited(in_slice(3, _jitter), Accepted()),
    "a slice twice, as two files": changed(_copy, Accepted("copies of images were left out")),
    "all slices with one SOPInstanceUID": edited(setting(SOPInstanceUID="1.2.3"), Refused("DUPLICATE_CONFLICT")),
    "two echoes in one series": Quirk(
        lambda folder: _join(folder, setting(EchoTime="80")), Refused("DUPLICATE_POSITION")
    ),
    "two time points in one series": Quirk(
        lambda folder: _join(folder, setting(TemporalPositionIdentifier=2)), Refused("DUPLICATE_POSITION")
    ),
    "a missing slice": changed(_without(3), Refused("MISSING_SLICES")),
    "the last slices missing": Quirk(_without_end, Accepted()),
    "uneven distances": plain(
        Refused("IRREGULAR_SPACING"), slice_offsets_mm=[0, 2.5, 5, 7.9, 10.4, 12.9, 15.4], shape=(7, 5, 6)
    ),
    "distances that vary by less than 1 %": plain(
        Accepted("deviate from an even spacing"), slice_offsets_mm=[0, 2.5, 5.02, 7.5, 10, 12.5, 15]
    ),
    "a gantry tilt": plain(Refused("SHEARED"), shear_mm_per_slice=2.5 * np.tan(np.radians(12))),
    "a gantry tilt of less than 0.1 degrees": plain(Accepted(), shear_mm_per_slice=0.002),
    "a single slice": plain(Accepted("single slice"), shape=(1, 5, 6)),
    "a single slice without thickness": edited(setting(SliceThickness=None), Refused("NO_GEOMETRY"), shape=(1, 5, 6)),
    "no ImagePositionPatient": edited(setting(ImagePositionPatient=None), Refused("NO_GEOMETRY")),
    "no ImageOrientationPatient": edited(setting(ImageOrientationPatient=None), Refused("NO_GEOMETRY")),
    "no PixelSpacing": edited(setting(PixelSpacing=None), Refused("NO_GEOMETRY")),
    "no FrameOfReferenceUID": edited(setting(FrameOfReferenceUID=None), Accepted("FrameOfReferenceUID")),
    "a slice of another matrix": changed(_other_matrix, Refused("MIXED_GRID")),
    "a slice of another PixelSpacing": edited(in_slice(3, setting(PixelSpacing=[0.9, 0.5])), Refused("MIXED_GRID")),
    "a slice of another FrameOfReferenceUID": edited(
        in_slice(3, setting(FrameOfReferenceUID="1.2.9")), Refused("MIXED_GRID")
    ),
}
