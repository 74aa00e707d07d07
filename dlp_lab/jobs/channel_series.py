"""The series of a job's channels: its own, and others of the study that are brought onto its grid."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import msgspec
import numpy as np

from dlp_lab.dicom.folder import FolderScan, find_series
from dlp_lab.dicom.options import ReadOptions
from dlp_lab.dicom.series import Series, choose_series
from dlp_lab.errors import InputUnsuitable
from dlp_lab.geometry import Geometry
from dlp_lab.store.workspace import Workspace
from dlp_lab.tasks.task import SeriesInfo
from dlp_lab.volume import Volume

_UID = re.compile(r"[0-9]+(\.[0-9]+)+")


def other_channels(
    workspace: Workspace,
    own: tuple[FolderScan, Series],
    read: ReadOptions,
    named: Mapping[str, str],
    before_each_file: Callable[[], None] = lambda: None,
) -> dict[str, Series]:
    """Find the series that a task looks at beside the job's own.

    Args:
        workspace: Where folders are.
        own: The job's folder, scanned, and its series.
        read: How that is read; repairs hold for all, the choice of images for the job's own alone.
        named: By channel a SeriesInstanceUID in the job's folder, or a folder below the root.
        before_each_file: Called while a folder is looked through; may raise, to give up.

    Raises:
        PathRefused: A folder does not exist or leaves the root.
        DicomError: A series is not there, or cannot be processed.
        InputUnsuitable: One is of another patient, study or frame of reference than the job's own.
    """
    scan, first = own
    found = {}
    for name, where in named.items():
        repairs = msgspec.structs.replace(read, series=None, select={})
        if is_series_uid(where):
            series = choose_series(scan, msgspec.structs.replace(repairs, series=where))
        else:
            folder = workspace.input_folder(where)
            series = choose_series(
                find_series(folder, workspace.root, workspace.output_folder, before_each_file), repairs
            )
        _refuse_elsewhere(name, series, first)
        found[name] = series
    return found


def is_series_uid(where: str) -> bool:
    """Whether a channel's series is named by its UID, and not by a folder."""
    return _UID.fullmatch(where) is not None


def info_of(series: Series) -> SeriesInfo:
    """What headers tell a task of a series."""
    return SeriesInfo(series.geometry, series.first.modality, series.first.unit)


def onto_grid(name: str, volume: Volume, grid: Geometry) -> tuple[Volume, tuple[str, ...]]:
    """A channel on the grid of the job's series, by linear interpolation in the patient.

    Where it has no voxels its least value is taken.

    Returns:
        The volume, and what is to be warned of.

    Raises:
        InputUnsuitable: The two have no voxel in common.
    """
    if volume.geometry.matches(grid):
        return volume, ()
    from dlp_lab.kernels.resampling import resampled  # loads scipy

    into = np.linalg.inv(volume.geometry.affine_kji_to_lps) @ grid.affine_kji_to_lps
    voxels, covered = resampled(volume.voxels, into[:3, :3], into[:3, 3], grid.shape)
    if covered == 0:
        raise InputUnsuitable(f"the series of {name} lies beside the job's series; choose one of the same region")
    warnings = () if covered == 1 else (f"the series of {name} covers {covered:.0%} of the job's series",)
    return Volume(voxels, grid, volume.unit, volume.modality, volume.source_series_uid), warnings


def _refuse_elsewhere(name: str, series: Series, first: Series) -> None:
    if (series.first.patient_id, series.first.study_instance_uid) != (
        first.first.patient_id,
        first.first.study_instance_uid,
    ):
        raise InputUnsuitable(f"the series of {name} is of another patient or study than the job's own")
    frame = series.geometry.frame_of_reference_uid
    if frame is None or frame != first.geometry.frame_of_reference_uid:
        raise InputUnsuitable(
            f"the series of {name} is in another frame of reference than the job's own (FrameOfReferenceUID "
            "(0020,0052)), so nobody can say where one lies in the other; register them first"
        )
