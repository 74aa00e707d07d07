"""Where the jobs of a workspace run, as set in a server's configuration or in the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from dlp_lab.errors import ExecutorUnusable
from dlp_lab.jobs.executor import Executor
from dlp_lab.store.workspace import Workspace

EXECUTORS = ("local", "dask")


@dataclass(frozen=True)
class ExecutorSettings:
    """Which executor, and for Dask which cluster.

    A notebook and the command line find them in the environment, as `DLP_LAB_EXECUTOR`, `DLP_LAB_DASK_SCHEDULER`,
    `DLP_LAB_DASK_CA_FILE`, `DLP_LAB_DASK_CERT_FILE` and `DLP_LAB_DASK_KEY_FILE`. A Jupyter server sets them for its
    kernels.

    Attributes:
        executor: "local": processes of this machine; "dask": the workers of a Dask cluster.
        dask_scheduler: Address of the cluster's scheduler; "" for a cluster of the server's own, on this machine.
        dask_ca_file, dask_cert_file, dask_key_file: PEM files for TLS; see `DaskSettings`.

    Raises:
        ExecutorUnusable: There is no such executor.
    """

    executor: str = "local"
    dask_scheduler: str = ""
    dask_ca_file: str = ""
    dask_cert_file: str = ""
    dask_key_file: str = ""

    def __post_init__(self) -> None:
        if self.executor not in EXECUTORS:
            raise ExecutorUnusable(f"there is no executor {self.executor!r}; there are: {', '.join(EXECUTORS)}")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> ExecutorSettings:
        """What the environment says, and the defaults where it says nothing."""
        named = {name: f"DLP_LAB_{name.upper()}" for name in asdict(cls())}
        return cls(**{name: environment[variable] for name, variable in named.items() if variable in environment})

    def to_environment(self) -> dict[str, str]:
        """The variables from which `from_environment` makes the same."""
        return {f"DLP_LAB_{name.upper()}": value for name, value in asdict(self).items()}

    def new_executor(self, workspace: Workspace, slots: int, job_seconds: float | None) -> Executor:
        """The executor, idle.

        Args:
            workspace: Where the jobs read and write.
            slots: How many jobs run at once on this machine; a cluster elsewhere has its own number.
            job_seconds: How long an attempt at a job may run; None as long as it takes.

        Raises:
            ExecutorUnusable: It cannot be used with these settings, or is not installed.
        """
        if self.executor == "local":
            from dlp_lab.jobs.local_executor import LocalExecutor

            return LocalExecutor(workspace, slots, job_seconds)
        from dlp_lab.jobs.dask_executor import DaskExecutor
        from dlp_lab.jobs.dask_settings import DaskSettings

        settings = DaskSettings(self.dask_scheduler, self.dask_ca_file, self.dask_cert_file, self.dask_key_file)
        return DaskExecutor(workspace, settings, slots, job_seconds)
