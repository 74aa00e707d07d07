"""A cohort on a real Dask cluster."""

from __future__ import annotations

import numpy as np
import pytest
from distributed import LocalCluster

import dlp_lab as dlp
from dlp_lab.jobs.dask_executor import DaskExecutor
from dlp_lab.jobs.job import Job
from dlp_lab.store.workspace import Workspace
from tests.cohort.conftest import Runs
from tests.phantom import write_undecodable_series


def test_the_results_on_a_cluster_are_those_of_this_machine(run: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    write_undecodable_series(run.root / "damaged")
    started: list[str] = []
    start = DaskExecutor.start

    def noting(self: DaskExecutor, job: Job) -> None:
        started.append(job.uid)
        start(self, job)

    monkeypatch.setattr(DaskExecutor, "start", noting)
    with LocalCluster(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None, memory_limit=0
    ) as cluster:
        monkeypatch.setenv("DLP_LAB_DASK_SCHEDULER", cluster.scheduler_address)
        there = run(executor="dask", out=run.root / "there")
    assert {record.job for record in there.records} == set(started)
    here = run(executor="local", out=run.root / "here")
    workspace = Workspace(run.root)
    for one, other in zip(there.records, here.records, strict=True):
        assert (one.case_id, one.state, one.message, one.params) == (
            *(other.case_id, other.state, other.message, other.params),
        )
        if one.job and other.job and one.state == "succeeded":
            results = [dlp.read_series(workspace.job_folder(job)) for job in (one.job, other.job)]
            assert np.array_equal(results[0].voxels, results[1].voxels)
            assert results[0].geometry.matches(results[1].geometry)
    assert [record.state for record in here.records] == ["succeeded"] * 3 + ["failed"]
