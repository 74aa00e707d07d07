"""dlp-lab inside a Jupyter server: its options, its routes below `<base_url>dlp-lab/`, its queue."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_server.extension.application import ExtensionApp
from jupyter_server.serverapp import ServerApp
from traitlets import Enum, Float, Int, Unicode
from traitlets.config import Application

from dlp_lab.errors import ServerStopping
from dlp_lab.jobs.executor_settings import ExecutorSettings
from dlp_lab.jobs.slots import default_slots
from dlp_lab.jobs.worker_policy import DEFAULT_NICENESS, LARGEST_NICENESS
from dlp_lab.server import job_routes, v1_health, v1_jobs, v1_openapi, v1_results, v1_series, v1_tasks, v1_volumes
from dlp_lab.server.api_handler import (
    ENDINGS_SETTING,
    JOBS_SETTING,
    PICTURES_SETTING,
    SLOW_CALLS_SETTING,
    TOLD_APART_SETTING,
    WORKSPACE_SETTING,
)
from dlp_lab.server.events import JobEvents
from dlp_lab.server.job_endings import JobEndings
from dlp_lab.server.log_file import write_log_to
from dlp_lab.server.owners import OWNER_RULES, users_are_told_apart
from dlp_lab.server.pictures import Pictures
from dlp_lab.server.slow_calls import SlowCalls
from dlp_lab.store.workspace import DEFAULT_OUTPUT, OUTPUT_VARIABLE, ROOT_VARIABLE, Workspace

if TYPE_CHECKING:
    from dlp_lab.jobs.service import JobService  # loads numpy, which must not delay JupyterLab's start
    from dlp_lab.viewing.opened_volumes import OpenedVolumes  # so does this

_SUBMISSIONS_AT_ONCE = 2

ROUTES: list[tuple[str, type]] = [
    *job_routes.ROUTES,
    *v1_health.ROUTES,
    *v1_jobs.ROUTES,
    *v1_openapi.ROUTES,
    *v1_results.ROUTES,
    *v1_series.ROUTES,
    *v1_tasks.ROUTES,
    *v1_volumes.ROUTES,
]
"""Every address below `dlp-lab/`, with its handler."""


class DlpLabApp(ExtensionApp):
    """Medical-image processing: DICOM in, derived DICOM out, by jobs that run in a durable queue."""

    name = "dlp_lab"
    load_other_extensions = True

    root = Unicode(
        "",
        help="Folder that holds all input and output. Nothing outside it is read or written. "
        "By default the folder that the server serves.",
    ).tag(config=True)
    output_dir = Unicode(
        DEFAULT_OUTPUT, help="Folder for the results and the queue, relative to the root. It is made if it is absent."
    ).tag(config=True)
    max_concurrent_jobs = Int(
        default_slots(),
        min=1,
        help="How many jobs run at the same time, each in its own process; the others wait in order.",
    ).tag(config=True)
    max_queued_jobs = Int(10_000, min=1, help="How many jobs may wait; more are refused until some are done.").tag(
        config=True
    )
    max_queued_jobs_of_user = Int(
        0, min=0, help="How many jobs of one user may wait, on a server that tells its users apart; 0 is any number."
    ).tag(config=True)
    owners = Enum(
        OWNER_RULES,
        "auto",
        help="Whether jobs belong to who submits them, and are hidden from other users: 'separate', or 'shared' by "
        "all. 'auto' is 'shared' where a token or a password is all that the server knows of its users, and "
        "'separate' where an identity provider of its own (JupyterHub's, for one) knows who they are.",
    ).tag(config=True)
    min_free_gib = Float(
        1.0, min=0.0, help="Free space in GiB that the disk of the output folder must have for a job to be taken."
    ).tag(config=True)
    max_job_hours = Float(
        0.0, min=0.0, help="How long an attempt at a job may run before it is stopped; 0 is as long as it takes."
    ).tag(config=True)
    max_viewer_gib = Float(
        8.0, min=0.0, help="Disk in GiB that the working files of all open viewers together may take."
    ).tag(config=True)
    max_job_memory_gib = Float(
        0.0,
        min=0.0,
        help="How much memory in GiB each process of a job may have before the job fails; 0 is as much as there is.",
    ).tag(config=True)
    job_niceness = Int(
        DEFAULT_NICENESS,
        min=0,
        max=LARGEST_NICENESS,
        help="How far the processes of jobs stand back behind others (man 2 nice): 0 not at all, 19 most.",
    ).tag(config=True)
    executor = Enum(
        ["local", "dask"],
        "local",
        help="Where jobs run: 'local' is processes on this machine, 'dask' the workers of a Dask cluster.",
    ).tag(config=True)
    dask_scheduler = Unicode(
        "",
        help="Address of the Dask cluster's scheduler, such as tls://node1:8786. By default a cluster of the server's "
        "own is started on this machine.",
    ).tag(config=True)
    dask_ca_file = Unicode("", help="PEM file of who vouches for the Dask cluster's certificates.").tag(config=True)
    dask_cert_file = Unicode("", help="PEM file of the certificate by which the Dask cluster knows the server.").tag(
        config=True
    )
    dask_key_file = Unicode("", help="PEM file of the key to that certificate.").tag(config=True)
    log_level = Enum(
        Application.log_level.values, "INFO", help="How much of what dlp-lab does is logged, by name or number."
    ).tag(config=True)
    log_file = Unicode("", help="File that the log is also appended to; none by default.").tag(config=True)

    serverapp: ServerApp

    def initialize_settings(self) -> None:
        level: Any = self.log_level
        package_log = logging.getLogger("dlp_lab")
        package_log.setLevel(level)
        if self.log_file:
            write_log_to(Path(self.log_file), [package_log, logging.getLogger(self.serverapp.log.name)], level)
        self._workspace = Workspace(Path(self.root or self.serverapp.root_dir), self.output_dir)
        # The server's kernels inherit these, so that a job submitted in a notebook is a job of the server.
        os.environ[ROOT_VARIABLE] = str(self._workspace.root)
        os.environ[OUTPUT_VARIABLE] = self._workspace.output
        self._executor_settings = ExecutorSettings(
            executor=self.executor,
            dask_scheduler=self.dask_scheduler,
            dask_ca_file=_absolute(self.dask_ca_file),
            dask_cert_file=_absolute(self.dask_cert_file),
            dask_key_file=_absolute(self.dask_key_file),
            max_job_memory_gib=self.max_job_memory_gib,
            job_niceness=self.job_niceness,
        )
        os.environ |= self._executor_settings.to_environment()
        self._service: JobService | None = None
        self._service_lock = threading.Lock()
        self._stopped = False
        event_logger = self.serverapp.event_logger
        assert event_logger is not None  # made before extensions are loaded
        told_apart = users_are_told_apart(self.serverapp.identity_provider, self.owners)
        loop = self.serverapp.io_loop.asyncio_loop  # type: ignore[attr-defined]
        self._events = JobEvents(event_logger, loop, nameless=told_apart)
        self._endings = JobEndings(loop)
        self.settings[ENDINGS_SETTING] = self._endings
        self.settings[WORKSPACE_SETTING] = self._workspace
        self.settings[JOBS_SETTING] = self._open_queue
        self._volumes: OpenedVolumes | None = None
        self.settings[v1_volumes.VOLUMES_SETTING] = self._opened_volumes
        self.settings[SLOW_CALLS_SETTING] = SlowCalls(_SUBMISSIONS_AT_ONCE)
        self.settings[PICTURES_SETTING] = Pictures()
        self.settings[v1_openapi.ROUTES_SETTING] = ROUTES
        self.settings[TOLD_APART_SETTING] = told_apart
        self.settings[v1_health.CAPACITY_SETTING] = v1_health.Capacity(self.executor, self.max_concurrent_jobs)

    def initialize_handlers(self) -> None:
        self.handlers.extend((rf"/dlp-lab/{path}", handler) for path, handler in ROUTES)

    def _opened_volumes(self) -> OpenedVolumes:
        if self._volumes is None:
            from dlp_lab.viewing.opened_volumes import OpenedVolumes

            self._volumes = OpenedVolumes(self._workspace, int(self.max_viewer_gib * 2**30))
        return self._volumes

    async def _open_queue(self) -> JobService:
        if self._service:
            return self._service
        return await asyncio.to_thread(self._open_queue_now)

    def _open_queue_now(self) -> JobService:
        from dlp_lab.jobs.queue_limits import QueueLimits
        from dlp_lab.jobs.service import JobService

        limits = QueueLimits(
            max_queued=self.max_queued_jobs,
            least_free_bytes=int(self.min_free_gib * 2**30),
            job_seconds=self.max_job_hours * 3600 or None,
            max_queued_of_owner=self.max_queued_jobs_of_user or None,
        )
        with self._service_lock:
            if self._stopped:
                raise ServerStopping("the server is about to stop; try again when it is back")
            service = self._service
            if service is None:
                executor = self._executor_settings.new_executor(
                    self._workspace, self.max_concurrent_jobs, limits.job_seconds
                )
                self._service = service = JobService(self._workspace, executor=executor, limits=limits)
                service.add_listener(self._events.job_changed)
                service.add_listener(self._endings.job_changed)
            return service

    async def _start_jupyter_server_extension(self, serverapp: ServerApp) -> None:
        # Opened without a request too: jobs may be waiting since the server last stopped.
        self._opening = asyncio.create_task(self._get_ready())
        self._opening.add_done_callback(self._note_failure)

    async def _get_ready(self) -> None:
        await self._open_queue()
        await asyncio.to_thread(import_module, "dlp_lab.jobs.submission")  # or the first submission waits for pydicom

    def _note_failure(self, opening: asyncio.Task[Any]) -> None:
        if not opening.cancelled() and (error := opening.exception()):
            self.log.error("the job queue could not be opened: %s", error)

    async def stop_extension(self) -> None:
        self._endings.let_all_go()
        if self._volumes is not None:
            await self._volumes.close_all()
        await asyncio.to_thread(self._close_queue)

    def _close_queue(self) -> None:
        with self._service_lock:
            self._stopped = True
            if self._service:
                self._service.close()


def _absolute(file: str) -> str:
    """A file's path, for kernels that run in other folders; "" stays."""
    return os.path.abspath(file) if file else ""
