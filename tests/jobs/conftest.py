"""Queues, with and without those who start their jobs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dlp_lab.jobs.job_store import JobStore
from dlp_lab.jobs.queue_limits import QueueLimits
from dlp_lab.jobs.service import JobService
from dlp_lab.store.workspace import Workspace

NewService = Callable[..., JobService]


@pytest.fixture
def new_service(workspace: Workspace, probe_package: Path) -> Iterator[NewService]:
    services: list[JobService] = []

    def make(slots: int = 2, **options: Any) -> JobService:
        services.append(JobService(workspace, slots=slots, **options))
        return services[-1]

    yield make
    for service in services:
        service.close()


@pytest.fixture
def overseer(workspace: Workspace) -> Iterator[JobService]:
    """A service that starts no job."""
    service = JobService(workspace, dispatch=False, limits=QueueLimits(max_queued=2))
    yield service
    service.close()


@pytest.fixture
def service(new_service: NewService) -> JobService:
    return new_service()


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
def queue_path(tmp_path: Path) -> Path:
    """Where a queue's file may be made."""
    return tmp_path / "jobs.sqlite"


@pytest.fixture
def store(queue_path: Path) -> JobStore:
    """An empty queue that nobody works on."""
    return JobStore(queue_path)
