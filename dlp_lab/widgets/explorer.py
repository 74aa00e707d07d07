"""A folder of DICOM to explore in a notebook: choose a series, look at it, tune a task on it, run it, compare."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ipywidgets as widgets

from dlp_lab.errors import DlpError
from dlp_lab.jobs.handle import JobHandle
from dlp_lab.jobs.replies import SeriesSummary
from dlp_lab.tasks import all_tasks, task_named
from dlp_lab.volume import Volume
from dlp_lab.widgets.closing import ClosingBox, close_with_parts
from dlp_lab.widgets.compare import Compare, hold_height
from dlp_lab.widgets.job_monitor import JobMonitor
from dlp_lab.widgets.newest_request import NewestRequest, Turn
from dlp_lab.widgets.series_picker import SeriesPicker
from dlp_lab.widgets.slice_viewer import SliceViewer
from dlp_lab.widgets.task_form import TaskForm
from dlp_lab.widgets.text_line import TextLine

_SOURCE, _RESULT = "Source", "Before and after"


class Explorer(ClosingBox):
    """What `dlp.explore` shows: a picker, a viewer, the form of a task, the queue, and the result beside its source.

    Everything that takes time is done in threads. `close()` gives all of it back.

    Attributes:
        picker, monitor: Of the folder and of the queue.
        volume, viewer, form: Of the series chosen; None until it is read.
        compare: Of the newest job of this form that succeeded, or None.
    """

    def __init__(
        self, folder: Path | str, task: str = "3dblur", *, root: Path | str | None = None, height_px: int = 580
    ) -> None:
        self._root = root
        self._height_px = height_px
        task_named(task)
        self.picker = SeriesPicker(folder, root=root)
        self.monitor = JobMonitor(root=root, limit=6)
        self.volume: Volume | None = None
        self.viewer: SliceViewer | None = None
        self.form: TaskForm | None = None
        self.compare: Compare | None = None
        self._reads = NewestRequest(self._read, "dlp-explore")
        self._results = NewestRequest(self._show_result, "dlp-compare")
        self._note = TextLine("dlp-TaskForm-status")
        self._shown = widgets.ToggleButtons(options=[_SOURCE, _RESULT], layout=widgets.Layout(display="none"))
        self._stage = widgets.VBox([])
        self._task = widgets.Dropdown(
            options=[(one.title, name) for name, one in all_tasks().items()],
            value=task,
            description="Task",
            style={"description_width": "90px"},
            layout=widgets.Layout(width="auto"),
        )
        self._is_closing = False
        self._side = widgets.VBox([self._task], layout=widgets.Layout(flex="0 0 400px", padding="0 0 0 12px"))
        looked_at = widgets.VBox([self._shown, self._stage], layout=widgets.Layout(flex="1 1 0", min_width="320px"))
        middle = widgets.HBox([looked_at, self._side])
        super().__init__([self.picker, self._note, middle, self.monitor])
        self.add_class("dlp-Explorer")
        self._task.observe(lambda _: self._make_form(), "value")
        self._shown.observe(lambda _: self._set_stage(), "value")
        self.picker.observe(lambda change: self._reads.ask(change.new), "value")
        if self.picker.value is not None:  # it may have been quicker
            self._reads.ask(self.picker.value)

    def release(self) -> None:
        self._is_closing = True
        self._reads.close()
        self._results.close()
        for part in (self.viewer, self.compare):
            if part is not None:
                close_with_parts(part)

    def _read(self, series: SeriesSummary | None, turn: Turn) -> None:
        if series is None:
            return
        self._note.say("Reading the series…")
        try:
            volume = self.picker.read()
        except (DlpError, MemoryError) as error:
            self._note.say(str(error) or "there is not enough memory for the series")
            return
        if turn.is_stale():
            return
        self._note.say(" · ".join(volume.warnings))
        old_viewer, old_compare = self.viewer, self.compare
        self.volume, self.compare = volume, None
        self.viewer = SliceViewer(volume, height_px=self._height_px)
        hold_height(self.viewer)
        self._shown.layout.display = "none"
        self._shown.value = _SOURCE
        self._set_stage()
        self._make_form()
        given_up = [old_viewer, old_compare]
        if self._is_closing:  # what was made meanwhile, nobody else gives back
            given_up += [self.viewer, self.form]
        for part in given_up:
            if part is not None:
                close_with_parts(part)

    def _make_form(self) -> None:
        """A form of the task that is chosen, for the series that is chosen."""
        series = self.picker.value
        if self.volume is None or series is None:
            return
        old = self.form
        self.form = TaskForm(
            self._task.value,
            self.volume,
            folder=self.picker.folder,
            series=series.series_instance_uid,
            root=self._root,
        )
        if self.form.control is not None:
            self.form.control.observe(lambda change: self._results.ask(change.new), "result")
        self._side.children = (self._task, self.form)
        if old is not None:
            old.close()

    def _show_result(self, job: JobHandle, turn: Turn) -> None:
        try:
            compare = Compare.of_job(job, height_px=self._height_px)
        except DlpError as error:
            self._note.say(str(error))
            return
        old = self.compare
        self.compare = compare
        self._shown.layout.display = ""
        self._shown.value = _RESULT
        self._set_stage()
        if old is not None:
            old.close()
        if turn.is_stale():
            compare.close()

    def _set_stage(self) -> None:
        shown: Any = self.compare if self.compare is not None and self._shown.value == _RESULT else self.viewer
        self._stage.children = () if shown is None else (shown,)


def explore(
    folder: Path | str, task: str = "3dblur", *, root: Path | str | None = None, height_px: int = 580
) -> Explorer:
    """Explore a folder of DICOM: its series, their slices, a task with live preview, the queue and the result.

    Args:
        folder: Holds the DICOM files; inside the root.
        task: Which task the form starts with.
        root: Holds input and output; `$DLP_LAB_ROOT` or the current folder by default.
        height_px: Height of the viewer.

    Raises:
        PathRefused: The folder does not exist, or is not inside the root.
        UnknownTask: There is no such task.
    """
    return Explorer(folder, task, root=root, height_px=height_px)
