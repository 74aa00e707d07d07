"""Jobs under fire: what is lost when workers and servers are killed, and how soon a cancelled job is gone.

    python -m benchmarks.storm [--kills 40] [--jobs 200] [--cancel 40] [--syscalls 40] [--seed 0]
    python -m benchmarks.storm --dask [--kills 12] [--jobs 30] [--cancel 20] [--stand-still 30]

All storms without options; those alone that are named with them.

* Kills: a client submits JOBS jobs with idempotency keys to a real `dlp-lab serve`, again and again until each is
  acknowledged, while KILLS times a worker or the server is killed with SIGKILL (the server is started again). Jobs that
  failed for being killed too often are tried again at the end. Then every key must stand for exactly one job, every job
  must have succeeded, and every result must hold the same pixels as that of a job nobody disturbed.
* Cancel: CANCEL jobs, one after the other, each cancelled at a random moment of its life. It must have ended within 3 s
  (99th percentile), and leave neither process nor result.
* Syscalls: at SYSCALLS points a system call of the queue fails, or ends the process ([syscalls.py](syscalls.py)).

With `--dask` the jobs run on a Dask cluster of two workers, and in turn a worker, its nanny and the scheduler are
killed; at last the scheduler is stopped for a while and goes on.

Prints the figures; exit status 1 if one is missed. Linux, for it looks for processes in /proc.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import http.client
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pydicom

from benchmarks import dask_storm
from benchmarks.served import Served, percentile, served, workers
from benchmarks.syscalls import storm_of_system_calls
from tests.phantom import write_phantom_series

REQUEST = {"task": "3dblur", "input_dir": "case", "params": {"sigma_mm": 2.0}}
KILLED_TOO_OFTEN = ("WORKER_CRASHED", "WORKER_LOST", "SERVER_STOPPED")
Fire = Callable[[Served], Counter[str]]
SECONDS_TO_CANCEL = 3.0
_NO_ANSWER = (OSError, http.client.HTTPException)


def pixels(folder: Path) -> str:
    """Digest of the pixels of a result, in the order of its files."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.dcm")):
        digest.update(pydicom.dcmread(path).PixelData)
    return digest.hexdigest()


def submit_all(server: Served, jobs: int, acknowledged: dict[str, str]) -> None:
    """Submit until each key has its job."""
    for number in range(jobs):
        key = f"storm-{number}"
        while key not in acknowledged:
            try:
                status, job = server.ask("POST", "jobs", REQUEST, **{"Idempotency-Key": key})
            except _NO_ANSWER:
                time.sleep(0.05)
                continue
            if status == 201:
                acknowledged[key] = job["uid"]
            else:
                time.sleep(0.2)  # the server is about to stop


def open_fire(server: Served, root: Path, kills: int, chance: random.Random) -> Counter[str]:
    """Kill now a worker, now the server; returns how many of each."""
    victims: Counter[str] = Counter()
    while sum(victims.values()) < kills:
        time.sleep(chance.uniform(0.02, 0.4))
        at_work = workers(root)
        if chance.random() < 0.3:
            server.kill()
            server.start()
            victims["servers"] += 1
            if chance.random() < 0.7:  # else it is killed again while it starts
                server.wait_for_answer()
        elif at_work:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(chance.choice(at_work), signal.SIGKILL)
                victims["workers"] += 1
    server.wait_for_answer()
    return victims


def all_jobs(server: Served) -> list[dict[str, Any]]:
    jobs: list[dict[str, Any]] = []
    while True:
        before = f"?before={jobs[-1]['uid']}" if jobs else ""
        _, page = server.ask("GET", f"jobs{before}")
        jobs += page["jobs"]
        if not page["older"]:
            return jobs


def wait_for_all(server: Served) -> list[dict[str, Any]]:
    while True:
        jobs = all_jobs(server)
        if all(job["state"] not in ("queued", "running") for job in jobs):
            return jobs
        time.sleep(0.5)


