"""What a job does: read a series, run a task, write the result. The one place where DICOM, tasks and files meet."""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import msgspec

from dlp_lab.dicom.compressed import decoded_here
from dlp_lab.dicom.derived_header import Derivation
from dlp_lab.dicom.derived_slices import slice_uids
from dlp_lab.dicom.folder import FolderScan, find_series
from dlp_lab.dicom.options import ReadOptions
from dlp_lab.dicom.read import read_volume
from dlp_lab.dicom.report import FolderReport, report_folder
from dlp_lab.dicom.series import Series, choose_series
from dlp_lab.dicom.write_derived import write_derived
from dlp_lab.jobs.channel_series import info_of, onto_grid, other_channels
from dlp_lab.jobs.image_result import ExpectedValues, told_of_computation, told_of_image
from dlp_lab.jobs.job import Job
from dlp_lab.jobs.label_output import write_labels
from dlp_lab.jobs.memory_limit import limited_memory
from dlp_lab.jobs.memory_share import fits, share_of_memory
from dlp_lab.jobs.streamed_job import halo_of_streamed_job, run_in_slabs, whole_bytes
from dlp_lab.large_arrays import arrays_in_files
from dlp_lab.processors import shared_processors, threads_worth_starting
from dlp_lab.store.metadata import volume_metadata, write_json
from dlp_lab.store.provenance import RECORD, software_versions
from dlp_lab.store.workspace import Workspace, published_folder
from dlp_lab.tasks import task_named
from dlp_lab.tasks.task import ChannelTask, ImageResult, LabelResult, Report, Task
from dlp_lab.volume import Volume


def run_job(workspace: Workspace, job: Job, report: Report, threads: int | None = None) -> list[str]:
    """Run a job to its end: its output folder is whole when this returns, and absent when it raises.

    The folder holds the derived series (`0001.dcm`, ..., or that file alone for the forms of output that are one file),
    or `segmentation.dcm`, `measurements.dcm` and `measurements.json` of a task that finds structures,
    `job.json` with how it came about, and with `keep_hdf5` also `source.h5`, `source.json`, `result.h5` and
    `result.json`.

    Volumes are read, computed and written slab by slab where `halo_of_streamed_job` says so. Others that do not fit
    into the memory lie in files of the output folder, without names.

    Args:
        workspace: Where the job's folders are.
        job: What to do.
        report: Told of the progress; may raise `JobCancelled`.
        threads: How many to use; None for as many as there are processors.

    Returns:
        What was noticed in the input and accepted.

    Raises:
        DlpError: The job cannot be done; the message is for the user.
        MemoryError: Reading takes more memory than the series can need.
    """
    task = task_named(job.task).from_params(job.params)
    share_of_memory()  # said wrong, it is refused whether or not this job comes to need it
    with limited_memory():
        scan = find_series(workspace.input_folder(job.input_dir), workspace.root, workspace.output_folder)
        series = choose_series(scan, job.read)
        others = _other_channels(workspace, task, job, (scan, series))
    threads = threads_worth_starting(threads, math.prod(series.geometry.shape))
    halo = halo_of_streamed_job(task, job, series)
    if halo is not None:
        with published_folder(workspace.job_folder(job.uid)) as folder, shared_processors(threads):
            done = run_in_slabs(task, job, series, halo, folder, report, threads)
            write_json(_record(job, scan, series, done.source, done.result, others), folder / RECORD)
        return list(done.warnings)
    with arrays_in_files(None if fits(whole_bytes(task, series)) else workspace.output_folder):
        return _run_whole(workspace, job, task, scan, series, others, report, threads)


def _run_whole(
    workspace: Workspace,
    job: Job,
    task: Task,
    scan: FolderScan,
    series: Series,
    others: Mapping[str, Series],
    report: Report,
    threads: int | None,
) -> list[str]:
    volumes, warnings = _read_channels(series, others, _part(report, 0.0, 0.3), threads)
    volume = volumes[0]
    with shared_processors(threads):
        step = _part(report, 0.3, 0.8)
        result = task.run_channels(volumes, step) if isinstance(task, ChannelTask) else task.run(volume, step)
    with published_folder(workspace.job_folder(job.uid)) as folder, shared_processors(threads):
        derivation = Derivation(
            uid_seed=job.uid,
            label=job.task,
            description=result.description,
            code=result.derivation_code if isinstance(result, ImageResult) else None,
            reach_slices=result.reach_slices if isinstance(result, ImageResult) else 0,
            other_sources=tuple(header for other in others.values() for header in other.headers),
        )
        if isinstance(result, LabelResult):
            report(0.8, "writing the segmentation")
            told = write_labels(series, result, folder, derivation)
        else:
            written = write_derived(job.output_form, series, result.volume, folder, derivation, _part(report, 0.8, 1.0))
            expected = ExpectedValues.of(result.volume, written)
            told = told_of_image(told_of_computation(result), written, result.volume.geometry, expected)
        if job.keep_hdf5:
            _keep_hdf5(series, volume, result.volume, folder, job.read)
        write_json(_record(job, scan, series, volume_metadata(volume), told, others), folder / RECORD)
    return [*volume.warnings, *warnings]


