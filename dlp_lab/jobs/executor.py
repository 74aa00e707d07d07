"""What runs claimed jobs, wherever it runs them."""

from __future__ import annotations

from typing import Protocol

from dlp_lab.jobs.job import Job
from dlp_lab.jobs.updates import Update


class Executor(Protocol):
    """Runs claimed jobs, no two at once in one process. `tests/contracts/executor_contract.py` checks:

    * One thread calls all methods, except `wake` and `trouble`, which any thread may call.
    * `prepare` may be called before the first `start`, to make it quick. It does not wait.
    * `free_slots` is how many more jobs may be started now; it is never below 0.
    * `trouble` says why no job can be started for now, for people, where that is not for jobs at work; else None.
    * `start` returns at once; the job's attempt is the pair of its `uid` and `attempts`. It raises `OSError` when no
      job can be started now, for want of memory or files; then there is no attempt, and no ending to tell.
    * `updates` waits up to `timeout` seconds for something to tell, and tells it: any number of `Progress`, then
      exactly one ending for every job started. When the ending is told, no process of the job is left.
    * `Hindered` is the ending of an attempt that failed through no fault of the job; the queue tries it again later.
    * `cancel` asks for an end; it returns at once, may be repeated, and ignores jobs it does not run. A job that had
      answered before is not `Cancelled`.
    * `close` stops all jobs within a few seconds, and may be repeated; `updates(0)` tells their endings afterwards.
    """

    def prepare(self) -> None: ...

    def free_slots(self) -> int: ...

    def trouble(self) -> str | None: ...

    def start(self, job: Job) -> None: ...

    def cancel(self, uid: str) -> None: ...

    def updates(self, timeout: float) -> list[Update]: ...

    def wake(self) -> None: ...

    def close(self) -> None: ...
