from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from jupyter_events import EventLogger

from dlp_lab.jobs.job import Job
from dlp_lab.server.events import JOB_EVENT_SCHEMA_ID, JobEvents
from tests.patience import until


async def test_progress_is_told_a_few_times_a_second_and_a_change_of_state_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heard: list[dict[str, Any]] = []

    async def listen(logger: EventLogger, schema_id: str, data: dict[str, Any]) -> None:
        heard.append(data)

    logger = EventLogger()
    events = JobEvents(logger, asyncio.get_running_loop())
    logger.add_listener(schema_id=JOB_EVENT_SCHEMA_ID, listener=listen)
    now = 100.0
    monkeypatch.setattr("dlp_lab.server.events.time", SimpleNamespace(monotonic=lambda: now))
    job = Job(uid="0" * 32, task="x", input_dir="y", params={}, keep_hdf5=False, state="running", submitted_at="")
    for step in range(100):
        now = 100 + step / 100
        events.job_changed(msgspec.structs.replace(job, progress=step / 100))
        await asyncio.sleep(0)
    events.job_changed(msgspec.structs.replace(job, state="succeeded", progress=1.0))
    await until(lambda: heard[-1]["state"] == "succeeded")
    assert [event["progress"] for event in heard] == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1], abs=0.011)