def _other_channels(workspace: Workspace, task: Task, job: Job, own: tuple[FolderScan, Series]) -> dict[str, Series]:
    """The series that the task looks at beside the job's own, checked again: it may have waited long."""
    if not isinstance(task, ChannelTask):
        return {}
    others = other_channels(workspace, own, job.read, task.other_series())
    task.check_series([info_of(series) for series in (own[1], *others.values())])
    return others


def _read_channels(
    series: Series, others: Mapping[str, Series], report: Report, threads: int | None
) -> tuple[list[Volume], list[str]]:
    """The job's own volume and those of the others on its grid, and what was noticed in the others."""
    decode = partial(decoded_here, threads=threads)
    volumes: list[Volume] = []
    warnings: list[str] = []
    for number, (name, one) in enumerate({"": series, **others}.items()):
        part = _part(report, number / (len(others) + 1), (number + 1) / (len(others) + 1))
        with limited_memory(sum(header.slice_bytes for header in one.headers)):
            volume = read_volume(one, part, decode)
        if number:
            placed, noticed = onto_grid(name, volume, series.geometry)
            warnings += [*(f"{name}: {warning}" for warning in volume.warnings), *noticed]
            volume = placed
        volumes.append(volume)
    return volumes, warnings


def _keep_hdf5(series: Series, source: Volume, result: Volume, folder: Path, options: ReadOptions) -> None:
    """Write both volumes with the headers of the source, from which each can become DICOM again.

    The headers of the derived series would say twice, after the next derivation, what was done once.
    """
    from dlp_lab.jobs.stored_headers import header_reading  # these load h5py
    from dlp_lab.store.hdf5 import write_hdf5

    uids = slice_uids(series)
    with header_reading(series, folder) as reading:
        headers = reading.finish(options)
        write_hdf5(source, folder / "source.h5", sop_instance_uids=uids, headers=headers.stored("source"))
        write_hdf5(result, folder / "result.h5", sop_instance_uids=uids, headers=headers.stored("template"))
        headers.write_metadata(folder, volume_metadata(source), volume_metadata(result))


def _part(report: Report, start: float, end: float) -> Callable[[float, str], None]:
    """`report` for one step of several: its 0 to 1 become `start` to `end` of the whole."""

    def report_part(fraction: float, message: str) -> None:
        report(start + (end - start) * fraction, message)

    return report_part


def _record(
    job: Job,
    scan: FolderScan,
    series: Series,
    told_of_source: dict[str, object],
    told_of_result: dict[str, object],
    others: Mapping[str, Series],
) -> dict[str, object]:
    return {
        "uid": job.uid,
        "request": {
            "task": job.task,
            "input_dir": job.input_dir,
            "params": msgspec.to_builtins(job.params),
            "keep_hdf5": job.keep_hdf5,
            "output_form": job.output_form,
            "read": msgspec.to_builtins(job.read),
        },
        "ingestion": _without_descriptions(report_folder(scan, job.read, series)),
        "made_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "software": software_versions(),
        "source": {
            "series_instance_uid": series.first.series_instance_uid,
            "sop_instance_uids": [str(header.sop_instance_uid) for header in series.headers],
            **_frame_numbers(series),
            **told_of_source,
            **_told_of_channels(others),
        },
        "result": told_of_result,
    }


def _without_descriptions(report: FolderReport) -> object:
    """The report as plain values, without what the scanner's user typed: a record tells nothing of the patient."""
    series = [msgspec.structs.replace(one, description="") for one in report.series]
    return msgspec.to_builtins(msgspec.structs.replace(report, series=series))


def _told_of_channels(others: Mapping[str, Series]) -> dict[str, object]:
    """The series that were looked at beside the job's own."""
    told = [
        {
            "channel": name,
            "series_instance_uid": series.first.series_instance_uid,
            "sop_instance_uids": [str(header.sop_instance_uid) for header in series.headers],
            **_frame_numbers(series),
        }
        for name, series in others.items()
    ]
    return {"other_channels": told} if told else {}


def _frame_numbers(series: Series) -> dict[str, list[int]]:
    """Which frames of multi-frame files the slices are, counted from 1 as in DICOM."""
    numbers = [header.frame + 1 for header in series.headers if header.frame is not None]
    return {"frame_numbers": numbers} if numbers else {}
