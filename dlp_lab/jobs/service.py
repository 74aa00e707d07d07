"""The queue of a workspace, for all doors: takes jobs in, tells of them, cancels, retries and forgets them.

Any number of processes may have a service on one workspace: a Jupyter server, its kernels, the command line. One of
them, the holder of a lock, starts the jobs of all; when it ends, however it ends, another takes over.
"""

from __future__ import annotations

import logging
import threading
from datetime import datetime

import msgspec

from dlp_lab.errors import ResultNotDeleted, ServerStopping
from dlp_lab.jobs.dispatcher import Dispatcher, Listener
from dlp_lab.jobs.dispatcher_lock import is_held
from dlp_lab.jobs.executor import Executor
from dlp_lab.jobs.executor_settings import ExecutorSettings
from dlp_lab.jobs.job import Job, JobList, JobLogPart, JobRequest, JobState
from dlp_lab.jobs.job_filter import ALL_JOBS, JobFilter
from dlp_lab.jobs.job_log import read_log_part
from dlp_lab.jobs.job_store import IdempotencyKey, JobStore
from dlp_lab.jobs.known_folders import KnownFolders
from dlp_lab.jobs.queue_limits import QueueLimits
from dlp_lab.jobs.slots import default_slots
from dlp_lab.jobs.stored_limits import store_limits, stored_limits
from dlp_lab.store.workspace import Workspace

_log = logging.getLogger(__name__)


