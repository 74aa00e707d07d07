"""What the summary shows of a result: a small picture, and what was measured."""

from __future__ import annotations

import numpy as np
from msgspec import DecodeError, Struct, json

from dlp_lab.dicom.one_image import read_image
from dlp_lab.errors import DlpError
from dlp_lab.kernels.picture import gray_picture, png_of, window_of
from dlp_lab.store.hdf5 import read_hdf5
from dlp_lab.store.provenance import RECORD
from dlp_lab.store.workspace import LABELS, Workspace
from dlp_lab.volume import Volume

THUMBNAIL_PX = 56


class _Label(Struct):
    name: str
    ml: float


class _Result(Struct):
    labels: list[_Label] = []


class _Record(Struct):
    result: _Result


def result_is_there(workspace: Workspace, job: str) -> bool:
    """Whether the result of a job is where it was written; a result is whole or absent."""
    return any(name == RECORD for name, _ in workspace.result_files(job))


def measured_in(workspace: Workspace, job: str) -> dict[str, float]:
    """Volumes of the structures that a job found, such as {"liver (ml)": 1490.2}; nothing of a derived image."""
    try:
        with workspace.open_result_file(job, RECORD) as file:
            record = json.decode(file.read(), type=_Record)
    except (DecodeError, DlpError):
        return {}
    return {f"{label.name} (ml)": round(label.ml, 3) for label in record.result.labels}


def thumbnail(workspace: Workspace, job: str) -> bytes | None:
    """The middle slice of a result as a PNG file, or the slice with most labels; None where there is no picture.

    Results are our own files, so they are read here, without a process of their own.
    """
    names = [name for name, _ in workspace.result_files(job)]
    try:
        if LABELS in names:
            labels = read_hdf5(workspace.job_folder(job) / LABELS)
            if not isinstance(labels, Volume):
                return None
            volume = labels
            shown = volume.voxels[int(np.count_nonzero(volume.voxels, axis=(1, 2)).argmax())]
            window = 0.0, float(max(1, volume.voxels.max()))
        else:
            images = [name for name in names if name.endswith(".dcm")]
            if not images:
                return None
            volume = read_image(workspace.job_folder(job) / images[len(images) // 2], None)
            shown = volume.voxels[0]
            window = window_of(shown)
    except (DlpError, OSError):
        return None
    _, between_rows_mm, between_columns_mm = volume.geometry.spacing_kji_mm
    return png_of(gray_picture(shown, (between_rows_mm, between_columns_mm), window, THUMBNAIL_PX))
