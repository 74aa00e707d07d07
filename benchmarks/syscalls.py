"""Failing system calls: the queue's steps in real processes, in which strace lets one call fail, or ends the process.

Each of `points` times a process opens a queue, adds jobs (it says on its standard output when each is acknowledged),
claims, publishes results and finishes, or takes over a queue of an older version; at the k-th `fsync`, `fdatasync`,
`pwrite64`, `openat`, `rename`, `unlink` or `ftruncate` strace injects EIO, ENOSPC or SIGKILL. Then the queue is opened
as it is. Every acknowledged job must be in it, in the state that was acknowledged; `PRAGMA integrity_check` must say
ok; no result may be there by half. The process itself must have ended by an error that is foreseen.
"""

from __future__ import annotations

import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections import Counter
from contextlib import closing
from pathlib import Path

from dlp_lab.jobs.job_store import JobStore

CALLS = ("fsync", "fdatasync", "pwrite64", "openat", "rename,renameat,renameat2", "unlink,unlinkat", "ftruncate")
FAULTS = ("error=EIO", "error=ENOSPC", "signal=KILL")
# a process makes about so many of each call; beyond them nothing is hit
MOST = {"fsync": 12, "fdatasync": 40, "pwrite64": 120, "openat": 60, "rename,renameat,renameat2": 3}
GOLDEN = Path(__file__).parent.parent / "tests/golden/queue-1.sqlite"

# Everything is imported before the signal file is made, from which on calls are counted.
STEPS = """
import os, sqlite3, sys, encodings.idna, encodings.ascii
from pathlib import Path
from dlp_lab.errors import DlpError
from dlp_lab.jobs.job import JobRequest
from dlp_lab.jobs.job_store import JobStore
from dlp_lab.store.workspace import Workspace, published_folder
from dlp_lab.jobs.service import JobService

def say(*words):
    os.write(1, (" ".join(words) + "\\n").encode())

root = Path(sys.argv[1])
say("ready")
sys.stdin.readline()
try:
    workspace = Workspace(root)
    workspace.create()
    store = JobStore(workspace.queue_database)
    say("opened", str(store.count()))
    for number in range(3):
        job = store.add(JobRequest(task="3dblur", input_dir=f"case-{number}"))
        say("added", job.uid)
    while job := store.claim_next():
        with published_folder(workspace.job_folder(job.uid)) as folder:
            for name in ("0001.dcm", "job.json"):
                (folder / name).write_bytes(b"x" * 5000)
        if store.finish(job.uid, job.attempts, "succeeded", "done"):
            say("finished", job.uid)
    say("end")
except DlpError as error:
    say("refused", error.code)
except (OSError, sqlite3.Error) as error:
    say("failed", type(error).__name__)
"""


def storm_of_system_calls(points: int, seed: int) -> bool:
    """Returns whether nothing that was acknowledged was lost. Prints the figures."""
    if shutil.which("strace") is None:
        print("system calls: strace is not installed (apt-get install strace)")
        return False
    chance, ends = random.Random(seed), Counter[str]()
    lost, unsound, by_half, unforeseen, hit = 0, 0, 0, 0, 0
    for number in range(points):
        with tempfile.TemporaryDirectory() as made:
            root = Path(made)
            if number % 4 == 0:
                state = root / "dlp-lab-output/.dlp-lab"
                state.mkdir(parents=True)
                shutil.copy(GOLDEN, state / "jobs.sqlite")
            calls = chance.choice(CALLS)
            place = chance.randint(1, MOST.get(calls, 10))
            said, is_unforeseen = _run(root, calls, chance.choice(FAULTS), place)
            unforeseen += is_unforeseen
            last = said[-1].split()
            ends[last[0] if last[0] in ("end", "refused", "failed") else "killed"] += 1
            hit += last[0] != "end"
            lost += _lost(root, said)
            unsound += not _is_sound(root)
            by_half += _by_half(root)
    print(
        f"system calls: {points} points, {hit} hit something: {dict(ends)}\n"
        f"  acknowledged and lost      {lost}\n"
        f"  queues that are not sound  {unsound}\n"
        f"  results by half            {by_half}\n"
        f"  failures not foreseen      {unforeseen}"
    )
    return not (lost or unsound or by_half or unforeseen) and hit > points / 4


def _run(root: Path, calls: str, fault: str, place: int) -> tuple[list[str], bool]:
    """What the process says, line by line; and whether it ended by an error that it did not expect."""
    strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={calls}"]
    process = subprocess.Popen([sys.executable, "-c", STEPS, str(root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin and process.stdout
    said = [process.stdout.readline()]
    tracer = subprocess.Popen(
        [*strace, "-e", f"inject={calls}:{fault}:when={place}", "-p", str(process.pid)], stderr=subprocess.PIPE
    )
    _wait_until_traced(process.pid)
    rest, _ = process.communicate(b"go\n", timeout=60)
    tracer.wait(timeout=60)
    assert tracer.stderr
    tracer.stderr.close()
    is_unforeseen = process.returncode not in (0, -signal.SIGKILL)
    return [line.decode() for line in [*said, *rest.splitlines()]], is_unforeseen


def _wait_until_traced(pid: int) -> None:
    while True:
        status = Path(f"/proc/{pid}/status").read_text()
        if "TracerPid:\t0" not in status:
            return


def _lost(root: Path, said: list[str]) -> int:
    """How many acknowledged steps the queue has forgotten, as whoever comes next sees it."""
    words = [line.split() for line in said]
    opened = sum(int(line[1]) for line in words if line[0] == "opened")
    added = [line[1] for line in words if line[0] == "added"]
    finished = [line[1] for line in words if line[0] == "finished"]
    path = root / "dlp-lab-output/.dlp-lab/jobs.sqlite"
    if not path.parent.exists():
        return len(added) + len(finished)
    with closing(JobStore(path)) as store:
        states = {job.uid: job.state for job in store.newest(1000)}
    before = 4 if opened == 4 else 0
    lost = sum(uid not in states for uid in added) + max(0, before + len(added) - len(states))
    return lost + sum(states.get(uid) != "succeeded" for uid in finished)


def _is_sound(root: Path) -> bool:
    path = root / "dlp-lab-output/.dlp-lab/jobs.sqlite"
    if not path.exists():
        return True
    with closing(sqlite3.connect(path)) as database:
        return database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def _by_half(root: Path) -> int:
    """Results that can be seen and lack a file."""
    results = [entry for entry in root.glob("dlp-lab-output/*") if not entry.name.startswith(".")]
    return sum(sorted(file.name for file in entry.iterdir()) != ["0001.dcm", "job.json"] for entry in results)
