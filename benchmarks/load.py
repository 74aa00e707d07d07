"""A queue under load: how fast it takes jobs in, and how it answers when it is full.

    python -m benchmarks.load [--submits 400] [--queued 10000]

With a real `dlp-lab serve`, over HTTP:

* SUBMITS durable submissions by 8 clients at once, of small series: each in a folder of its own that the server has
  not seen yet, then all of one folder, as in a search for the right parameter: jobs per second;
* with QUEUED jobs in the queue and every core busy: one job, and a listing of 200, 50th and 99th percentile;
* growth of the server's memory meanwhile;
* from `kill -9` to the first answer of a new server, with the queue still full.

Prints each figure beside what it should be; exit status 1 if one is missed.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from benchmarks.served import Served, percentile, served
from dlp_lab.jobs.job import JobRequest
from dlp_lab.jobs.job_filter import JobFilter
from dlp_lab.jobs.job_store import JobStore
from dlp_lab.store.workspace import Workspace
from tests.phantom import write_phantom_series

CLIENTS = 8
REQUEST = {"task": "3dblur", "params": {"sigma_mm": 2.0}}


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--submits", type=int, default=400)
    parser.add_argument("--queued", type=int, default=10_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        root = Path(made, "root")
        write_phantom_series(root / "case")
        with served(root, slots=1) as server:
            folders = [f"cases/{number}" for number in range(options.submits)]
            for folder in folders:
                shutil.copytree(root / "case", root / folder)
            figure("submissions, a new folder each", submissions(server, folders), "/s")
            before = server.resident_bytes()
            again = ["case"] * len(folders)
            are_met = [figure("submissions of one folder", submissions(server, again), "/s", at_least=200)]
            fill(root, options.queued)
            with all_cores_busy():
                uid = server.ask("GET", "jobs?limit=1")[1]["jobs"][0]["uid"]
                for what, path in (("one job", f"jobs/{uid}"), ("a listing of 200", "jobs")):
                    times = latencies(partial(server.ask, "GET", path))
                    figure(f"GET of {what}, p50", 1000 * percentile(times, 50), "ms")
                    are_met.append(figure(f"GET of {what}, p99", 1000 * percentile(times, 99), "ms", at_most=50))
            grown = (server.resident_bytes() - before) / 2**20
            are_met.append(figure("growth of the server's memory", grown, "MB", at_most=10))
            server.kill()
            server.start()
            are_met.append(figure("kill -9 to first answer", server.wait_for_answer(), "s", at_most=2))
    return 0 if all(are_met) else 1


def figure(name: str, value: float, unit: str, *, at_least: float | None = None, at_most: float | None = None) -> bool:
    """Print a figure; returns whether it is as it should be."""
    is_met = (at_least is None or value >= at_least) and (at_most is None or value <= at_most)
    aim = f">= {at_least:g}" if at_least is not None else f"<= {at_most:g}" if at_most is not None else ""
    print(f"{name:<34} {value:9.2f} {unit:<3} {aim}{'' if is_met else '   MISSED'}", flush=True)
    return is_met


def submissions(server: Served, folders: list[str]) -> float:
    """Jobs per second that clients at once can submit, one on each folder."""
    left = iter(folders)
    lock = threading.Lock()

    def client() -> None:
        while True:
            with lock:
                folder = next(left, None)
            if folder is None:
                return
            status, _ = server.ask("POST", "jobs", {**REQUEST, "input_dir": folder})
            assert status == 201, status

    clients = [threading.Thread(target=client) for _ in range(CLIENTS)]
    start = time.monotonic()
    for thread in clients:
        thread.start()
    for thread in clients:
        thread.join()
    return len(folders) / (time.monotonic() - start)


def fill(root: Path, count: int) -> None:
    """Bring the queue to `count` waiting jobs, past the front door, which would take minutes."""
    store = JobStore(Workspace(root).queue_database)
    for _ in range(count - store.count(JobFilter(states=("queued",)))):
        store.add(JobRequest(task="3dblur", input_dir="case", params={"sigma_mm": 2.0}))
    store.close()


def latencies(ask: Callable[[], object], count: int = 300) -> list[float]:
    """Seconds that each of `count` requests takes."""
    seconds = []
    for _ in range(count):
        start = time.monotonic()
        ask()
        seconds.append(time.monotonic() - start)
    return seconds


@contextmanager
def all_cores_busy() -> Iterator[None]:
    """While it lasts, every core has something to do, at the ordinary priority."""
    context = multiprocessing.get_context("fork")
    burners = [context.Process(target=_burn, daemon=True) for _ in range(os.cpu_count() or 1)]
    for burner in burners:
        burner.start()
    try:
        yield
    finally:
        for burner in burners:
            burner.kill()
            burner.join()


def _burn() -> None:
    while True:
        sum(range(100_000))


if __name__ == "__main__":
    sys.exit(main())
