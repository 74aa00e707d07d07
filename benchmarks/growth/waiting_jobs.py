"""Cost of the queue over the number of jobs that wait: flat.

A real `dlp-lab serve` with its queue on the disk. While one job holds its only slot: a submission, which is on the disk
when it is answered, a question for one job, a list of the newest. Then, the slot being free and the server working its
way through the queue: a job that goes before all others, from its submission until it is done. And what the dispatcher
does for each job, the claim, on a queue of its own.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.growth.curve import FLAT, Curve, Growth
from benchmarks.poison import probes_installed
from benchmarks.served import Served, served
from dlp_lab.jobs.job import JobRequest
from dlp_lab.jobs.job_filter import JobFilter
from dlp_lab.jobs.job_store import JobStore
from dlp_lab.store.workspace import Workspace
from tests.phantom import write_phantom_series

LISTED = 50
HOLD_S, SHORT_S = 3600.0, 0.02
MOST = 10_000
"""More may not wait; those that are submitted meanwhile count too."""
FIRST = 9
"""The priority of jobs that go before all others."""
_WAITING = JobFilter(states=("queued",))


def waiting(seconds: float) -> JobRequest:
    """A job that does nothing for a while."""
    return JobRequest(task="probe", input_dir="case", params={"seconds": seconds})


def fill(store: JobStore, count: int) -> None:
    """Until so many wait."""
    for _ in range(count - store.count(_WAITING)):
        store.add(waiting(SHORT_S))


def median_ms(act: Callable[[], object], times: int) -> float:
    """Of so many calls, by the clock: what is waited for here is the disk and another process."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        act()
        taken.append(time.perf_counter() - start)
    return 1e3 * statistics.median(taken)


def submit(server: Served, seconds: float, priority: int = 0) -> str:
    """The uid of a new job."""
    body = {"task": "probe", "input_dir": "case", "params": {"seconds": seconds}, "priority": priority}
    status, job = server.ask("POST", "jobs", body)
    if status != 201:
        raise RuntimeError(f"the job was refused: {job}")
    return str(job["uid"])


def wait_until(server: Served, uid: str, states: tuple[str, ...]) -> None:
    """Ask until the job is in one of the states."""
    while server.ask("GET", f"jobs/{uid}")[1]["state"] not in states:
        time.sleep(0.001)


def run_first(server: Served) -> None:
    """A job that goes before all others, until it is done; who asks all the time keeps the server from its work."""
    uid = submit(server, 0.0, FIRST)
    while server.ask("GET", f"jobs/{uid}?wait_seconds=20")[1]["state"] != "succeeded":
        pass


def measure(folder: Path, is_short: bool) -> Growth:
    """One server, whose queue becomes longer."""
    depths, calls = ([0, 20], 3) if is_short else ([0, 100, 1000, MOST - 40], 40)
    root, site = folder / "root", folder / "site"
    site.mkdir()
    write_phantom_series(root / "case")
    points: dict[str, list[tuple[float, float]]] = {}

    def note(what: str, depth: int, cost: float) -> None:
        points.setdefault(what, []).append((max(depth, 1), cost))

    with probes_installed(site), served(root, slots=1) as server:
        store = JobStore(Workspace(root).queue_database)
        for depth in depths:
            holder = submit(server, HOLD_S, FIRST)
            wait_until(server, holder, ("running",))
            fill(store, depth)
            note("submission", depth, median_ms(partial(submit, server, SHORT_S), calls))
            note("one job", depth, median_ms(partial(server.ask, "GET", f"jobs/{holder}"), calls))
            if depth >= LISTED or is_short:
                listing = partial(server.ask, "GET", f"jobs?limit={LISTED}")
                note(f"newest {LISTED}", depth, median_ms(listing, calls))
            server.ask("POST", f"jobs/{holder}/cancel")
            wait_until(server, holder, ("cancelled",))
            run_first(server)
            note("first in line, done", depth, median_ms(partial(run_first, server), calls // 3 + 1))
        store.close()
    with_claims = JobStore(folder / "claims.sqlite")
    for depth in depths:
        fill(with_claims, depth + calls)
        note("claim", depth, median_ms(with_claims.claim_next, calls))
    with_claims.close()
    curves = [Curve(name, measured, FLAT) for name, measured in points.items()]
    return Growth("the queue, over HTTP; claims in the database", "jobs that wait", "wall time, ms", curves)
