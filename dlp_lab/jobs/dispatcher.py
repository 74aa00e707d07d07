"""The queue at work: starts jobs in order, records what becomes of them, tells who listens.

Each process that has a service has a dispatcher; the one that holds the workspace's lock starts the jobs of all.
"""

from __future__ import annotations

import errno
import logging
import math
import sqlite3
import threading
import time
from collections.abc import Callable

from dlp_lab.errors import DlpError, ServerStopped, WorkerCrashed
from dlp_lab.jobs.dispatcher_lock import DispatcherLock
from dlp_lab.jobs.executor import Executor
from dlp_lab.jobs.job import Job
from dlp_lab.jobs.job_store import JobStore
from dlp_lab.jobs.updates import Cancelled, Crashed, Failed, Hindered, Progress, Succeeded, Update
from dlp_lab.store.workspace import Workspace

ATTEMPTS_AFTER_CRASH = 2
ATTEMPTS_AFTER_SERVER_STOP = 3

_POLL_SECONDS = 0.2
_SECONDS_AFTER_ERROR = 1.0
_TOLD_AT_ONCE = 200

Listener = Callable[[Job], None]

_log = logging.getLogger(__name__)


class Dispatcher:
    """A thread that works on the queue until it is closed.

    Args:
        workspace: Root and output folder.
        store: The queue; its owner closes it, after the dispatcher.
        executor: Where jobs run; the dispatcher closes it.
    """

    def __init__(self, workspace: Workspace, store: JobStore, executor: Executor) -> None:
        self._workspace = workspace
        self._store = store
        self._executor = executor
        self._lock = DispatcherLock(workspace.dispatcher_lock)
        self._worked_on = store.identity
        self._at_work: set[str] = set()
        self._told_trouble = ""
        self._start_after = -math.inf
        self._failed_starts = 0
        self._why_not_started = ""
        # held while jobs are started: a submission must not exchange the queue for one whose lock is not held
        self._same_queue = threading.RLock()
        self._listeners: list[Listener] = []
        self._told_revision = store.revision()
        self._unrecorded: list[Update] = []
        self._not_started: list[tuple[Job, str]] = []
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name="dlp-lab-jobs", daemon=True)
        self._thread.start()

    @property
    def is_at_work(self) -> bool:
        """Whether it is the one that starts the workspace's jobs."""
        return self._lock.held

    def trouble(self) -> str | None:
        """Why no job can be started for now, where it is the one that starts them; None where nothing is wrong."""
        return self._executor.trouble() if self._lock.held else None

    def add_listener(self, listener: Listener) -> None:
        """Call `listener` with the record of each job that any process changes, from the dispatcher's thread."""
        self._listeners.append(listener)

    def wake(self) -> None:
        """There is something to do."""
        self._executor.wake()

    def close(self) -> None:
        """Stop working; jobs that run here are stopped and wait in the queue."""
        self._closing.set()
        self._executor.wake()
        self._thread.join()
        self._lock.close()

    def reopen_queue_if_replaced(self) -> None:
        """What is written to a queue whose folder was removed or renamed would be lost, without an error."""
        with self._same_queue:
            if not self._store.is_in_place():
                self._workspace.create()
                self._store.reopen()

    def _work(self) -> None:
        is_in_trouble = False
        while not self._closing.is_set():
            try:
                self._work_once()
                is_in_trouble = False
            except Exception:
                # a full disk, a database locked for long, a defect: nothing is lost, and it may be better soon; a
                # thread that ends would keep the lock, and with it all others from the queue
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
        self._put_back_not_started()
        for uid in self._store.cancel_requests():
            self._executor.cancel(uid)
        self._tell_trouble()
        while self._may_start() and (job := self._store.claim_next()):
            _log.info("job %s: attempt %d starts", job.uid, job.attempts)
            try:
                self._executor.start(job)
                self._at_work.add(job.uid)
                self._failed_starts, self._why_not_started = 0, ""
            except Exception as error:  # OSError, as agreed; after any other the job would be left running for ever
                # no fault of the job: to call it crashed would fail one job after the other, the whole queue
                if self._why_not_started != _why(error):  # said once, for it is tried again and again
                    self._why_not_started = _why(error)
                    _log.warning("no job can be started for now: %s", self._why_not_started)
                delay = _SECONDS_AFTER_ERROR * 5 ** min(self._failed_starts, 2)
                self._failed_starts += 1
                self._start_after = time.monotonic() + delay
                self._not_started.append(
                    (job, f"no process can be started ({_why(error)}); tried again in {delay:g} s")
                )
                self._put_back_not_started()

    def _tell_trouble(self) -> None:
        trouble = self._executor.trouble() or ""
        if self._told_trouble != trouble:
            if self._told_trouble:
                self._store.exchange_message(self._told_trouble, "waiting")
            self._told_trouble = trouble
        if trouble:
            self._store.set_message_of_next(trouble)

    def _put_back_not_started(self) -> None:
        while self._not_started:
            # taken off the list only when it is recorded, for recording may fail
            job, message = self._not_started[0]
            self._store.put_back(job.uid, job.attempts, message)
            del self._not_started[0]

    def _may_start(self) -> bool:
        return self._executor.free_slots() > 0 and time.monotonic() >= self._start_after

    def _follow_moved_files(self) -> None:
        """Go on with the queue that is in the output folder now. The jobs of the one that was there are stopped."""
        self.reopen_queue_if_replaced()
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
            self._workspace.remove_result(job.uid)
            reason = f"the server stopped while the job was running ({ATTEMPTS_AFTER_SERVER_STOP} times)"
            self._store.record_server_stop(
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
        self._unrecorded = [
            update for update in self._unrecorded if not isinstance(update, Cancelled | Crashed | Hindered)
        ]
        self._record_updates()
        for job in self._store.running():
            self._workspace.remove_result(job.uid)
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
                output_dir = self._workspace.relative(self._workspace.job_folder(uid))
                self._store.finish(uid, attempt, "succeeded", "done", output_dir=output_dir, warnings=warnings)
            case Failed(code=code, message=message):
                self._workspace.remove_result(uid)
                self._store.finish(uid, attempt, "failed", message, error_code=code)
            case Cancelled():
                self._workspace.remove_result(uid)
                self._store.finish(uid, attempt, "cancelled", "cancelled")
            case Crashed(reason=reason):
                self._workspace.remove_result(uid)
                self._store.record_crash(
                    uid, attempt, WorkerCrashed.code, reason, attempts_allowed=ATTEMPTS_AFTER_CRASH
                )
            case Hindered(code=code, message=message):
                self._workspace.remove_result(uid)
                self._store.record_hindrance(uid, attempt, code, message)
        self._at_work.discard(uid)
        _log.info("job %s: attempt %d %s", uid, attempt, type(update).__name__.lower())

    def _tell_listeners(self) -> None:
        jobs: list[Job] | None = None
        while jobs is None or len(jobs) >= _TOLD_AT_ONCE:  # who submits ten thousand should not fill our memory
            self._told_revision, jobs = self._store.changed_since(self._told_revision, _TOLD_AT_ONCE)
            for job in jobs:
                for listener in list(self._listeners):
                    try:
                        listener(job)
                    except Exception:  # a listener's defect must not stop the queue
                        _log.exception("a listener failed")


def _why(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno == errno.EMFILE:
        return "too many open files; raise their limit (ulimit -n) and start again"
    return (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
