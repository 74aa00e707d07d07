"""The half of the Dask executor that lives in a Dask worker.

A Dask worker does not compute a job in a thread of its own: it starts the same process for it as this machine would,
with the same isolation, limits and log. The job's Dask task only waits for the end, so that Dask counts the thread as
taken. What is told about a job goes to the scheduler as an event, and from there to the executor; all in order.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import threading
from pathlib import Path
from typing import Literal

import msgspec
from distributed import Worker, WorkerPlugin, get_worker

from dlp_lab import __version__
from dlp_lab.errors import DlpError, WorkerLost
from dlp_lab.jobs.executor_thread import ExecutorThread
from dlp_lab.jobs.job import Job
from dlp_lab.jobs.local_executor import LocalExecutor
from dlp_lab.jobs.updates import Cancelled, Hindered, Progress, Update
from dlp_lab.jobs.worker_policy import WorkerPolicy
from dlp_lab.store.workspace import Workspace

_SECONDS_BETWEEN_LOOKS = 1.0

Sight = Literal["same", "absent", "other", "read-only"]


class HostReport(msgspec.Struct, frozen=True):
    """What a Dask worker says of itself.

    Attributes:
        worker_id: Of this one process; another one at the same address has another.
        host: Name of its machine.
        version: Of dlp-lab.
        sight: What it sees at the path of the workspace: the same folder, none, another one, or the same without the
            right to write.
        threads: How many jobs it runs at once.
        resources: What else it has, such as `{"GPU": 1}`.
    """

    worker_id: str
    host: str
    version: str
    sight: Sight
    threads: int
    resources: dict[str, float]

    def refusal(self, workspace: Workspace) -> str:
        """Why the worker cannot take part; "" if it can."""
        if self.version != __version__:
            return f"it has dlp-lab {self.version}, and here is {__version__}; install the same on all"
        seen = {
            "absent": f"it finds no folder {workspace.root}, or may not read it",
            "other": f"its folder {workspace.root} is another one than here",
            "read-only": f"it may not write to {workspace.output!r} in {workspace.root}",
            "same": "",
        }[self.sight]
        return seen and f"{seen}; root and output must lie on a file system that all workers see at the same path"


class JobHost(WorkerPlugin):
    """Runs the jobs of one executor in a Dask worker, which owns it as a plug-in and closes it at its own end.

    Args:
        session: Name of the executor, by which the jobs of one that is gone are told from those of the next.
        root, output: The workspace.
        token: What the workspace's `sharing_token` holds.
        job_seconds: How long an attempt at a job may run; None as long as it takes.
        policy: What the processes of the jobs may take, and how long they are kept.
    """

    def __init__(
        self, session: str, root: str, output: str, token: str, job_seconds: float | None, policy: WorkerPolicy
    ) -> None:
        self.session = session
        self._root = root
        self._output = output
        self._token = token
        self._job_seconds = job_seconds
        self._policy = policy

    def setup(self, worker: Worker) -> None:
        self._worker = worker
        self._lock = threading.Lock()
        self._executor: ExecutorThread | None = None
        self._closed = False
        self._running: dict[tuple[str, int], threading.Event] = {}
        self._refused: set[tuple[str, int]] = set()

    async def teardown(self, worker: Worker) -> None:
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        with self._lock:
            self._closed = True
            executor, self._executor = self._executor, None
        if executor:
            executor.close()

    def get_ready(self) -> HostReport:
        """What the worker is, and whether it sees the workspace; if so, it is made ready to run jobs."""
        sight = self._sight()
        if sight == "same":
            with self._lock:
                if not self._closed:
                    self._executor = self._new_executor()
        return HostReport(
            worker_id=self._worker.id,
            host=os.uname().nodename,
            version=__version__,
            sight=sight,
            threads=self._worker.state.nthreads,
            resources=dict(self._worker.state.total_resources),
        )

    def _sight(self) -> Sight:
        try:
            workspace = Workspace(Path(self._root), self._output)
            content = workspace.sharing_token.read_text()
        except (OSError, DlpError):
            return "absent"
        if str(workspace.root) != self._root or content != self._token:
            return "other"
        return "same" if os.access(workspace.state_folder, os.W_OK) else "read-only"

    def run(self, job: Job, key: str) -> None:
        """Run an attempt to its end. Returns then, or at once if it was cancelled before.

        Args:
            job: What to do.
            key: Of the Dask task that waits; where Dask wants it no longer, for who asked is gone, the job is stopped.
        """
        attempt = job.uid, job.attempts
        ended = threading.Event()
        with self._lock:
            if self._executor is None or attempt in self._refused:
                self._refused.discard(attempt)
                return
            self._running[attempt] = ended
            self._executor.start(job)
        while not ended.wait(_SECONDS_BETWEEN_LOOKS):
            if self._is_released(key):
                self.cancel(*attempt)

    def _new_executor(self) -> ExecutorThread:
        # A nanny makes its workers daemons, to which multiprocessing forbids children; ours end with their parent.
        multiprocessing.current_process().daemon = False
        workspace = Workspace(Path(self._root), self._output)
        executor = LocalExecutor(workspace, self._worker.state.nthreads, self._job_seconds, self._policy)
        return ExecutorThread(executor, self._tell)

    def _is_released(self, key: str) -> bool:
        task = self._worker.state.tasks.get(key)
        return task is None or task.state == "cancelled"

    def cancel(self, uid: str, attempt: int) -> None:
        """Ask for the end of an attempt, or see to it that it does not begin."""
        with self._lock:
            if (uid, attempt) not in self._running:
                self._refused.add((uid, attempt))
                self._tell(Cancelled(uid, attempt))
            elif self._executor:
                self._executor.cancel(uid)

    def _tell(self, update: Update) -> None:
        # before the task ends, which is told on the same way
        with contextlib.suppress(RuntimeError):  # where the Dask worker has ended, nobody listens
            self._worker.log_event(self.session, msgspec.json.encode(update).decode())
        if not isinstance(update, Progress):
            ended = self._running.pop((update.uid, update.attempt), None)
            if ended:
                ended.set()


async def open_host(name: str, host: JobHost, dask_worker: Worker) -> bytes:
    """Let `host` take the place of the workspace's former one, whose jobs are stopped; returns its report as JSON."""
    await dask_worker.plugin_add(host, name=name)
    return msgspec.json.encode(await asyncio.to_thread(host.get_ready))


