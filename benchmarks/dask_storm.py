"""The fire of `benchmarks.storm --dask`: a cluster whose scheduler, nannies and workers are killed."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections import Counter
from pathlib import Path

from benchmarks.dask_processes import DaskProcesses, worker_of
from benchmarks.served import Served

WORKERS = 2
_VICTIMS = ("workers", "nannies", "schedulers")


class Cluster(DaskProcesses):
    """A cluster with someone who starts what has ended again, as a batch system or systemd does."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._ends = threading.Event()
        self._supervisor = threading.Thread(target=self._supervise, daemon=True)
        self._supervisor.start()

    def __exit__(self, *error: object) -> None:
        self._ends.set()
        self._supervisor.join()
        super().__exit__(None, None, None)

    def _supervise(self) -> None:
        while not self._ends.wait(0.2):
            for _ in range(WORKERS - self.remove_ended()):
                self.start_worker()

    def server_options(self) -> list[str]:
        """Options by which `dlp-lab serve` runs its jobs here."""
        return ["--DlpLabApp.executor=dask", f"--DlpLabApp.dask_scheduler={self.address}"]


def open_fire(cluster: Cluster, server: Served, kills: int, chance: random.Random, seconds: float) -> Counter[str]:
    """Kill by turns a worker, a nanny and the scheduler; then let the scheduler stand still for a while.

    Returns how many of each were killed.
    """
    killed: Counter[str] = Counter()
    while killed.total() < kills:
        time.sleep(chance.uniform(0.2, 4.0))
        what = _VICTIMS[killed.total() % 3]
        nannies = list(cluster.nannies)
        if what == "schedulers":
            cluster.kill_scheduler()
            time.sleep(chance.uniform(0, 1))
            cluster.start_scheduler()
        elif not nannies:
            continue
        elif what == "nannies":
            chance.choice(nannies).kill()
        elif worker := worker_of(chance.choice(nannies)):
            worker.kill()
        else:
            continue
        killed[what] += 1
    cluster.signal_scheduler(signal.SIGSTOP)
    time.sleep(seconds)
    cluster.signal_scheduler(signal.SIGCONT)
    return killed
