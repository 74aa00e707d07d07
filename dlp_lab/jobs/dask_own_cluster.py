"""A Dask cluster on this machine, for who has no other."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import dask
from distributed import LocalCluster, Security

from dlp_lab.jobs.fork_server import main_module_left_alone


@contextlib.asynccontextmanager
async def own_cluster(slots: int, security: Security) -> AsyncIterator[str]:
    """A cluster of one worker on this machine, for this process alone: whoever else calls has no certificate."""
    # Dask has no switch for its pages; those that are left answer 404
    routes: dict[str, list[str]] = {"distributed.scheduler.http.routes": [], "distributed.worker.http.routes": []}
    # else the worker would import, and so run, the script of who starts a job in one without a guard
    with dask.config.set(routes), main_module_left_alone():
        cluster = await LocalCluster(
            n_workers=1,
            threads_per_worker=slots,
            host="127.0.0.1",
            scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
            security=security,
            memory_limit=0,  # it would count the Dask worker alone, and not the processes of the jobs
            asynchronous=True,
        )
    async with cluster:
        yield cluster.scheduler_address
