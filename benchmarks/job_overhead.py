"""What a job costs beside its work, from the POST to the answer that it is done; and what it costs elsewhere.

    python -m benchmarks.job_overhead [--jobs 100] [--limit-ms 25] [--no-peers] [--short]

A real `dlp-lab serve`; one client submits a job over a kept connection, asks for it with an answer that comes when it
has ended, and goes on. The no-op job is the probe of the tests, which gives back its input: a series of seven slices is
read, checked, written and flushed. The real one is `3dblur` of the same small phantom; once more it is asked for each
millisecond, which keeps the server from its work.
Beside them: the POST alone, what the record says between start and end, and the processor time of a job in the server
and in its worker, which a busy machine changes little.

Then huey, Dask and jupyter-scheduler with the smallest job that each can do (`peer_queues.py` says what that is), in an
environment that is made for them in `build/peers`: the same times, how many processes 20 jobs at once start, and what
is known of these after kill -9. A peer that cannot be installed or started is said to be missing.

Tells p50 and p99 in ms and as a ratio to the no-op job; exit status 1 if its p50 is above the limit. Linux.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.contest import Asked
from benchmarks.peer_queues import (
    SECONDS_OF_WORK,
    Dask,
    Fate,
    Huey,
    JupyterScheduler,
    Missing,
    Peer,
    descendants,
    most_processes,
    settled,
)
from benchmarks.poison import probes_installed
from benchmarks.served import Served, percentile, served
from benchmarks.tables import Cell, Table
from tests.phantom import write_phantom_series

_WARM_UP = 5
_SECONDS_BETWEEN_QUESTIONS = 0.001
_SECONDS_BEFORE_KILL = 3.0
_AT_ONCE = 20
_PEERS: dict[str, tuple[Callable[[Path], Peer], int, float]] = {
    "huey, SQLite": (Huey, 100, _SECONDS_BEFORE_KILL),
    "Dask": (Dask, 100, _SECONDS_BEFORE_KILL),
    "jupyter-scheduler": (JupyterScheduler, 3, 10 * _SECONDS_BEFORE_KILL),  # a job takes seconds, none runs at once
}
_LEGEND = (
    f"Processes: the most that there are after {_AT_ONCE} jobs of {SECONDS_OF_WORK:g} s are submitted at once. Done, "
    "stuck, lost: of these, once all processes were killed and started again, "
    f"{_SECONDS_BEFORE_KILL:g} s after the submission, {10 * _SECONDS_BEFORE_KILL:g} s for jupyter-scheduler."
)


def one_job(server: Served, request: dict[str, Any], often: bool = False) -> tuple[float, float, float]:
    """Milliseconds of the POST, of the attempt as recorded, and of the whole.

    Args:
        server: Where.
        request: What is asked.
        often: Whether the job is asked for each millisecond, and not with an answer that waits for its ending.

    Raises:
        RuntimeError: The job was refused or did not succeed.
    """
    wait = "" if often else "?wait_seconds=20"
    began = time.perf_counter()
    status, job = server.ask("POST", "jobs", request)
    posted = time.perf_counter()
    if status != 201:
        raise RuntimeError(f"the job was refused: {job}")
    while job["state"] in ("queued", "running"):
        if often:
            time.sleep(_SECONDS_BETWEEN_QUESTIONS)
        _, job = server.ask("GET", f"jobs/{job['uid']}{wait}")
    ended = time.perf_counter()
    if job["state"] != "succeeded":
        raise RuntimeError(f"the job {job['state']}: {job['message']}")
    attempt = datetime.fromisoformat(job["ended_at"]) - datetime.fromisoformat(job["started_at"])
    return 1e3 * (posted - began), 1e3 * attempt.total_seconds(), 1e3 * (ended - began)


def processor_ms(server: Served) -> tuple[float, float]:
    """Processor time so far, in ms, of the server's own process and of all that it started."""
    own = 0.0
    others = 0.0
    for pid in descendants(server.pid):
        with contextlib.suppress(OSError):
            times = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]
            user, system, user_of_children, system_of_children = map(int, times)
            if pid == server.pid:
                own = user + system
                others += user_of_children + system_of_children
            else:
                others += user + system + user_of_children + system_of_children
    unit = 1e3 / os.sysconf("SC_CLK_TCK")
    return unit * own, unit * others


