"""The executor on real Dask clusters, on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("distributed")

from distributed import LocalCluster

from dlp_lab.jobs.dask_executor import DaskExecutor
from dlp_lab.jobs.dask_settings import DaskSettings
from dlp_lab.store.workspace import Workspace
from tests.contracts.executor_contract import ExecutorContract
from tests.jobs.waiting import wait_until


@pytest.fixture(scope="module")
def cluster(probe_package: Path) -> Iterator[LocalCluster]:
    """Two workers, in processes of their own, of one thread each."""
    with LocalCluster(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None, memory_limit=0
    ) as cluster:
        yield cluster


def connected(executor: DaskExecutor, slots: int = 2) -> DaskExecutor:
    executor.prepare()
    wait_until(lambda: executor.free_slots() == slots)
    executor.updates(0)
    return executor


class TestDaskExecutor(ExecutorContract):
    @pytest.fixture
    def executor(self, workspace: Workspace, probe_package: Path, cluster: LocalCluster) -> Iterator[DaskExecutor]:
        executor = DaskExecutor(workspace, DaskSettings(cluster.scheduler_address), slots=1)
        yield connected(executor)
        executor.close()
