"""A queue whose file was damaged, cut off or made by half is never taken for a smaller or an empty one."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from dlp_lab.errors import QueueUnusable
from dlp_lab.jobs.job import JobRequest
from dlp_lab.jobs.job_store import JobStore
from dlp_lab.jobs.job_store_schema import SCHEMA_VERSION

GOLDEN = Path(__file__).parent.parent / "golden"
REQUEST = JobRequest(task="3dblur", input_dir="a/b", params={"sigma_mm": 2.0})
JOBS = 120
DAMAGES = 200


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A queue of `JOBS` jobs in one file."""
    path = tmp_path_factory.mktemp("whole") / "jobs.sqlite"
    store = JobStore(path)
    for _ in range(JOBS):
        store.add(REQUEST)
    store.close()
    assert not path.with_name("jobs.sqlite-wal").exists()
    return path.read_bytes()


def jobs_in(path: Path) -> int | None:
    """How many jobs can be listed; None if the queue says that it cannot be used."""
    try:
        with closing(JobStore(path)) as store:
            return len(store.newest(10 * JOBS))
    except QueueUnusable:
        return None


def test_a_queue_with_any_byte_changed_is_whole_or_refused(whole: bytes, tmp_path: Path) -> None:
    chance = random.Random(0)
    found: list[int | None] = []
    for number in range(DAMAGES):
        content = bytearray(whole)
        for _ in range(chance.choice([1, 1, 8, 512])):
            content[chance.randrange(len(content))] = chance.randrange(256)
        path = tmp_path / f"{number}.sqlite"
        path.write_bytes(content)
        found.append(jobs_in(path))
    assert set(found) <= {JOBS, None}
    assert JOBS in found  # else the test would pass for a store that refuses everything
    assert None in found


@pytest.mark.parametrize(
    ("name", "other"),
    [
        (b"keep_hdf5", b"kefp_hdf5"),  # a column
        (b"jobs_by_group", b"jobs_by_grovp"),
        (b"SET jobs = jobs - 1", b"SET jobs = jobs - 2"),
    ],
)
def test_a_queue_in_which_a_name_or_rule_is_damaged_is_refused(
    whole: bytes, tmp_path: Path, name: bytes, other: bytes
) -> None:
    path = tmp_path / "jobs.sqlite"
    path.write_bytes(whole.replace(name, other, 1))
    with pytest.raises(QueueUnusable):
        JobStore(path)


def test_a_queue_that_was_cut_off_anywhere_is_refused(whole: bytes, tmp_path: Path) -> None:
    chance = random.Random(1)
    lengths = {0, 1, 100, 4096, len(whole) - 1, *(chance.randrange(len(whole)) for _ in range(DAMAGES - 5))}
    for length in lengths:
        path = tmp_path / f"{length}.sqlite"
        path.write_bytes(whole[:length])
        assert jobs_in(path) is None, length
        assert path.read_bytes() == whole[:length]  # for who can mend it


def test_what_is_refused_is_named_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    path.touch()
    with pytest.raises(QueueUnusable, match=r"jobs\.sqlite cannot be read .* move it elsewhere"):
        JobStore(path)


OPEN = "import sys; from pathlib import Path; from dlp_lab.jobs.job_store import JobStore; JobStore(Path(sys.argv[1]))"


def test_a_process_that_is_killed_while_it_makes_or_takes_over_a_queue_leaves_it_whole(tmp_path: Path) -> None:
    chance = random.Random(2)
    source = "import time\nprint('ready', flush=True)\n" + OPEN.replace("; JobStore(Path", "\nJobStore(Path")
    survived = 0
    for number in range(12):
        path = tmp_path / f"{number}.sqlite"
        is_older = number % 2 == 0
        if is_older:
            shutil.copy(GOLDEN / "queue-1.sqlite", path)
        process = subprocess.Popen([sys.executable, "-c", source, path], stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(chance.uniform(0, 0.2))
        process.send_signal(signal.SIGKILL)
        survived += process.wait() == 0
        process.stdout.close()
        with closing(JobStore(path)) as store:
            assert store.count() == (4 if is_older else 0)
        with closing(sqlite3.connect(path)) as database:
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            assert database.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    assert survived < 12
    assert os.access(tmp_path, os.W_OK)