async def close_host(name: str, session: str, dask_worker: Worker) -> None:
    """Stop all jobs of an executor that ends."""
    host = dask_worker.plugins.get(name)
    if isinstance(host, JobHost) and host.session == session:
        await dask_worker.plugin_remove(name)


def cancel_attempt(name: str, uid: str, attempt: int, dask_worker: Worker) -> None:
    """See `JobHost.cancel`."""
    host = dask_worker.plugins.get(name)
    if isinstance(host, JobHost):
        host.cancel(uid, attempt)


def run_attempt(name: str, worker_id: str, job_json: bytes) -> None:
    """The Dask task of an attempt: waits for its end.

    It never raises, for Dask would log the arguments. Where Dask gave it to another process than the one that was
    meant, because that one died, it does nothing: whether the job is tried again is for the queue to say.
    """
    worker = get_worker()
    host = worker.plugins.get(name)
    if worker.id != worker_id or not isinstance(host, JobHost):
        return
    job = msgspec.json.decode(job_json, type=Job)
    try:
        host.run(job, str(worker.get_current_task()))
    except Exception as error:
        reason = f"the Dask worker could not run the job ({type(error).__name__})"
        hindered = Hindered(job.uid, job.attempts, WorkerLost.code, reason)
        worker.log_event(host.session, msgspec.json.encode(hindered).decode())
