"""Where the time of a job goes, by step: wall and processor time, all threads of the process together.

The functions that do a step's work are wrapped; what one takes within another is the inner one's alone.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from dlp_lab.dicom import rescale, slab_reader, write_image, write_streamed
from dlp_lab.jobs import pipeline
from dlp_lab.kernels import separable
from dlp_lab.store import provenance, workspace
from dlp_lab.tasks import gaussian

WALL, CPU = "wall: ", "cpu: "
"""Of a step's name, where both times are told in one table."""
REST = "the rest"
STEPS: dict[str, tuple[tuple[Any, str], ...]] = {
    "headers": ((pipeline, "find_series"), (pipeline, "choose_series")),
    "reading": ((slab_reader, "read_slices"),),
    "Gaussian": ((gaussian, "gaussian_filter"), (separable.SlabConvolution, "take")),
    "measuring": (
        (provenance.ValueProfiles, "add"),
        (rescale.ValueRange, "of_slices"),
        (write_streamed, "measured"),
    ),
    "writing": ((write_image._FileWriter, "some"),),
    "flushing": ((workspace, "_flush_all_to_disk"),),
    "record": ((pipeline, "_record"), (pipeline, "write_json")),
}


class JobProfile:
    """Seconds by step, wall and of the processor."""

    def __init__(self) -> None:
        self.wall_s = dict.fromkeys((*STEPS, REST), 0.0)
        self.cpu_s = dict.fromkeys((*STEPS, REST), 0.0)
        self._inside = [(0.0, 0.0)]

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """What is done in the block belongs to a step, but for that of steps within it."""
        self._inside.append((0.0, 0.0))
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            yield
        finally:
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            inner_wall, inner_cpu = self._inside.pop()
            self.wall_s[name] += wall - inner_wall
            self.cpu_s[name] += cpu - inner_cpu
            outer_wall, outer_cpu = self._inside[-1]
            self._inside[-1] = outer_wall + wall, outer_cpu + cpu

    @contextmanager
    def taken(self) -> Iterator[None]:
        """A job that is run in the block, by one thread that has others help it, is told of here afterwards."""
        replaced = [(owner, name, vars(owner)[name]) for parts in STEPS.values() for owner, name in parts]
        for step, parts in STEPS.items():
            for owner, name in parts:
                setattr(owner, name, self._wrapped(step, vars(owner)[name]))
        try:
            with self.step(REST):
                yield
        finally:
            for owner, name, function in replaced:
                setattr(owner, name, function)

    def _wrapped(self, step: str, function: Any) -> Any:
        if isinstance(function, classmethod):
            return classmethod(self._wrapped(step, function.__func__))

        @functools.wraps(function)
        def profiled(*args: Any, **kwargs: Any) -> Any:
            with self.step(step):
                return function(*args, **kwargs)

        wrapped: Callable[..., Any] = profiled
        return wrapped
