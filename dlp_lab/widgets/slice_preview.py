"""One slice before and after a task, computed in a thread of the kernel while the user turns the knobs."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlp_lab.errors import DlpError, JobCancelled
from dlp_lab.geometry import PlaneView, plane_views
from dlp_lab.kernels.picture import gray_picture, png_of, window_of
from dlp_lab.tasks.task import Task
from dlp_lab.volume import Volume
from dlp_lab.widgets.message_widget import MessageWidget, script
from dlp_lab.widgets.newest_request import NewestRequest, Turn
from dlp_lab.widgets.slice_run import SliceResult, run_on_slice

_LONGEST_PX = 360
_MOST_SECONDS = 3.0
_SECONDS_BEFORE_GIVING_WAY = 0.25  # what is done sooner is shown, for else nothing would be while a knob is turned


@dataclass(frozen=True)
class _Wish:
    task: Task
    volume: Volume
    index_k: int


class SlicePreview(MessageWidget):
    """Shows a slice and what a task makes of it; the newest wish wins, and nothing waits for it.

    A task that takes longer than 3 s for it is stopped at its next report, and the reader told to run it as a job.
    """

    _esm = script("slice_preview")

    def __init__(self) -> None:
        super().__init__()
        self._wishes = NewestRequest(self._compute, "dlp-preview")

    def show(self, task: Task, volume: Volume, index_k: int) -> None:
        """Have the slice `index_k` shown soon, before and after; returns at once."""
        self._wishes.ask(_Wish(task, volume, index_k))

    def note(self, text: str) -> None:
        """Say something instead of a picture."""
        self.tell("preview", {"type": "note", "text": text})

    def release(self) -> None:
        self._wishes.close()

    def _compute(self, wish: _Wish, turn: Turn) -> None:
        started = time.monotonic()

        def report(fraction: float, message: str) -> None:
            seconds = time.monotonic() - started
            if seconds > _MOST_SECONDS or (turn.is_stale() and seconds > _SECONDS_BEFORE_GIVING_WAY):
                raise JobCancelled("the preview gives way")

        self.send({"type": "busy"})
        try:
            result = run_on_slice(wish.task, wish.volume, wish.index_k, report)
            self._draw(wish, result, time.monotonic() - started)
        except JobCancelled:
            if not turn.is_stale():
                self.note(f"No preview: it takes longer than {_MOST_SECONDS:g} s. Run it as a job.")
        except DlpError as error:
            self.note(str(error))
        except Exception as error:  # a task of the reader's own may raise anything, and wants to be told
            self.note(f"{type(error).__name__}: {error}")

    def _draw(self, wish: _Wish, result: SliceResult, seconds: float) -> None:
        volume, k = wish.volume, wish.index_k
        view = next(view for view in plane_views(volume.geometry) if view.axis == 0)
        before = volume.voxels[k]
        window = window_of(before)
        is_image = wish.task.makes == "image"
        after_window = window if is_image else (0.0, max(1.0, float(result.values.max())))
        unit = f" {volume.unit}" if volume.unit else ""
        caption = f"{view.title} slice {k + 1} of {volume.geometry.shape[0]}"
        if is_image:
            change = np.abs(result.values.astype(np.float32) - before.astype(np.float32))
            caption += f" · changed by {change.mean():.3g}{unit} on average, {change.max():.3g}{unit} at most"
        caption += f" · {result.slices} slices in {seconds:.2f} s"
        pictures = [_picture(before, view, window), _picture(result.values, view, after_window)]
        self.tell("preview", {"type": "pictures", "names": ["before", "after"], "caption": caption}, pictures)


def _picture(values: NDArray[Any], view: PlaneView, window: tuple[float, float]) -> bytes:
    """A slice as it is shown, as a PNG file."""
    return png_of(gray_picture(view.of(values[None], 0), view.pixel_size_mm, window, _LONGEST_PX))
