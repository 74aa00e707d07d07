"""The form of a task in a notebook: its parameters, what they do to a slice, the job that does it to all of them."""

from __future__ import annotations

import re
from html import escape
from pathlib import Path
from typing import Any

import ipywidgets as widgets
import traitlets

from dlp_lab.errors import BadParameters, DlpError, ErrorDetail
from dlp_lab.tasks import all_tasks, task_named
from dlp_lab.tasks.task import Task
from dlp_lab.volume import Volume, refuse_other_than_volumes
from dlp_lab.widgets.closing import ClosingBox
from dlp_lab.widgets.controls import control_of
from dlp_lab.widgets.job_control import JobControl, JobTarget
from dlp_lab.widgets.parameter import Parameter, parameters_of
from dlp_lab.widgets.slice_preview import SlicePreview
from dlp_lab.widgets.text_line import TextLine


class TaskForm(ClosingBox):
    """Asks for the parameters of a task, shows at once what they do to a slice, and runs the task as a job.

    The controls are made from the task's JSON Schema, as the form of JupyterLab's panel is. A value that the task
    refuses is said below its control. The preview is computed in a thread, on as few slices as the task needs.

    Args:
        task: Name of an installed task, or a task's class. One that is not installed can be previewed, but not run.
        volume: What the preview shows; none without it.
        folder: Holds the series that a job works on; without it none can be run.
        series: SeriesInstanceUID of the one of several in the folder.
        keep_hdf5, root: Of the job; see `dlp.submit`.
        live: Whether the preview follows the controls from the start.

    Attributes:
        params: The values of the controls as JSON, as long as the task takes them; observers are told of changes.
        control: What runs the job and tells of it, a `JobControl`; None where none can be run.

    Raises:
        UnknownTask: There is no task of that name.
        VolumeError: Something else than a volume is given as one.
    """

    params = traitlets.Dict()

    def __init__(
        self,
        task: str | type[Task],
        volume: Volume | None = None,
        *,
        folder: Path | str | None = None,
        series: str | None = None,
        keep_hdf5: bool = False,
        root: Path | str | None = None,
        live: bool = True,
    ) -> None:
        refuse_other_than_volumes({"volume": volume})
        self._task = task_named(task) if isinstance(task, str) else task
        self._volume = volume
        self._rows = {one.name: _Row(one) for one in parameters_of(self._task.json_schema())}
        self._refusal = TextLine("dlp-TaskForm-error")
        title = widgets.HTML(f"<b>{escape(self._task.title)}</b><br>{_with_code(self._task.summary())}")
        title.add_class("dlp-TaskForm-title")
        parts = [title, *self._rows.values(), self._refusal]
        self._live = widgets.Checkbox(
            value=live, description="live preview", indent=False, layout=widgets.Layout(width="120px")
        )
        if volume is not None:
            depth = volume.geometry.shape[0]
            self._slice = widgets.IntSlider(
                value=depth // 2 + 1,
                min=1,
                max=depth,
                description="slice",
                tooltip="the slice that the preview shows",
                style={"description_width": "36px"},
                layout=widgets.Layout(flex="1 1 auto", width="auto"),
            )
            self._preview = SlicePreview()
            parts += [widgets.HBox([self._live, self._slice]), self._preview]
        self.control: JobControl | None = None
        if folder is not None and all_tasks().get(self._task.name) is self._task:
            self.control = JobControl(JobTarget(self._task.name, folder, series, keep_hdf5, root))
            parts.append(self.control)
        elif folder is not None:
            parts.append(TextLine("dlp-TaskForm-status", "This task is not installed, so it can only be tried here."))
        super().__init__(parts)
        self.add_class("dlp-TaskForm")
        followed = [row.control for row in self._rows.values()]
        for control in followed if volume is None else (*followed, self._live, self._slice):
            control.observe(self._changed, "value")
        self._changed()

    def set(self, **params: Any) -> None:
        """Bring controls to these values, as if they were entered.

        Raises:
            BadParameters: The task has no such parameter, or its control cannot show the value; all is as it was.
        """
        for name in params:
            if name not in self._rows:
                known = ", ".join(self._rows)
                raise BadParameters(f"task {self._task.name} has no parameter {name!r}; it has: {known}")
        before = self.entered()
        for name, value in params.items():
            row = self._rows[name]
            try:
                row.control.value = value
            except traitlets.TraitError:
                for other in params:
                    self._rows[other].control.value = before[other]
                raise BadParameters(
                    f"the control of {name} cannot show {repr(value)[:80]}; its default is like {row.default!r}"
                ) from None

    def entered(self) -> dict[str, Any]:
        """The values of all controls, whether the task takes them or not."""
        return {name: row.control.value for name, row in self._rows.items()}

    def errors(self) -> dict[str, str]:
        """What the form says is wrong, by the parameter's name; that of "" concerns none alone."""
        said = {name: row.error.text for name, row in self._rows.items()} | {"": self._refusal.text}
        return {name: text for name, text in said.items() if text}

    def _checked(self) -> Task:
        """The task with the values shown.

        Raises:
            DlpError: It refuses them, or the volume.
        """
        task = self._task.from_params(self.entered())
        if self._volume is not None:
            task.check(self._volume.geometry)
        return task

    def _changed(self, _: object = None) -> None:
        """Say what is wrong; where nothing is, pass the values on."""
        task, refused, refusal = None, "", ""
        try:
            task = self._checked()
        except DlpError as error:
            refused, refusal = self._row_named(error.detail), str(error)
            if refused and error.detail is not None:
                refusal = _range_text(error.detail) or refusal
        for name, row in self._rows.items():
            row.error.say(refusal if name == refused else "")
        self._refusal.say("" if refused else refusal)
        if task is not None:
            self.params = task.params()
        if self.control is not None:
            self.control.params = None if task is None else dict(self.params)
        if task is not None and self._volume is not None and self._live.value:
            self._preview.show(task, self._volume, self._slice.value - 1)

    def _row_named(self, detail: ErrorDetail | None) -> str:
        """The parameter that a refusal is about, also where it names a part of it, such as `sigma_mm[2]`."""
        parameter = detail.parameter if detail is not None else None
        return next((name for name in self._rows if parameter and parameter.split("[")[0].split(".")[0] == name), "")


class _Row(widgets.VBox):  # type: ignore[misc]
    """A parameter: its name, its control, what it is for, and what is wrong with its value."""

    def __init__(self, parameter: Parameter) -> None:
        self.default = parameter.default
        self.control = control_of(parameter)
        self.control.layout.flex = "1 1 auto"
        label = widgets.Label(parameter.label, layout=widgets.Layout(width="90px", flex="0 0 auto"))
        label.tooltip = parameter.description
        self.error = TextLine("dlp-TaskForm-error")
        help_line = TextLine("dlp-TaskForm-help", parameter.description)
        super().__init__([widgets.HBox([label, self.control]), help_line, self.error])
        self.add_class("dlp-TaskForm-row")


def _with_code(text: str) -> str:
    """HTML of a docstring's sentence: what stands between backquotes is code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _range_text(detail: ErrorDetail) -> str:
    """The range that a value has to lie in, as a sentence; "" where none is told."""
    bounds = {
        "at least": detail.minimum,
        "greater than": detail.above,
        "at most": detail.maximum,
        "less than": detail.below,
    }
    told = [f"{words} {bound:g}" for words, bound in bounds.items() if bound is not None]
    return f"It must be {' and '.join(told)}." if told else ""
