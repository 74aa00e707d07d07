"""The queue's file: shared, damaged, full, taken away."""

from __future__ import annotations

import contextlib
import multiprocessing
import sqlite3
import stat
import threading
from pathlib import Path

import pytest

from dlp_lab.errors import (
    DiskFull,
    QueueUnusable,
)
from dlp_lab.jobs.job_store import JobStore
from tests.jobs.stored_jobs import REQUEST
from tests.patience import PATIENCE_S


def test_the_database_is_readable_by_its_owner_alone(store: JobStore, queue_path: Path) -> None:
    store.add(REQUEST)
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in queue_path.parent.iterdir()}
    assert set(modes) >= {"jobs.sqlite", "jobs.sqlite-wal"}
    assert set(modes.values()) == {0o600}


def test_a_damaged_queue_is_refused_and_never_taken_for_an_empty_one(queue_path: Path) -> None:
    queue_path.write_bytes(b"this is no database " * 500)
    with pytest.raises(QueueUnusable, match="cannot be read"):
        JobStore(queue_path)


def test_a_queue_with_a_damaged_page_is_refused(store: JobStore, queue_path: Path) -> None:
    for _ in range(200):
        store.add(REQUEST)
    store.close()
    content = bytearray(queue_path.read_bytes())
    content[4096 * 5 : 4096 * 6] = bytes(range(256)) * 16
    queue_path.write_bytes(content)
    with pytest.raises(QueueUnusable, match="cannot be read"):
        JobStore(queue_path)


def test_a_queue_whose_file_was_taken_away_goes_on_with_the_one_that_is_there_now(
    store: JobStore, queue_path: Path
) -> None:
    old = store.add(REQUEST).uid
    store.reopen()
    assert store.get(old).uid == old
    for file in list(queue_path.parent.glob("jobs.sqlite*")):
        file.rename(queue_path.parent / f"old-{file.name}")
    assert not store.is_in_place()
    other = JobStore(queue_path)
    added = other.add(REQUEST).uid
    store.reopen()
    assert store.is_in_place()
    assert [job.uid for job in store.newest(9)] == [added]
    late = other.add(REQUEST).uid
    assert [job.uid for job in JobStore(queue_path).newest(9)] == [late, added]
    assert [job.uid for job in JobStore(queue_path.parent / "old-jobs.sqlite").newest(9)] == [old]


def test_a_queue_without_room_says_so_and_works_again_when_there_is_room(store: JobStore) -> None:
    kept = store.add(REQUEST).uid
    store._rows("PRAGMA max_page_count = 1")
    with pytest.raises(DiskFull, match="free space"):
        for _ in range(100):
            store.add(REQUEST)
    assert store.get(kept).state == "queued"
    store._rows("PRAGMA max_page_count = 100000")
    assert store.get(store.add(REQUEST).uid).state == "queued"


def test_a_queue_that_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    (tmp_path / "jobs.sqlite").mkdir()
    with pytest.raises(QueueUnusable, match="cannot be opened"):
        JobStore(tmp_path / "jobs.sqlite")
    with pytest.raises(QueueUnusable, match="No such file"):
        JobStore(tmp_path / "absent" / "jobs.sqlite")


def _claim_all(queue_path: Path, claimed: multiprocessing.Queue[list[str]]) -> None:
    store = JobStore(queue_path)
    uids = []
    while job := store.claim_next():
        uids.append(job.uid)
    claimed.put(uids)


def test_no_job_is_claimed_twice_by_processes_that_open_and_claim_at_once(store: JobStore, queue_path: Path) -> None:
    uids = [store.add(REQUEST).uid for _ in range(200)]
    context = multiprocessing.get_context("spawn")
    claimed = context.Queue()
    processes = [context.Process(target=_claim_all, args=(queue_path, claimed)) for _ in range(4)]
    for process in processes:
        process.start()
    seen = [uid for _ in processes for uid in claimed.get(timeout=PATIENCE_S)]
    for process in processes:
        process.join()
    assert sorted(seen) == sorted(uids)


def test_a_queue_that_another_process_reads_while_it_is_opened_is_waited_for(queue_path: Path) -> None:
    JobStore(queue_path).close()
    with contextlib.closing(sqlite3.connect(queue_path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("PRAGMA journal_mode = DELETE")  # as on a network file system
        other.execute("BEGIN")
        other.execute("SELECT * FROM jobs").fetchall()
        end_of_reading = threading.Timer(0.5, other.execute, ("COMMIT",))
        end_of_reading.start()
        JobStore(queue_path).close()
        end_of_reading.join()


def _open_and_add(queue_path: Path) -> None:
    JobStore(queue_path).add(REQUEST)


def test_processes_that_make_the_queue_at_the_same_moment_share_it(queue_path: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    processes = [context.Process(target=_open_and_add, args=(queue_path,)) for _ in range(8)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 8
    assert len(JobStore(queue_path).newest(100)) == 8
