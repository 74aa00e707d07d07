"""The way to a Dask cluster and back: finds its workers, brings them jobs, hears of them, and finds it again."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import secrets
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Protocol, TypeVarTuple

import msgspec
from distributed import Client, Future, Security, wait

from dlp_lab.jobs.dask_own_cluster import own_cluster
from dlp_lab.jobs.dask_roster import RosterWorker
from dlp_lab.jobs.dask_settings import DaskSettings
from dlp_lab.jobs.dask_worker import HostReport, JobHost, cancel_attempt, close_host, open_host, run_attempt
from dlp_lab.jobs.job import Job
from dlp_lab.jobs.updates import Update
from dlp_lab.jobs.worker_policy import WorkerPolicy
from dlp_lab.store.workspace import Workspace

_TOPIC_OF_WORKERS = "all"
_SECONDS_TO_CONNECT = 3.0
_SECONDS_BETWEEN_LOOKS = 0.2
_SECONDS_FOR_WORKER = 30.0
_SECONDS_BETWEEN_QUESTIONS = 1.0
_SECONDS_TO_CLOSE = 0.7
_LONGEST_PAUSE_SECONDS = 15.0

_log = logging.getLogger(__name__)

Arguments = TypeVarTuple("Arguments")


class Listener(Protocol):
    """Is told what happens, by the thread of the connection."""

    def worker_joined(self, worker: RosterWorker) -> None: ...

    def worker_left(self, address: str) -> None: ...

    def told(self, update: Update) -> None: ...

    def ended_without_answer(self, uid: str, attempt: int, reason: str) -> None: ...

    def connection_lost(self, reason: str) -> None: ...

    def in_trouble(self, reason: str) -> None: ...


class DaskConnection:
    """A thread that keeps in touch with a cluster until it is closed; where it is lost, it is looked for again.

    Args:
        workspace: Root and output folder; every worker must see them at the same path.
        settings: Which cluster.
        slots: How many jobs run at once in a cluster of our own.
        job_seconds: How long an attempt at a job may run.
        policy: What the processes of the jobs may take, and how long they are kept.
        listener: Who is told; `in_trouble` says why there is no worker, for as long as there is none.
    """

    def __init__(
        self,
        workspace: Workspace,
        settings: DaskSettings,
        slots: int,
        job_seconds: float | None,
        policy: WorkerPolicy,
        listener: Listener,
    ) -> None:
        self._workspace = workspace
        self._settings = settings
        self._slots = slots
        self._job_seconds = job_seconds
        self._policy = policy
        self._listener = listener
        place = f"{workspace.root}\0{workspace.output}".encode()
        self._host_name = f"dlp-lab-{hashlib.sha256(place).hexdigest()[:16]}"
        self._session = f"dlp-lab-{secrets.token_hex(8)}"
        self._token = secrets.token_hex(16)
        self._client: Client | None = None
        self._hosts: set[str] = set()
        self._opening: dict[str, asyncio.Task[None]] = {}
        self._following: dict[str, asyncio.Task[None]] = {}
        self._cancelling: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._task = self._loop.create_task(self._stay_connected())
        self._thread = threading.Thread(target=self._work, name="dlp-lab-dask", daemon=True)
        self._thread.start()

    def run(self, job: Job, worker: RosterWorker, resources: Mapping[str, float]) -> None:
        """Bring a job to a worker; returns at once."""
        self._soon(self._run, job, worker, resources)

    def cancel(self, uid: str, attempt: int, worker: RosterWorker) -> None:
        """Ask a worker to end an attempt; returns at once."""
        self._soon(self._cancel, uid, attempt, worker)

    def release(self, uid: str) -> None:
        """Let go of a job that has no worker any more, or did not begin; returns at once."""
        self._soon(self._release, uid)

    def close(self) -> None:
        """Stop what still runs and part from the cluster; waits a few seconds for it."""
        self._soon(self._task.cancel)
        self._thread.join()

    def _soon(self, action: Callable[[*Arguments], object], *arguments: *Arguments) -> None:
        with contextlib.suppress(RuntimeError):  # it is closed
            self._loop.call_soon_threadsafe(action, *arguments)

    # --- in the thread ------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._task)
        except asyncio.CancelledError:
            pass
        except Exception as error:
            _log.exception("no jobs run on Dask any more, until the server is started again")
            reason = f"the way to the Dask cluster broke ({type(error).__name__})"
            self._listener.in_trouble(f"{reason}; start the server again")
            self._listener.connection_lost(reason)
        finally:
            self._loop.close()

    async def _stay_connected(self) -> None:
        async with contextlib.AsyncExitStack() as at_end:
            scheduler, security = self._settings.scheduler, self._settings.security()
            if not scheduler:
                scheduler = await at_end.enter_async_context(own_cluster(self._slots, security))
            self._share_token(os.O_TRUNC)  # instead of that of an executor before
            failures = 0
            while True:
                try:
                    async with _client(scheduler, security) as client:
                        failures = 0
                        await self._work_with(client)
                except Exception as error:  # whatever it is, it may be better soon
                    self._listener.in_trouble(f"no Dask scheduler answers at {scheduler}; jobs wait until one does")
                    if failures == 0:
                        _log.warning("no Dask scheduler answers at %s (%s); jobs wait until one does", scheduler, error)
                    failures += 1
                await asyncio.sleep(min(_LONGEST_PAUSE_SECONDS, 0.25 * 2 ** min(failures, 8)))

    def _share_token(self, flag: int) -> None:
        self._workspace.create()
        flags = os.O_CREAT | os.O_WRONLY | os.O_NOFOLLOW | flag
        with open(os.open(self._workspace.sharing_token, flags, 0o600), "w") as file:
            file.write(self._token)

    async def _work_with(self, client: Client) -> None:
        """Bring jobs to the workers and hear of them until the connection is lost."""
        comm = client.scheduler_comm
        self._client = client
        try:
            client.subscribe_topic(self._session, self._hear)
            client.subscribe_topic(_TOPIC_OF_WORKERS, self._hear_of_worker)
            assert client.scheduler is not None  # it is connected
            identity = await client.scheduler.identity(n_workers=-1)
            _log.info("jobs run on the Dask cluster at %s", identity["address"])
            self._listener.in_trouble(
                "the Dask cluster has no worker for jobs; one may be starting, or was refused: see the server's log"
            )
            for address in identity["workers"]:
                self._open(address)
            # A client that lost its scheduler looks for it by itself; the tasks of before are then no longer its own.
            while client.status == "running" and client.scheduler_comm is comm:
                await asyncio.sleep(_SECONDS_BETWEEN_LOOKS)
            self._listener.in_trouble("the Dask scheduler is lost; jobs wait until one is there again")
            _log.warning(
                "the Dask scheduler at %s is lost; its jobs wait until one is there again", identity["address"]
            )
        except asyncio.CancelledError:
            with contextlib.suppress(Exception):
                client.unsubscribe_topic(_TOPIC_OF_WORKERS)  # else the scheduler tells us of our own end, in vain
                closing = client.run(
                    close_host, self._host_name, self._session, workers=list(self._hosts), on_error="ignore"
                )
                await asyncio.wait_for(closing, _SECONDS_TO_CLOSE)
            raise
        finally:
            self._client = None
            for task in (*self._opening.values(), *self._following.values()):
                task.cancel()
            self._hosts.clear()
            self._opening.clear()
            self._following.clear()
            self._listener.connection_lost("the Dask scheduler was lost")

    def _open(self, address: str) -> None:
        if address not in self._hosts and address not in self._opening:
            self._opening[address] = self._loop.create_task(self._open_host(address))

    async def _open_host(self, address: str) -> None:
        """Let a worker take part, if it can."""
        try:
            report = await self._report_of_host(address)
        except Exception as error:  # whatever a strange worker answers
            _log.warning(
                "the Dask worker %s gets no jobs, for it cannot load dlp-lab (%s); it needs the server's environment",
                address,
                type(error).__name__,
            )
            return
        finally:
            if self._opening.get(address) is asyncio.current_task():
                del self._opening[address]
        if refusal := report.refusal(self._workspace):
            _log.error("the Dask worker %s on %s gets no jobs: %s", address, report.host, refusal)
            return
        self._hosts.add(address)
        self._listener.worker_joined(RosterWorker(address, report.worker_id, report.threads, report.resources))

    async def _report_of_host(self, address: str) -> HostReport:
        workspace = self._workspace
        host = JobHost(
            self._session, str(workspace.root), workspace.output, self._token, self._job_seconds, self._policy
        )
        with contextlib.suppress(FileExistsError):
            self._share_token(os.O_EXCL)  # where the output folder is another one since
        while True:
            assert self._client is not None
            opening = self._client.run(open_host, self._host_name, host, workers=[address])
            try:
                replies = await asyncio.wait_for(opening, _SECONDS_FOR_WORKER)
            except OSError as error:  # also a TimeoutError; if the worker is gone, that is heard soon
                _log.info("the Dask worker %s does not answer (%s); it is asked again", address, type(error).__name__)
                await asyncio.sleep(_SECONDS_BETWEEN_QUESTIONS)
            else:
                return msgspec.json.decode(replies[address], type=HostReport)

    def _hear_of_worker(self, event: tuple[float, dict[str, Any]]) -> None:
        match event[1]:
            case {"action": "add-worker", "worker": str(address)}:
                self._open(address)
            case {"action": "remove-worker", "worker": str(address)}:
                if opening := self._opening.pop(address, None):
                    opening.cancel()
                self._hosts.discard(address)
                self._listener.worker_left(address)

    def _hear(self, event: tuple[float, str]) -> None:
        self._listener.told(msgspec.json.decode(event[1], type=Update))

    def _run(self, job: Job, worker: RosterWorker, resources: Mapping[str, float]) -> None:
        if self._client is None:
            return  # that it is lost was told
        try:
            future = self._client.submit(
                run_attempt,
                self._host_name,
                worker.worker_id,
                msgspec.json.encode(job),
                key=f"{self._session}-{job.uid}-{job.attempts}",
                pure=False,
                retries=0,
                workers=[worker.address],
                allow_other_workers=False,
                resources=dict(resources) or None,
            )
        except Exception as error:
            reason = f"the job could not be given to Dask ({type(error).__name__})"
            self._listener.ended_without_answer(job.uid, job.attempts, reason)
            return
        self._following[job.uid] = self._loop.create_task(self._follow(job.uid, job.attempts, future))

    async def _follow(self, uid: str, attempt: int, future: Future[None]) -> None:
        """Keep a Dask task until it ends. What it had to tell has then been heard, for it came by the same way."""
        with contextlib.suppress(Exception), future.client.as_current():
            await wait([future])  # and does not ask for its value, for it has none
        if self._following.get(uid) is asyncio.current_task():
            del self._following[uid]
        if future.cancelled():
            return  # for the scheduler is lost, which is told of all at once
        reason = f"the Dask worker ended the job without an answer (its task is {future.status})"
        self._listener.ended_without_answer(uid, attempt, reason)

    def _cancel(self, uid: str, attempt: int, worker: RosterWorker) -> None:
        if self._client is not None:
            cancelling = self._client.run(
                cancel_attempt, self._host_name, uid, attempt, workers=[worker.address], on_error="ignore"
            )
            task = self._loop.create_task(cancelling)
            self._cancelling.add(task)
            task.add_done_callback(self._forget_cancelling)

    def _forget_cancelling(self, task: asyncio.Task[None]) -> None:
        self._cancelling.discard(task)
        if not task.cancelled():
            task.exception()  # looked at, else asyncio logs it: that the worker is lost is told by itself

    def _release(self, uid: str) -> None:
        if following := self._following.pop(uid, None):
            following.cancel()  # with it goes the last that holds the future, and Dask forgets its task


@contextlib.asynccontextmanager
async def _client(scheduler: str, security: Security) -> AsyncIterator[Client]:
    client = Client(
        scheduler,
        security=security,
        timeout=_SECONDS_TO_CONNECT,
        asynchronous=True,
        set_as_default=False,
        name="dlp-lab",
    )
    try:
        yield await client
    finally:
        with contextlib.suppress(Exception):
            await asyncio.wait_for(client.close(), _SECONDS_TO_CLOSE)
