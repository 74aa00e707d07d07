"""The installed tasks as the doors show them."""

from __future__ import annotations

import inspect

from dlp_lab.jobs.job import TaskInfo
from dlp_lab.tasks import all_tasks, task_named
from dlp_lab.tasks.task import Task


def task_infos() -> list[TaskInfo]:
    """Every installed task."""
    return [_task_info(task) for task in all_tasks().values()]


def task_info(name: str) -> TaskInfo:
    """One task.

    Raises:
        UnknownTask: There is none of that name.
    """
    return _task_info(task_named(name))


def _task_info(task: type[Task]) -> TaskInfo:
    return TaskInfo(
        name=task.name,
        title=task.title,
        description=inspect.cleandoc(task.__doc__ or ""),
        makes=task.makes,
        params_schema=task.json_schema(),
    )
