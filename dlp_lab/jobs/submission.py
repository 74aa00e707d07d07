"""What is refused when a job is submitted, rather than in an hour when its turn comes."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from dlp_lab.dicom.folder import find_series, folder_state
from dlp_lab.dicom.options import OutputForm
from dlp_lab.dicom.segmentation_template import require_highdicom
from dlp_lab.dicom.series import Series, choose_series
from dlp_lab.dicom.write_derived import refuse_form
from dlp_lab.errors import BadParameters
from dlp_lab.jobs.channel_series import info_of, other_channels
from dlp_lab.jobs.job import JobRequest
from dlp_lab.jobs.known_folders import KnownFolders
from dlp_lab.store.workspace import Workspace
from dlp_lab.tasks import task_named
from dlp_lab.tasks.task import ChannelTask


def refuse_labels(form: OutputForm) -> None:
    """Refuse labels in a form of images, and where the packages that write them are absent.

    Raises:
        BadParameters: Another form than the default was asked for.
        ModelsMissing: highdicom is not installed.
    """
    if form != "series":
        raise BadParameters(f"labels are written as a DICOM Segmentation, not as {form}; leave out --output-form")
    require_highdicom()


def refuse_several_in_one_file(form: OutputForm, series: Series, makes: str) -> None:
    """Refuse an image of several series in a form that is one file: its lists of sources are those of one series.

    Raises:
        BadParameters: The message says which form does.
    """
    if makes == "image" and (form != "series" or series.first.frame is not None):
        raise BadParameters(
            "an image that is made of several series is written as a series of single images, from sources of single "
            "images; leave out --output-form"
        )


def checked_request(
    workspace: Workspace,
    request: JobRequest,
    known: KnownFolders,
    before_each_file: Callable[[], None] = lambda: None,
) -> JobRequest:
    """A request with its defaults filled in.

    Reads the headers of the input folder, so it may take a while, unless the folder is known and has not changed.

    Args:
        workspace: Where input and output are.
        request: What is asked.
        known: Folders that were looked through before; this one comes to be one of them.
        before_each_file: Called while the folder is looked through; may raise, to give up.

    Raises:
        UnknownTask: No such task is installed.
        BadParameters: The parameters do not fit it.
        InputUnsuitable: The series is not one that the task's model was made for.
        PathRefused: The input folder does not exist or leaves the root.
        DicomError: It holds no series that can be processed, or none that can be written in the form asked for.
    """
    task = task_named(request.task).from_params(request.params)
    folder = workspace.input_folder(request.input_dir)
    form = None if task.makes == "labels" else request.output_form
    if form is None:
        refuse_labels(request.output_form)
    state = folder_state(folder, workspace.root, workspace.output_folder, before_each_file)
    others = task.other_series() if isinstance(task, ChannelTask) else {}
    info = None if state is None or others else known.info(folder, request.read, form, state)
    infos = [] if info is None else [info]
    if info is None:
        scan = find_series(folder, workspace.root, workspace.output_folder, before_each_file)
        series = choose_series(scan, request.read)
        if form is not None:
            refuse_form(form, series)
        infos.append(info_of(series))
        if state is not None:
            known.remember(folder, request.read, form, state, infos[0])
        if others:
            refuse_several_in_one_file(request.output_form, series, task.makes)
            found = other_channels(workspace, (scan, series), request.read, others, before_each_file)
            infos += [info_of(other) for other in found.values()]
    task.check(infos[0].geometry)
    if isinstance(task, ChannelTask):
        task.check_series(infos)
    return msgspec.structs.replace(request, input_dir=workspace.relative(folder), params=task.params())
