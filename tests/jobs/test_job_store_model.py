"""The queue against a model of it in a few lines, over random sequences of calls through two stores of one file.

`DLP_LAB_SEQUENCES` runs more than the usual number.
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from dlp_lab.errors import JobAlreadyEnded, JobNotEnded, JobNotFailed, NoSuchJob
from dlp_lab.jobs.job import ENDED, JOB_STATES, JobRequest, JobState
from dlp_lab.jobs.job_filter import JobFilter
from dlp_lab.jobs.job_store import IdempotencyKey, JobStore

SEQUENCES = int(os.environ.get("DLP_LAB_SEQUENCES", "1000"))
ATTEMPTS_ALLOWED = 2

which = st.integers(0, 1)
states = st.sampled_from([(), ("queued",), ("failed", "running"), ("cancelled", "queued")])


@dataclass
class ModelJob:
    """What there is to know of a job."""

    seq: int
    priority: int
    owner: str | None = None
    group: str | None = None
    state: JobState = "queued"
    attempts: int = 0
    crashes: int = 0
    is_to_be_cancelled: bool = False


class QueueMachine(RuleBasedStateMachine):
    uids = Bundle("uids")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name, "jobs.sqlite")
        self.stores = [JobStore(self.path), JobStore(self.path)]
        self.jobs: dict[str, ModelJob] = {}
        self.keys: dict[str, str] = {}
        self.added = 0

    def teardown(self) -> None:
        for store in self.stores:
            store.close()
        self.folder.cleanup()

    def waiting(self) -> list[str]:
        """Uids in the order of their turn."""
        queued = [(uid, job) for uid, job in self.jobs.items() if job.state == "queued"]
        return [uid for uid, job in sorted(queued, key=lambda item: (-item[1].priority, item[1].seq))]

    @rule(
        target=uids,
        store=which,
        priority=st.sampled_from([0, 0, 0, 5, -5]),
        key=st.sampled_from([None, "a", "b"]),
        owner=st.sampled_from([None, "ann", "bob", ""]),
        group=st.sampled_from([None, "heads", "knees"]),
    )
    def add(self, store: int, priority: int, key: str | None, owner: str | None, group: str | None) -> str:
        if key:
            priority, owner, group = 0, None, None
        request = JobRequest(task="3dblur", input_dir="case", priority=priority, group=group)
        named = None if key is None else IdempotencyKey.of(key, request)
        uid = self.stores[store].add(request, named, owner=owner).uid
        if key in self.keys:
            assert uid == self.keys[key]
        else:
            assert uid not in self.jobs
            self.added += 1
            self.jobs[uid] = ModelJob(self.added, priority, owner, group)
            if key:
                self.keys[key] = uid
        return uid

    @rule(store=which)
    def claim(self, store: int) -> None:
        job = self.stores[store].claim_next()
        turns = self.waiting()
        if not turns:
            assert job is None
            return
        assert job is not None
        assert job.uid == turns[0]
        model = self.jobs[job.uid]
        model.state, model.attempts = "running", model.attempts + 1

    @rule(
        store=which,
        uid=uids,
        late=st.sampled_from([0, 0, 1]),
        end=st.sampled_from(["succeeded", "failed", "cancelled"]),
    )
    def finish(self, store: int, uid: str, late: int, end: str) -> None:
        told = self.stores[store].finish(uid, self.attempt(uid) - late, end, end)  # type: ignore[arg-type]
        assert told == self.is_running(uid, late)
        if told:
            self.jobs[uid].state = end  # type: ignore[assignment]

    @rule(store=which, uid=uids, late=st.sampled_from([0, 1]), progress=st.floats(-1, 2))
    def progress(self, store: int, uid: str, late: int, progress: float) -> None:
        told = self.stores[store].set_progress(uid, self.attempt(uid) - late, progress, "at work")
        assert told == self.is_running(uid, late)

    @rule(store=which, uid=uids, late=st.sampled_from([0, 1]), crashed=st.booleans())
    def stop(self, store: int, uid: str, late: int, crashed: bool) -> None:
        own, attempt = self.stores[store], self.attempt(uid) - late
        if crashed:
            told = own.record_crash(uid, attempt, "WORKER_CRASHED", "killed", attempts_allowed=ATTEMPTS_ALLOWED)
        else:
            told = own.put_back(uid, attempt)
        assert told == self.is_running(uid, late)
        if not told:
            return
        model = self.jobs[uid]
        if crashed and model.crashes + 1 >= ATTEMPTS_ALLOWED:
            model.state = "failed"
            return
        model.state = "cancelled" if model.is_to_be_cancelled else "queued"
        model.crashes += crashed and not model.is_to_be_cancelled

    @rule(store=which, uid=uids)
    def cancel(self, store: int, uid: str) -> None:
        model = self.jobs.get(uid)
        if model is None or model.state in ENDED:
            with pytest.raises(NoSuchJob if model is None else JobAlreadyEnded):
                self.stores[store].request_cancel(uid)
        elif self.stores[store].request_cancel(uid).state == "cancelled":
            assert model.state == "queued"
            model.state = "cancelled"
        else:
            model.is_to_be_cancelled = True

    @rule(store=which, uid=uids)
    def retry(self, store: int, uid: str) -> None:
        model = self.jobs.get(uid)
        if model is None or model.state not in ("failed", "cancelled"):
            with pytest.raises(NoSuchJob if model is None else JobNotFailed):
                self.stores[store].retry(uid)
        else:
            self.stores[store].retry(uid)
            model.state, model.crashes, model.is_to_be_cancelled = "queued", 0, False

    @rule(store=which, uid=uids)
    def remove(self, store: int, uid: str) -> None:
        model = self.jobs.get(uid)
        if model is None or model.state not in ENDED:
            with pytest.raises(NoSuchJob if model is None else JobNotEnded):
                self.stores[store].remove(uid)
        else:
            self.stores[store].remove(uid)
            del self.jobs[uid]
            self.keys = {key: named for key, named in self.keys.items() if named != uid}

    @rule(store=which)
    def restart(self, store: int) -> None:
        self.stores[store].close()
        self.stores[store] = JobStore(self.path)

    def attempt(self, uid: str) -> int:
        return self.jobs[uid].attempts if uid in self.jobs else 0

    def is_running(self, uid: str, late: int) -> bool:
        return late == 0 and uid in self.jobs and self.jobs[uid].state == "running"

    @invariant()
    def both_stores_hold_what_the_model_holds(self) -> None:
        expected = [(uid, job.state, job.attempts) for uid, job in reversed(self.jobs.items())]
        positions = {uid: 1 + place for place, uid in enumerate(self.waiting())}
        to_be_cancelled = {uid for uid, job in self.jobs.items() if job.state == "running" and job.is_to_be_cancelled}
        for store in self.stores:
            listed = store.newest(1000)
            assert [(job.uid, job.state, job.attempts) for job in listed] == expected
            assert {job.uid: job.position for job in listed if job.position is not None} == positions
            assert all(0 <= job.progress <= 1 for job in listed)
            assert set(store.cancel_requests()) == to_be_cancelled

    @rule(store=which, user=st.sampled_from([None, "ann", "eve"]), states=states, limit=st.integers(1, 4))
    def list_a_part(self, store: int, user: str | None, states: tuple[JobState, ...], limit: int) -> None:
        """Page by page, with what is told beside a page."""
        own, wanted = self.stores[store], JobFilter(visible_to=user, states=states)
        visible = {
            uid: job for uid, job in reversed(self.jobs.items()) if user in (None, job.owner) or job.owner is None
        }
        left = [uid for uid, job in visible.items() if job.state in (states or JOB_STATES)]
        assert own.count(wanted) == len(left)
        turns = self.waiting()
        last = None
        while page := own.newest(limit, wanted, before=last):
            assert [job.uid for job in page] == left[:limit]
            assert all(job.position == (1 + turns.index(job.uid) if job.state == "queued" else None) for job in page)
            last, left = page[-1].uid, left[limit:]
            assert own.count(wanted, before=last) == len(left)
        assert left == []
        groups = Counter((job.group, job.state) for job in visible.values() if job.group is not None)
        told = own.count_groups(["heads", "knees"], visible_to=user)
        assert {
            (counts.group, state): getattr(counts, state)
            for counts in told
            for state in JOB_STATES
            if getattr(counts, state)
        } == groups
        assert {counts.group for counts in told} == {group for group, _ in groups}


TestQueue = pytest.mark.timeout(3000)(QueueMachine.TestCase)
TestQueue.settings = settings(
    max_examples=SEQUENCES,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
)