def storm_of_kills(root: Path, jobs: int, fire: Fire, server_options: Sequence[str] = ()) -> bool:
    """Returns whether nothing was lost."""
    acknowledged: dict[str, str] = {}
    with served(root, more_options=server_options) as server:
        _, undisturbed = server.ask("POST", "jobs", REQUEST)
        wait_for_all(server)
        right = pixels(root / "dlp-lab-output" / undisturbed["uid"])
        start = time.monotonic()
        submitting = threading.Thread(target=submit_all, args=(server, jobs, acknowledged))
        submitting.start()
        victims = fire(server)
        submitting.join()
        ended = wait_for_all(server)
        killed_too_often = [job["uid"] for job in ended if job["error_code"] in KILLED_TOO_OFTEN]
        for uid in killed_too_often:
            server.ask("POST", f"jobs/{uid}/retry", {})
        ended = wait_for_all(server)
        seconds = time.monotonic() - start
    output = root / "dlp-lab-output"
    uids = {job["uid"] for job in ended}
    lost = [uid for uid in acknowledged.values() if uid not in uids]
    twice = len(ended) - 1 - len(set(acknowledged.values()))
    unfinished = [job for job in ended if job["state"] != "succeeded"]
    wrong = [job["uid"] for job in ended if job["state"] == "succeeded" and pixels(output / job["uid"]) != right]
    left = [entry.name for entry in output.iterdir() if entry.name not in (*uids, ".dlp-lab")]
    print(
        f"kills: {', '.join(f'{count} {what}' for what, count in victims.items())}; {jobs} jobs in {seconds:.0f} s\n"
        f"  acknowledged and lost      {len(lost)}\n"
        f"  jobs without a client      {twice}\n"
        f"  not succeeded in the end   {len(unfinished)}   ({len(killed_too_often)} were killed too often, and tried "
        f"again; {sum(job['attempts'] > 1 for job in ended)} were started more than once)\n"
        f"  results with wrong pixels  {len(wrong)}\n"
        f"  leftovers in the output    {len(left)}"
    )
    return not (lost or twice or unfinished or wrong or left) and len(acknowledged) == jobs


def storm_of_cancellations(root: Path, jobs: int, seed: int, server_options: Sequence[str] = ()) -> bool:
    """Returns whether all ended in time, without a trace."""
    chance, seconds, states = random.Random(seed), [], Counter[str]()
    with served(root, more_options=server_options) as server:
        for _ in range(jobs):
            _, job = server.ask("POST", "jobs", {**REQUEST, "input_dir": "large", "params": {"sigma_mm": 20.0}})
            time.sleep(chance.uniform(0, 1.0))
            start = time.monotonic()
            server.ask("POST", f"jobs/{job['uid']}/cancel", {})
            while job["state"] in ("queued", "running"):
                _, job = server.ask("GET", f"jobs/{job['uid']}")
                time.sleep(0.005)
            seconds.append(time.monotonic() - start)
            states[job["state"]] += 1
        orphans = len(workers(root))
        results = [uid for uid in os.listdir(root / "dlp-lab-output") if not uid.startswith(".dlp-lab")]
        published = len(results) - sum(job["state"] == "succeeded" for job in all_jobs(server))
    late = percentile(seconds, 99)
    print(
        f"cancellations: {dict(states)}, ended after {percentile(seconds, 50):.2f} s (p50), {late:.2f} s (p99)\n"
        f"  processes left             {orphans}\n"
        f"  results of cancelled jobs  {published}"
    )
    return late <= SECONDS_TO_CANCEL and not orphans and not published


def main() -> int:
    """Run the storms that are asked for, each in a root of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dask", action="store_true", help="on a Dask cluster")
    parser.add_argument("--kills", type=int, help="default: 40, on Dask 12")
    parser.add_argument("--jobs", type=int, help="default: 200, on Dask 30")
    parser.add_argument("--cancel", type=int, help="default: 40, on Dask 20")
    parser.add_argument("--stand-still", type=float, default=30.0, metavar="SECONDS", help="of Dask's scheduler")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--syscalls", type=int, help="default: 40, on Dask none")
    options = parser.parse_args()
    kills, cancel, syscalls = options.kills, options.cancel, options.syscalls
    if kills is None and cancel is None and syscalls is None:
        kills, cancel, syscalls = (12, 20, 0) if options.dask else (40, 40, 40)
    jobs = options.jobs or (30 if options.dask else 200)
    chance = random.Random(options.seed)
    are_well = []
    with tempfile.TemporaryDirectory() as made, contextlib.ExitStack() as at_end:
        root, large = Path(made, "kills"), Path(made, "cancel")
        write_phantom_series(large / "large", shape=(64, 512, 512), spacing_kji_mm=(1, 0.7, 0.7), orientation="axial")
        if options.dask:
            # a cluster is killed less often, so its jobs take longer
            shutil.copytree(large / "large", root / "case")
            cluster = at_end.enter_context(dask_storm.Cluster(Path(made, "dask")))
            fire: Fire = partial(dask_storm.open_fire, cluster, kills=kills, chance=chance, seconds=options.stand_still)
            server_options = cluster.server_options()
        else:
            write_phantom_series(root / "case")
            fire = partial(open_fire, root=root, kills=kills, chance=chance)
            server_options = []
        if kills:
            are_well.append(storm_of_kills(root, jobs, fire, server_options))
        if cancel:
            are_well.append(storm_of_cancellations(large, cancel, options.seed, server_options))
        if syscalls:
            are_well.append(storm_of_system_calls(syscalls, options.seed))
    return 0 if all(are_well) else 1


if __name__ == "__main__":
    sys.exit(main())