class JobService:
    """The queue of a workspace. POSIX only, for its lock is `flock`.

    Args:
        workspace: Root and output folder; the output folder is made.
        slots: How many jobs may run at once, should this service be the one to start them.
        executor: Where they run; by default what the environment says (`ExecutorSettings`). The service closes it.
        limits: Beyond which nothing is taken, and what runs is stopped; kept beside the queue for who names none, to
            whom those of the server hold that was started last.
        dispatch: Whether this service may be the one to start jobs; otherwise it only looks after the queue.

    Raises:
        QueueUnusable: The output folder cannot be made or written, or the database is damaged or too new.
        DiskFull: There is no room for it.
        ExecutorUnusable: The environment names an executor that cannot be used.
    """

    def __init__(
        self,
        workspace: Workspace,
        *,
        slots: int | None = None,
        executor: Executor | None = None,
        limits: QueueLimits | None = None,
        dispatch: bool = True,
    ) -> None:
        workspace.create()
        self.workspace = workspace
        if limits is not None and dispatch:
            store_limits(workspace, limits)
        self._own_limits = limits
        self._known_folders = KnownFolders()
        self._store = JobStore(workspace.queue_database)
        self._dispatcher: Dispatcher | None = None
        self._closing = threading.Event()
        self._changed = threading.Condition()
        self._changes = 0
        if dispatch:
            if executor is None:
                settings = ExecutorSettings.from_environment()
                executor = settings.new_executor(workspace, slots or default_slots(), self._limits.job_seconds)
            self._dispatcher = Dispatcher(workspace, self._store, executor)
            self._dispatcher.add_listener(self._note_change)

    @property
    def _limits(self) -> QueueLimits:
        return self._own_limits or stored_limits(self.workspace)

    def submit(self, request: JobRequest, key: str | None = None, owner: str | None = None) -> Job:
        """Check a request and put it in the queue. What can be refused is refused now, not in an hour.

        Reads the headers of the input folder, so it may take a while.

        Args:
            request: What is asked.
            key: Idempotency key: the same request with the same key gives the job that there is already.
            owner: Who asks, on a server that several users share.

        Raises:
            UnknownTask, BadParameters, PathRefused, DicomError: See `checked_request`.
            MalformedRequest, IdempotencyKeyReused: The key is none, or came with another request.
            QueueFull, DiskFull, QueueUnusable, ServerStopping: The queue cannot take it now.
        """
        from dlp_lab.jobs.submission import checked_request  # loads pydicom, which who only looks at jobs need not have

        self._reopen_queue_if_replaced()
        named = None if key is None else IdempotencyKey.of(key, request, owner)
        if named is not None and (earlier := self._store.submitted_with(named)):
            return earlier
        limits = self._limits
        self._store.refuse_when_full(limits.max_queued, owner, limits.max_queued_of_owner)
        limits.refuse_when_disk_is_full(self.workspace)
        checked = checked_request(self.workspace, request, self._known_folders, self.refuse_when_closing)
        self.refuse_when_closing()
        self._reopen_queue_if_replaced()
        job = self._store.add(
            checked,
            named,
            owner=owner,
            max_queued=limits.max_queued,
            max_queued_of_owner=limits.max_queued_of_owner,
        )
        self._wake()
        _log.info("job %s queued: %s", job.uid, job.task)
        return job

    def refuse_when_closing(self) -> None:
        """Raises `ServerStopping` once the service is being closed; what takes long asks now and then."""
        if self._closing.is_set():
            raise ServerStopping("the server is about to stop; try again when it is back")

    def get(self, uid: str) -> Job:
        """The record of a job, as of now.

        Raises:
            NoSuchJob: There is none of that uid.
        """
        return self._store.get(uid)

    def newest(self, limit: int = 100, wanted: JobFilter = ALL_JOBS, before: str | None = None) -> JobList:
        """The jobs last submitted, newest first; see `JobStore.newest`."""
        jobs = self._store.newest(limit, wanted, before)
        older = self._store.count(wanted, jobs[-1].uid) if len(jobs) == limit else 0
        visible = JobFilter(visible_to=wanted.visible_to)
        return JobList(
            jobs=jobs,
            older=older,
            next_before=jobs[-1].uid if older else None,
            groups=self._store.count_groups({job.group for job in jobs if job.group is not None}, wanted.visible_to),
            running=self._store.count(msgspec.structs.replace(visible, states=("running",))),
            queued=self._store.count(msgspec.structs.replace(visible, states=("queued",))),
        )

    def count_by_state(self) -> dict[JobState, int]:
        """How many jobs there are in each state."""
        return self._store.count_by_state()

    def cancel(self, uid: str) -> Job:
        """Cancel a job: at once when it waits; a running one stops within a few seconds.

        Raises:
            NoSuchJob: There is none of that uid.
            JobAlreadyEnded: It has ended.
        """
        job = self._store.request_cancel(uid)
        self._wake()
        _log.info("job %s: cancellation asked for", uid)
        return job

    def retry(self, uid: str) -> Job:
        """Put a job that failed or was cancelled in the queue again.

        Raises:
            NoSuchJob: There is none of that uid.
            JobNotFailed: It waits, runs or has succeeded.
            QueueFull, DiskFull: The queue cannot take it now.
        """
        self._reopen_queue_if_replaced()
        limits = self._limits
        limits.refuse_when_disk_is_full(self.workspace)
        job = self._store.retry(uid, max_queued=limits.max_queued, max_queued_of_owner=limits.max_queued_of_owner)
        self._wake()
        _log.info("job %s: to be tried again", uid)
        return job

    def remove(self, uid: str, *, with_result: bool = False) -> None:
        """Forget a job that has ended, and its log; with `with_result` also its result.

        Raises:
            NoSuchJob: There is none of that uid.
            JobNotEnded: It waits or runs.
            ResultNotDeleted: The result cannot be deleted; the job is not forgotten, so that it can be asked again.
        """
        # A job that has succeeded stays what it is. Any other may meanwhile be tried again, and write its result.
        if with_result and self._store.get(uid).state == "succeeded" and not self.workspace.remove_result(uid):
            raise ResultNotDeleted(
                "the result cannot be deleted, or not all of it; delete its folder by hand, then remove the job"
            )
        self._store.remove(uid)
        self.workspace.job_log(uid).unlink(missing_ok=True)
        if with_result:
            self.workspace.remove_result(uid)  # what attempts that failed left
        _log.info("job %s removed", uid)

    def ended_before(self, when: datetime) -> list[Job]:
        """Jobs that ended before a moment, oldest first."""
        return self._store.ended_before(when)

    def log_part(self, uid: str, offset: int) -> JobLogPart:
        """What a job printed from a byte on, up to 64 KiB.

        Raises:
            NoSuchJob: There is none of that uid.
        """
        self._store.get(uid)
        return read_log_part(self.workspace.job_log(uid), offset)

    def revision(self) -> int:
        """Number of the latest change of any job, from which `changed_since` goes on."""
        return self._store.revision()

    def changed_since(self, revision: int) -> tuple[int, list[Job]]:
        """Jobs that any process changed after `revision`, and the revision they bring: one question for any number."""
        return self._store.changed_since(revision)

    def add_listener(self, listener: Listener) -> None:
        """Call `listener` with the record of each job that any process changes, from a thread of the service."""
        if self._dispatcher is None:
            raise ValueError("a service that only looks after the queue hears of no changes")
        self._dispatcher.add_listener(listener)

    @property
    def changes(self) -> int:
        """How many changes of jobs this service has heard of, for `wait_for_change`."""
        return self._changes

    def wait_for_change(self, known: int, seconds: float) -> int:
        """Wait until this service has heard of other changes than those known, at most so long.

        One that only looks after the queue hears of none.

        Returns:
            `changes` as of now; whoever looks at the jobs after it was asked for misses nothing.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._changes != known, seconds)
            return self._changes

    def _note_change(self, _: Job) -> None:
        with self._changed:
            self._changes += 1
            self._changed.notify_all()

    @property
    def dispatches(self) -> bool:
        """Whether this service is the one that starts the workspace's jobs."""
        return self._dispatcher is not None and self._dispatcher.is_at_work

    def has_dispatcher(self) -> bool:
        """Whether any process starts the workspace's jobs at this moment."""
        return self.dispatches or is_held(self.workspace.dispatcher_lock)

    def trouble(self) -> str | None:
        """Why no job can be started for now, where this service starts them; None where no reason is known."""
        return self._dispatcher.trouble() if self._dispatcher is not None else None

    def close(self) -> None:
        """Stop working. Jobs that run here are stopped and wait in the queue for the next service."""
        if self._closing.is_set():
            return
        self._closing.set()
        if self._dispatcher is not None:
            self._dispatcher.close()
        self._store.close()

    def _wake(self) -> None:
        if self._dispatcher is not None:
            self._dispatcher.wake()

    def _reopen_queue_if_replaced(self) -> None:
        if self._dispatcher is not None:
            self._dispatcher.reopen_queue_if_replaced()
        elif not self._store.is_in_place():
            self.workspace.create()
            self._store.reopen()
