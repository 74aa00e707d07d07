"""The queue at work: takes jobs in, starts them in order, records what becomes of them, tells who listens.

Any number of processes may have a service on one workspace: a Jupyter server, its kernels, the command line. One of
them, the holder of a lock, starts the jobs of all; when it ends, however it ends, another takes over.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable

import msgspec

from dlp_lab.dicom.folder import find_series
from dlp_lab.dicom.series import choose_series
from dlp_lab.dicom.write_derived import refuse_form
from dlp_lab.errors import DlpError, ServerStopped, ServerStopping, WorkerCrashed
from dlp_lab.jobs.dispatcher_lock import DispatcherLock
from dlp_lab.jobs.executors import Executor, LocalExecutor
from dlp_lab.jobs.job import Job, JobRequest
from dlp_lab.jobs.job_store import JobStore
from dlp_lab.jobs.slots import default_slots
from dlp_lab.jobs.updates import Cancelled, Crashed, Failed, Progress, Succeeded, Update
from dlp_lab.store.workspace import Workspace
from dlp_lab.tasks import task_named

ATTEMPTS_AFTER_CRASH = 2
ATTEMPTS_AFTER_SERVER_STOP = 3

_POLL_SECONDS = 0.2
_SECONDS_AFTER_ERROR = 1.0

Listener = Callable[[Job], None]

_log = logging.getLogger(__name__)


class JobService:
    """The queue of a workspace. POSIX only, for its lock is `flock`.

    Args:
        workspace: Root and output folder; the output folder is made.
        slots: How many jobs may run at once, should this service be the one to start them.
        executor: Where they run; on this machine by default. The service closes it.

    Raises:
        QueueUnusable: The output folder cannot be made or written, or the database is damaged or too new.
        DiskFull: There is no room for it.
    """

    def __init__(self, workspace: Workspace, *, slots: int | None = None, executor: Executor | None = None) -> None:
        workspace.create()
        self.workspace = workspace
        self._lock = DispatcherLock(workspace.dispatcher_lock)
        try:
            self._store = JobStore(workspace.queue_database)
        except DlpError:
            self._lock.close()
            raise
        self._executor = executor or LocalExecutor(workspace, slots or default_slots())
        self._worked_on = self._store.identity
        self._at_work: set[str] = set()
        # held while jobs are started: a submission must not exchange the queue for one whose lock is not held
        self._same_queue = threading.RLock()
        self._listeners: list[Listener] = []
        self._told_revision = self._store.revision()
        self._unrecorded: list[Update] = []
        self._closing = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="dlp-lab-jobs", daemon=True)
        self._thread.start()

    # --- for the doors ------------------------------------------------------------------------------------------------

    def submit(self, request: JobRequest) -> Job:
        """Check a request and put it in the queue. What can be refused is refused now, not in an hour.

        Reads the headers of the input folder, so it may take a while.

        Raises:
            UnknownTask: No such task is installed.
            BadParameters: The parameters do not fit it.
            PathRefused: The input folder does not exist or leaves the root.
            DicomError: It holds no series that can be processed, or none that can be written in the form asked for.
            DiskFull, QueueUnusable, ServerStopping: The queue cannot take it now.
        """
        task = task_named(request.task).from_params(request.params)
        folder = self.workspace.input_folder(request.input_dir)
        scan = find_series(folder, self.workspace.root, self.workspace.output_folder, self._refuse_when_closing)
        series = choose_series(scan, request.read)
        task.check(series.geometry)
        refuse_form(request.output_form, series)
        checked = msgspec.structs.replace(request, input_dir=self.workspace.relative(folder), params=task.params())
        self._refuse_when_closing()
        self._reopen_queue_if_replaced()
        job = self._store.add(checked)
        self._executor.wake()
        _log.info("job %s queued: %s", job.uid, job.task)
        return job

    def _refuse_when_closing(self) -> None:
        if self._closing.is_set():
            raise ServerStopping("the server is about to stop; submit again when it is back")

    def get(self, uid: str) -> Job:
        """The record of a job, as of now.

        Raises:
            NoSuchJob: There is none of that uid.
        """
        return self._store.get(uid)

    def newest(self, limit: int = 100) -> list[Job]:
        """The jobs last submitted, newest first."""
        return self._store.newest(limit)

    def count(self) -> int:
        """How many jobs there are."""
        return self._store.count()

    def cancel(self, uid: str) -> Job:
        """Cancel a job: at once when it waits; a running one stops within a few seconds.

        Raises:
            NoSuchJob: There is none of that uid.
            JobAlreadyEnded: It has ended.
        """
        job = self._store.request_cancel(uid)
        self._executor.wake()
        _log.info("job %s: cancellation asked for", uid)
        return job

    def add_listener(self, listener: Listener) -> None:
        """Call `listener` with the record of each job that any process changes, from a thread of the service."""
        self._listeners.append(listener)

    @property
    def dispatches(self) -> bool:
        """Whether this service is the one that starts the workspace's jobs."""
        return self._lock.held

    def close(self) -> None:
        """Stop working. Jobs that run here are stopped and wait in the queue for the next service."""
        if self._closed:
            return
        self._closed = True
        self._closing.set()
        self._executor.wake()
        self._thread.join()
        self._store.close()
        self._lock.close()

    # --- the thread ---------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        is_in_trouble = False
        while not self._closing.is_set():
            try:
                self._work_once()
                is_in_trouble = False
            except (sqlite3.Error, OSError, DlpError):
                # a full disk or a database locked for long: nothing is lost, and it may be better soon
                if not is_in_trouble:
                    _log.exception("the queue could not be worked on; trying again every second")
                is_in_trouble = True
                self._closing.wait(_SECONDS_AFTER_ERROR)
        try:
            self._stop_dispatching()
        except (sqlite3.Error, OSError, DlpError):
            _log.exception("jobs could not be put back in the queue; the next service will find them")

    def _work_once(self) -> None:
        self._unrecorded.extend(self._executor.updates(_POLL_SECONDS))
        with self._same_queue:
            self._follow_moved_files()
            if not self._lock.held:
                self._try_to_dispatch()
            if self._lock.held and not self._closing.is_set():
                self._dispatch()
            self._tell_listeners()

    def _dispatch(self) -> None:
        self._record_updates()
        for uid in self._store.cancel_requests():
            self._executor.cancel(uid)
        while self._executor.free_slots() > 0 and (job := self._store.claim_next()):
            _log.info("job %s: attempt %d starts", job.uid, job.attempts)
            self._at_work.add(job.uid)
            self._executor.start(job)

    def _reopen_queue_if_replaced(self) -> None:
        """What is written to a queue whose folder was removed or renamed would be lost, without an error."""
        with self._same_queue:
            if not self._store.is_in_place():
                self.workspace.create()
                self._store.reopen()

    def _follow_moved_files(self) -> None:
        """Go on with the queue that is in the output folder now. The jobs of the one that was there are stopped."""
        self._reopen_queue_if_replaced()
        if self._store.identity == self._worked_on and self._lock.is_in_place():
            return
        _log.warning("the output folder was removed, renamed or replaced; the queue that is there now is worked on")
        self._lock.reopen()
        for uid in self._at_work:
            self._executor.cancel(uid)
        self._told_revision = self._store.revision()
        self._worked_on = self._store.identity

    def _try_to_dispatch(self) -> None:
        if not self._lock.take():
            return
        try:
            self._take_over()
        except BaseException:
            self._lock.give_up()  # so that it is tried again
            raise

    def _take_over(self) -> None:
        for job in self._store.running():
            reason = f"the server stopped while the job was running ({ATTEMPTS_AFTER_SERVER_STOP} times)"
            self._store.record_crash(
                job.uid, job.attempts, ServerStopped.code, reason, attempts_allowed=ATTEMPTS_AFTER_SERVER_STOP
            )
            _log.warning("job %s was left running by a server that stopped", job.uid)
        self._executor.prepare()

    def _stop_dispatching(self) -> None:
        self._executor.close()
        if not self._lock.held:
            return
        self._unrecorded.extend(self._executor.updates(0))
        # that they were stopped is no answer of theirs
        self._unrecorded = [update for update in self._unrecorded if not isinstance(update, Cancelled | Crashed)]
        self._record_updates()
        for job in self._store.running():
            self.workspace.remove_result(job.uid)
            self._store.put_back(job.uid, job.attempts)
        self._lock.give_up()

    def _record_updates(self) -> None:
        while self._unrecorded:
            # taken off the list only when it is recorded, for recording may fail
            self._record(self._unrecorded[0])
            del self._unrecorded[0]

    def _record(self, update: Update) -> None:
        uid, attempt = update.uid, update.attempt
        match update:
            case Progress(fraction=fraction, message=message):
                self._store.set_progress(uid, attempt, fraction, message)
                return
            case Succeeded(warnings=warnings):
                output_dir = self.workspace.relative(self.workspace.job_folder(uid))
                self._store.finish(uid, attempt, "succeeded", "done", output_dir=output_dir, warnings=warnings)
            case Failed(code=code, message=message):
                self.workspace.remove_result(uid)
                self._store.finish(uid, attempt, "failed", message, error_code=code)
            case Cancelled():
                self.workspace.remove_result(uid)
                self._store.finish(uid, attempt, "cancelled", "cancelled")
            case Crashed(reason=reason):
                self.workspace.remove_result(uid)
                self._store.record_crash(
                    uid, attempt, WorkerCrashed.code, reason, attempts_allowed=ATTEMPTS_AFTER_CRASH
                )
        self._at_work.discard(uid)
        _log.info("job %s: attempt %d %s", uid, attempt, type(update).__name__.lower())

    def _tell_listeners(self) -> None:
        revision, jobs = self._store.changed_since(self._told_revision)
        self._told_revision = revision
        for job in jobs:
            for listener in list(self._listeners):
                try:
                    listener(job)
                except Exception:  # a listener's defect must not stop the queue
                    _log.exception("a listener failed")
