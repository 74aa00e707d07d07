"""Where the jobs of a workspace run, as set in a server's configuration or in the environment."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import msgspec

from dlp_lab.errors import ExecutorUnusable
from dlp_lab.jobs.executor import Executor
from dlp_lab.jobs.worker_policy import DEFAULT_NICENESS, LARGEST_NICENESS, WorkerPolicy
from dlp_lab.store.workspace import Workspace

EXECUTORS = ("local", "dask")


@dataclass(frozen=True)
class ExecutorSettings:
    """Which executor, what its processes may take, and for Dask which cluster.

    A notebook and the command line find them in the environment, as `DLP_LAB_EXECUTOR`, `DLP_LAB_DASK_SCHEDULER`,
    `DLP_LAB_DASK_CA_FILE`, `DLP_LAB_DASK_CERT_FILE`, `DLP_LAB_DASK_KEY_FILE`, `DLP_LAB_MAX_JOB_MEMORY_GIB` and
    `DLP_LAB_JOB_NICENESS`. A Jupyter server sets them for its kernels.

    Attributes:
        executor: "local": processes of this machine; "dask": the workers of a Dask cluster.
        dask_scheduler: Address of the cluster's scheduler; "" for a cluster of the server's own, on this machine.
        dask_ca_file, dask_cert_file, dask_key_file: PEM files for TLS; see `DaskSettings`.
        max_job_memory_gib: How much memory in GiB each process of a job may have, wherever it runs; 0 for no limit.
        job_niceness: Niceness of the processes of jobs, 0 to 19, wherever they run.

    Raises:
        ExecutorUnusable: There is no such executor, or that is no amount of memory or no niceness.
    """

    executor: str = "local"
    dask_scheduler: str = ""
    dask_ca_file: str = ""
    dask_cert_file: str = ""
    dask_key_file: str = ""
    max_job_memory_gib: float = 0.0
    job_niceness: int = DEFAULT_NICENESS

    def __post_init__(self) -> None:
        if self.executor not in EXECUTORS:
            raise ExecutorUnusable(f"there is no executor {self.executor!r}; there are: {', '.join(EXECUTORS)}")
        if not 0 <= self.max_job_memory_gib < math.inf:
            raise ExecutorUnusable(f"a job cannot have {self.max_job_memory_gib:g} GiB of memory; 0 is for no limit")
        if not 0 <= self.job_niceness <= LARGEST_NICENESS:
            raise ExecutorUnusable(f"the niceness of jobs is 0 to {LARGEST_NICENESS}, not {self.job_niceness}")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> ExecutorSettings:
        """What the environment says, and the defaults where it says nothing.

        Raises:
            ExecutorUnusable: It says what cannot be.
        """
        named = {field: f"DLP_LAB_{field.upper()}" for field in asdict(cls())}
        found = {field: environment[variable] for field, variable in named.items() if variable in environment}
        try:
            return msgspec.convert(found, cls, strict=False)
        except msgspec.ValidationError as error:
            raise ExecutorUnusable(f"the environment sets the executor wrongly: {error}") from error

    def to_environment(self) -> dict[str, str]:
        """The variables from which `from_environment` makes the same."""
        return {f"DLP_LAB_{name.upper()}": str(value) for name, value in asdict(self).items()}

    def new_executor(self, workspace: Workspace, slots: int, job_seconds: float | None) -> Executor:
        """The executor, idle.

        Args:
            workspace: Where the jobs read and write.
            slots: How many jobs run at once on this machine; a cluster elsewhere has its own number.
            job_seconds: How long an attempt at a job may run; None as long as it takes.

        Raises:
            ExecutorUnusable: It cannot be used with these settings, or is not installed.
        """
        policy = WorkerPolicy(memory_bytes=int(self.max_job_memory_gib * 2**30) or None, niceness=self.job_niceness)
        if self.executor == "local":
            from dlp_lab.jobs.local_executor import LocalExecutor

            return LocalExecutor(workspace, slots, job_seconds, policy)
        from dlp_lab.jobs.dask_executor import DaskExecutor
        from dlp_lab.jobs.dask_settings import DaskSettings

        settings = DaskSettings(self.dask_scheduler, self.dask_ca_file, self.dask_cert_file, self.dask_key_file)
        return DaskExecutor(workspace, settings, slots, job_seconds, policy)
