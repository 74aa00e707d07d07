"""Jobs on the workers of a Dask cluster."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dlp_lab.errors import UnknownTask, WorkerLost
from dlp_lab.jobs.dask_roster import Roster, RosterWorker
from dlp_lab.jobs.dask_settings import DaskSettings, import_distributed
from dlp_lab.jobs.job import Job
from dlp_lab.jobs.updates import Cancelled, Hindered, Progress, Update
from dlp_lab.jobs.worker_policy import DEFAULT_POLICY, WorkerPolicy
from dlp_lab.store.workspace import Workspace
from dlp_lab.tasks import task_named

if TYPE_CHECKING:
    from dlp_lab.jobs.dask_connection import DaskConnection  # loads Dask, which only who starts jobs needs

_SECONDS_TO_STOP = 3.0
_SECONDS_BEFORE_ASKING_AGAIN = 5.0


@dataclass
class _Attempt:
    """A job that was started and has not ended.

    Attributes:
        worker: Who runs it; None while none is free that has the resources.
        cancel_asked_at: Monotonic time when its worker was last asked to end it; the request may be lost on its way.
    """

    job: Job
    resources: Mapping[str, float]
    worker: RosterWorker | None = None
    cancel_asked_at: float = -math.inf


class DaskExecutor:
    """`Executor` on a Dask cluster, which may come, go, grow and shrink.

    There are as many slots as the cluster's workers have threads; none while there is no cluster. The executor itself
    says which worker runs which job, and Dask is told to run it there or not at all, for Dask would run the tasks of a
    lost worker again elsewhere, and knows nothing of attempts. A job whose resources no worker has free waits here, and
    lets others pass, up to twice as many as there are slots.

    Where a worker or the scheduler is lost, its jobs are `Hindered` at once. A lost worker ends its jobs, and so does a
    worker that loses its scheduler; should that take a while, the next attempt waits by the lock of the job's log.

    Args:
        workspace: Where the jobs read and write; all workers must see it at the same path.
        settings: Which cluster.
        slots: How many jobs may run at once in a cluster of this process's own.
        job_seconds: How long an attempt at a job may run; None as long as it takes.
        policy: What the processes of the jobs may take, and how long they are kept.
    """

    def __init__(
        self,
        workspace: Workspace,
        settings: DaskSettings,
        slots: int,
        job_seconds: float | None = None,
        policy: WorkerPolicy = DEFAULT_POLICY,
    ) -> None:
        if slots < 1:
            raise ValueError(f"at least 1 slot is needed; got {slots}")
        self._workspace = workspace
        self._settings = settings
        self._slots = slots
        self._job_seconds = job_seconds
        self._policy = policy
        self._trouble = ""
        self._connection: DaskConnection | None = None
        self._roster = Roster()
        self._attempts: dict[str, _Attempt] = {}
        self._untold: list[Update] = []
        self._woken = False
        self._closed = False
        self._changed = threading.Condition()  # its lock guards all of the above

    def prepare(self) -> None:
        if self._connection is None and not self._closed:
            import_distributed()
            from dlp_lab.jobs.dask_connection import DaskConnection

            self._connection = DaskConnection(
                self._workspace, self._settings, self._slots, self._job_seconds, self._policy, listener=self
            )

    def free_slots(self) -> int:
        with self._changed:
            waiting = sum(attempt.worker is None for attempt in self._attempts.values())
            return self._roster.free_threads() if waiting < 2 * self._roster.threads() else 0

    def trouble(self) -> str | None:
        with self._changed:
            return None if self._roster.threads() else self._trouble or None

    def start(self, job: Job) -> None:
        self.prepare()
        try:
            resources = task_named(job.task).resources
        except UnknownTask:
            resources = {}  # the worker will say so
        with self._changed:
            attempt = self._attempts[job.uid] = _Attempt(job, resources)
            self._assign()
            if attempt.worker is None:
                needed = ", ".join(f"{name}={amount:g}" for name, amount in resources.items())
                message = f"waiting for a Dask worker that has {needed or 'a thread'} free"
                self._untold.append(Progress(job.uid, job.attempts, 0.0, message))

    def cancel(self, uid: str) -> None:
        with self._changed:
            attempt = self._attempts.get(uid)
            now = time.monotonic()
            if attempt is None or now < attempt.cancel_asked_at + _SECONDS_BEFORE_ASKING_AGAIN:
                return
            attempt.cancel_asked_at = now
            if attempt.worker is None:
                self._end(Cancelled(uid, attempt.job.attempts))
            elif self._connection:
                self._connection.cancel(uid, attempt.job.attempts, attempt.worker)

    def updates(self, timeout: float) -> list[Update]:
        with self._changed:
            self._changed.wait_for(lambda: self._untold or self._woken, timeout)
            self._woken = False
            told, self._untold = self._untold, []
            return told

    def wake(self) -> None:
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    def close(self) -> None:
        self._closed = True
        with self._changed:
            for uid in list(self._attempts):
                self.cancel(uid)
            self._changed.wait_for(lambda: not self._attempts, _SECONDS_TO_STOP)
        if self._connection:
            self._connection.close()
            self._connection = None
        self.connection_lost("the executor was closed")

    # --- what the connection tells, from its thread -------------------------------------------------------------------

    def worker_joined(self, worker: RosterWorker) -> None:
        with self._changed:
            self._roster.join(worker)
            self._assign()
            self.wake()

    def in_trouble(self, reason: str) -> None:
        with self._changed:
            self._trouble = reason

    def worker_left(self, address: str) -> None:
        with self._changed:
            for uid in self._roster.leave(address):
                self._end_hindered(self._attempts[uid], f"the Dask worker {address} was lost while the job ran")

    def connection_lost(self, reason: str) -> None:
        with self._changed:
            self._roster.clear()
            for attempt in list(self._attempts.values()):
                self._end_hindered(attempt, reason)

    def told(self, update: Update) -> None:
        with self._changed:
            if not self._is_current(update.uid, update.attempt):
                return
            if isinstance(update, Progress):
                self._untold.append(update)
                self._changed.notify_all()
            else:
                self._end(update)

    def ended_without_answer(self, uid: str, attempt: int, reason: str) -> None:
        with self._changed:
            if self._is_current(uid, attempt):
                self._end_hindered(self._attempts[uid], reason)

    # --- with the lock held -------------------------------------------------------------------------------------------

    def _is_current(self, uid: str, attempt: int) -> bool:
        return uid in self._attempts and self._attempts[uid].job.attempts == attempt

    def _end(self, update: Update) -> None:
        attempt = self._attempts.pop(update.uid)
        if attempt.worker and self._connection and isinstance(update, Hindered | Cancelled):
            self._connection.release(update.uid)
        self._roster.give_back(update.uid)
        self._untold.append(update)
        self._assign()
        self._changed.notify_all()

    def _end_hindered(self, attempt: _Attempt, reason: str) -> None:
        self._end(Hindered(attempt.job.uid, attempt.job.attempts, WorkerLost.code, reason))

    def _assign(self) -> None:
        """Bring those that wait to workers that are free for them, in the order in which they were started."""
        for uid, attempt in self._attempts.items():
            if attempt.worker is None and self._connection and not self._closed:
                attempt.worker = self._roster.take(uid, attempt.resources)
                if attempt.worker:
                    self._connection.run(attempt.job, attempt.worker, attempt.resources)
