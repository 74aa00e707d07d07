"""Runs a task as a job from a notebook: a button, how far it is, and another button that cancels it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ipywidgets as widgets
import traitlets

from dlp_lab.duration import duration_text
from dlp_lab.errors import DlpError
from dlp_lab.jobs.handle import JobHandle, submit
from dlp_lab.jobs.job import Job
from dlp_lab.widgets.closing import ClosingBox
from dlp_lab.widgets.newest_request import NewestRequest, Turn
from dlp_lab.widgets.text_line import TextLine

_SECONDS_BETWEEN_LOOKS = 0.2
_STYLES = {"succeeded": "success", "failed": "danger", "cancelled": "warning"}


@dataclass(frozen=True)
class JobTarget:
    """What jobs of a control work on, and how; see `dlp.submit`.

    Attributes:
        task, input_dir, keep_hdf5, root: As there.
        series: SeriesInstanceUID of one of several series in the folder, or None.
    """

    task: str
    input_dir: Path | str
    series: str | None = None
    keep_hdf5: bool = False
    root: Path | str | None = None

    def submit(self, params: dict[str, Any]) -> JobHandle:
        """Put a job in the queue.

        Raises:
            DlpError: See `dlp.submit`.
        """
        read = {} if self.series is None else {"series": self.series}
        return submit(self.task, self.input_dir, keep_hdf5=self.keep_hdf5, root=self.root, read=read, **params)


class JobControl(ClosingBox):
    """Submits jobs and follows the newest, in a thread; one that is not followed any more goes on.

    Attributes:
        params: What the button runs the task with; None while there is nothing valid, and the button is off.
        job: Handle of the newest job that it submitted, or None; observers are told.
        result: Handle of the newest one that succeeded, or None; observers are told.
    """

    params = traitlets.Any()
    job = traitlets.Any()
    result = traitlets.Any()

    def __init__(self, target: JobTarget) -> None:
        self._target = target
        self._follows = NewestRequest(self._submit_and_follow, "dlp-form-job")
        self._start = widgets.Button(description="Run", button_style="primary", tooltip="run the task on all slices")
        self._cancel = widgets.Button(description="Cancel", tooltip="cancel the job", disabled=True)
        for button in (self._start, self._cancel):
            button.layout.width = "80px"
        self._bar = widgets.FloatProgress(max=1.0, layout=widgets.Layout(flex="1 1 auto", width="auto"))
        self._status = TextLine("dlp-TaskForm-status")
        super().__init__([widgets.HBox([self._start, self._cancel, self._bar]), self._status])
        self._start.on_click(lambda _: self.run())
        self._cancel.on_click(lambda _: self.cancel())
        self.observe(self._switch, "params")

    @property
    def said(self) -> str:
        """What it says of the job."""
        said: str = self._status.text
        return said

    def run(self) -> None:
        """Submit a job, and follow it; as the button does, it returns at once."""
        if self.params is not None:
            self._follows.ask(self.params)

    def cancel(self) -> None:
        """Cancel the job that is followed, if there is one that has not ended."""
        if self.job is None:
            return
        try:
            self.job.cancel()
        except DlpError as error:
            self._status.say(str(error))

    def release(self) -> None:
        self._follows.close()

    def _switch(self, _: object) -> None:
        self._start.disabled = self.params is None

    def _submit_and_follow(self, params: dict[str, Any], turn: Turn) -> None:
        self._status.say("reading the folder")
        self._bar.value, self._bar.bar_style = 0.0, ""
        try:
            handle = self._target.submit(params)
            self.job = handle
            self._cancel.disabled = False
            while not turn.is_stale():
                job = handle.job
                self._show(job)
                if job.ended:
                    break
                turn.pause(_SECONDS_BETWEEN_LOOKS)
        except DlpError as error:
            self._status.say(str(error))
            return
        if job.state == "succeeded":
            self.result = handle

    def _show(self, job: Job) -> None:
        self._bar.value = job.progress
        self._bar.bar_style = _STYLES.get(job.state, "")
        self._cancel.disabled = job.ended
        self._status.say(status_text(job))


def status_text(job: Job) -> str:
    """Where a job stands, in a line."""
    match job.state:
        case "queued":
            return f"waiting, number {job.position} in the queue" if job.position else "waiting"
        case "running":
            left = "" if job.seconds_left is None else f", about {duration_text(job.seconds_left)} left"
            return f"{job.message or 'starting'}{left}"
        case "succeeded":
            return f"done in {duration_text(job.elapsed_seconds or 0)}"
        case "cancelled":
            return "cancelled"
    return f"failed: {job.message}"
