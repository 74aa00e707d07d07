"""Versioned API: the installed tasks."""

from __future__ import annotations

from jupyter_server.auth.decorator import authorized
from tornado import web

from dlp_lab.errors import NoSuchTask, UnknownTask
from dlp_lab.jobs.job import TaskInfo, TaskList
from dlp_lab.server.api_handler import DlpHandler
from dlp_lab.server.operation import operation


class TasksHandler(DlpHandler):
    """`dlp-lab/api/v1/tasks`."""

    @web.authenticated
    @authorized
    @operation(TaskList)
    async def get(self) -> None:
        """List the tasks with the JSON Schemas of their parameters."""
        self.reply(TaskList(tasks=await self.in_thread(_task_infos)))


class TaskHandler(DlpHandler):
    """`dlp-lab/api/v1/tasks/<name>`."""

    @web.authenticated
    @authorized
    @operation(TaskInfo, 404)
    async def get(self, name: str) -> None:
        """Tell of a task."""
        self.reply(await self.in_thread(_task_info, name))


def _task_infos() -> list[TaskInfo]:
    from dlp_lab.jobs.task_catalog import task_infos  # loads numpy, which must not delay JupyterLab's start

    return task_infos()


def _task_info(name: str) -> TaskInfo:
    from dlp_lab.jobs.task_catalog import task_info

    try:
        return task_info(name)
    except UnknownTask as error:
        # as part of a request it is refused (422); as an address it is not found (404)
        raise NoSuchTask(str(error)) from None


ROUTES = [
    (r"api/v1/tasks/?", TasksHandler),
    (r"api/v1/tasks/([^/]+)", TaskHandler),
]