def own_times(server: Served, jobs: int) -> dict[str, list[float]]:
    """Times in ms, of the no-op job and the real one."""
    blur = {"task": "3dblur", "input_dir": "case", "params": {"sigma_mm": 2.0}}
    requests = {
        "no-op": ({"task": "probe", "input_dir": "case"}, False),
        "3dblur": (blur, False),
        "3dblur, asked often": (blur, True),
    }
    figures: dict[str, list[float]] = {}
    for name, (request, often) in requests.items():
        for _ in range(_WARM_UP):
            one_job(server, request, often)
        before = processor_ms(server)
        times = [one_job(server, request, often) for _ in range(jobs)]
        after = processor_ms(server)
        for part, values in zip(("POST", "attempt", "POST to done"), zip(*times, strict=True), strict=True):
            figures[f"{name}: {part}"] = list(values)
        for place, start, end in zip(("server", "worker"), before, after, strict=True):
            figures[f"{name}: processor, {place}"] = [(end - start) / jobs]
    return figures


def own_fate(root: Path) -> Fate:
    """Of jobs at once, on two slots, when all processes are killed and the server is started again."""
    request = {"task": "probe", "input_dir": "case", "params": {"seconds": SECONDS_OF_WORK}}
    with served(root, slots=2) as server:
        uids = [server.ask("POST", "jobs", request)[1]["uid"] for _ in range(_AT_ONCE)]
        most = most_processes(server.pid, _SECONDS_BEFORE_KILL)
        for pid in descendants(server.pid) - {server.pid}:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        server.kill()
        server.start()
        server.wait_for_answer()

        def counted() -> tuple[int, int]:
            states = [server.ask("GET", f"jobs/{uid}")[1]["state"] for uid in uids]
            return states.count("succeeded"), states.count("queued") + states.count("running")

        done, stuck = settled(counted)
    return Fate(most, done, stuck)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=100)
    parser.add_argument("--limit-ms", type=float, default=25.0)
    parser.add_argument("--no-peers", action="store_true", help="dlp-lab alone")
    parser.add_argument("--short", action="store_true", help="three jobs, no peers, no limit: whether it runs at all")
    asked = parser.parse_args()
    if asked.short:
        asked.jobs, asked.no_peers, asked.limit_ms = 3, True, float("inf")
    with tempfile.TemporaryDirectory(prefix="dlp-lab-overhead-") as folder:
        root, site = Path(folder, "root"), Path(folder, "site")
        site.mkdir()
        write_phantom_series(root / "case")
        with probes_installed(site):
            with served(root, slots=1) as server:
                figures = own_times(server, asked.jobs)
            fate = None if asked.no_peers else own_fate(root)
    unit = percentile(figures["no-op: POST to done"], 50)
    results = Asked(0, asked.short).results
    Table(
        "What a job costs, from the POST to the answer that it is done",
        ("", "least, ms", "p50, ms", "p99, ms", "x the no-op job"),
        [
            (name, *(percentile(values, p) for p in (0, 50, 99)), percentile(values, 50) / unit)
            for name, values in figures.items()
        ],
        f"At most {asked.limit_ms:g} ms are asked of the no-op job." if math.isfinite(asked.limit_ms) else "",
    ).print().write(results / "job_overhead.json")
    if fate is not None:
        rows = [_row("dlp-lab, over HTTP", percentile(figures["no-op: POST"], 50), unit, unit, fate)]
        for name, (peer, jobs, seconds) in _PEERS.items():
            with tempfile.TemporaryDirectory(prefix="dlp-lab-peer-") as folder:
                rows.append(_row_of_peer(name, partial(peer, Path(folder)), jobs, seconds, unit))
        Table(
            "The smallest job of other queues",
            ("", "submit, ms", "done, ms", "x dlp-lab", "processes", "done", "stuck", "lost"),
            rows,
            _LEGEND,
        ).print().write(results / "job_overhead_peers.json")
    return 0 if unit <= asked.limit_ms else 1


def _row_of_peer(name: str, peer: Callable[[], Peer], jobs: int, seconds: float, unit: float) -> Sequence[Cell]:
    try:
        queue = peer()
        submitted, done = (percentile(list(values), 50) for values in zip(*queue.times(jobs), strict=True))
        return _row(name, submitted, done, unit, queue.fate(_AT_ONCE, seconds))
    except Missing as error:
        return (f"{name}, missing: it {error}", *[None] * 7)
    except subprocess.SubprocessError as error:
        return (f"{name}, missing: it does not run ({type(error).__name__})", *[None] * 7)


def _row(name: str, submitted: float, done: float, unit: float, fate: Fate) -> Sequence[Cell]:
    lost = _AT_ONCE - fate.done - fate.stuck
    return name, submitted, done, done / unit, fate.processes, fate.done, fate.stuck, lost


if __name__ == "__main__":
    sys.exit(main())
