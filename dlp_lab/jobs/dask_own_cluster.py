"""A Dask cluster on this machine, for who has no other."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import dask
from distributed import LocalCluster, Security


@contextlib.asynccontextmanager
async def own_cluster(slots: int, security: Security) -> AsyncIterator[str]:
    """A cluster of one worker on this machine, for this process alone: whoever else calls has no certificate."""
    # Dask has no switch for its pages; those that are left answer 404
    with dask.config.set({"distributed.scheduler.http.routes": [], "distributed.worker.http.routes": []}):
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
