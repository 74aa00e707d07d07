"""The registry of tasks: those of dlp-lab, and those of installed packages (entry points, group `dlp_lab.tasks`)."""

from __future__ import annotations

import functools
import logging
from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Annotated, Any

import msgspec

from dlp_lab.errors import BadParameters, UnknownTask
from dlp_lab.tasks.enhance import Enhance
from dlp_lab.tasks.gaussian import Gaussian3D
from dlp_lab.tasks.segment import Segment
from dlp_lab.tasks.task import RESERVED_PARAMETERS, ChannelTask, Task, no_report
from dlp_lab.volume import Volume

ENTRY_POINT_GROUP = "dlp_lab.tasks"
BUILT_IN_TASKS: tuple[type[Task], ...] = (Gaussian3D, Segment, Enhance)

_BUILT_IN = {task.name: task for task in BUILT_IN_TASKS}

_log = logging.getLogger(__name__)


@functools.cache
def all_tasks() -> dict[str, type[Task]]:
    """Every task by its name, the built-in ones first.

    Plug-ins are loaded at the first call. One that is broken, takes the name of another task, or has a parameter of a
    reserved name is left out with a warning in the log that names its package.
    """
    tasks: dict[str, type[Task]] = dict(_BUILT_IN)
    for entry in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda entry: (_package(entry), entry.name)):
        task = _loaded(entry)
        if task is None:
            continue
        if task.name in tasks:
            _log.warning("task %r of package %s is left out: the name is taken", task.name, _package(entry))
            continue
        tasks[task.name] = task
    return tasks


def task_named(name: str) -> type[Task]:
    """The task of that name. Plug-ins are loaded for none that is built in, whose name none of theirs can take.

    Raises:
        UnknownTask: There is none; the message lists those there are.
    """
    tasks = _BUILT_IN if name in _BUILT_IN else all_tasks()
    if name not in tasks:
        raise UnknownTask(f"no task named {name!r}; there are: {', '.join(tasks)}")
    return tasks[name]


def _package(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else entry.module


def _loaded(entry: EntryPoint) -> type[Task] | None:
    try:
        task = entry.load()
        if not (isinstance(task, type) and issubclass(task, Task)):
            raise TypeError(f"{entry.value} is not a subclass of dlp_lab.tasks.task.Task")
        if not all(isinstance(getattr(task, attribute, None), str) for attribute in ("name", "title")):
            raise TypeError(f"{entry.value} has no name or no title")
        msgspec.convert(task.resources, dict[str, Annotated[float, msgspec.Meta(gt=0)]])
        parameters = task.json_schema()["properties"]
        if taken := sorted(name for name in parameters if name.replace("-", "_") in RESERVED_PARAMETERS):
            raise TypeError(f"{entry.value} has a parameter with a reserved name: {', '.join(taken)}")
    except Exception as error:  # a foreign package may raise anything, and must not take the other tasks with it
        reason = f"{type(error).__name__}: {error}"
        _log.warning("task %r of package %s is left out: %s", entry.name, _package(entry), reason)
        return None
    return task


def run(task: str, volume: Volume | Sequence[Volume], **params: Any) -> Volume:
    """Run a task on a volume in this process, without a queue.

    Args:
        task: Name of an installed task, such as "3dblur".
        volume: The input; it stays untouched. For a task that looks at several series, one each, on one grid.
        **params: The task's parameters; absent ones take their defaults.

    Raises:
        UnknownTask: No such task is installed.
        BadParameters: A parameter is unknown, of the wrong type or out of its range; or that is no volume.
    """
    asked = task_named(task).from_params(params)
    if isinstance(volume, Volume):
        return asked.run(volume, no_report).volume
    if not isinstance(volume, Sequence) or not all(isinstance(one, Volume) for one in volume):
        raise BadParameters(
            f"task {task} is run here on a volume, such as dlp.read_series(folder); dlp.submit takes a folder"
        )
    if not isinstance(asked, ChannelTask):
        raise BadParameters(f"task {task} works on one volume; give it alone")
    return asked.run_channels(volume, no_report).volume
