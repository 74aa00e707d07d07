"""Which workers a Dask cluster has, and what of them is free."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class RosterWorker:
    """A Dask worker that may run jobs.

    Attributes:
        address: Where it is; another process may have it later.
        worker_id: Which process it is.
        threads: How many jobs it runs at once.
        resources: What else it has, such as `{"GPU": 1}`.
    """

    address: str
    worker_id: str
    threads: int
    resources: Mapping[str, float] = field(default_factory=dict)


class Roster:
    """Keeps account of who runs what. Not thread-safe."""

    def __init__(self) -> None:
        self._workers: dict[str, RosterWorker] = {}
        self._taken: dict[str, tuple[RosterWorker, Mapping[str, float]]] = {}

    def join(self, worker: RosterWorker) -> None:
        self._workers[worker.address] = worker

    def leave(self, address: str) -> list[str]:
        """Uids of the jobs that ran there; they are given back."""
        self._workers.pop(address, None)
        lost = [uid for uid, (worker, _) in self._taken.items() if worker.address == address]
        for uid in lost:
            self.give_back(uid)
        return lost

    def clear(self) -> None:
        self._workers.clear()
        self._taken.clear()

    def free_threads(self) -> int:
        return sum(self._free_threads(worker) for worker in self._workers.values())

    def threads(self) -> int:
        return sum(worker.threads for worker in self._workers.values())

    def take(self, uid: str, resources: Mapping[str, float]) -> RosterWorker | None:
        """The fitting worker with the most free threads, now with one thread and `resources` less; None if none fits.

        Among equals one that has nothing special, so that what is rare stays free.
        """
        fitting = [worker for worker in self._workers.values() if self._fits(worker, resources)]
        if not fitting:
            return None
        chosen = max(fitting, key=lambda worker: (self._free_threads(worker), -len(worker.resources)))
        self._taken[uid] = chosen, resources
        return chosen

    def give_back(self, uid: str) -> None:
        self._taken.pop(uid, None)

    def _free_threads(self, worker: RosterWorker) -> int:
        return worker.threads - sum(taken is worker for taken, _ in self._taken.values())

    def _fits(self, worker: RosterWorker, resources: Mapping[str, float]) -> bool:
        taken: Counter[str] = Counter()
        for other, amounts in self._taken.values():
            if other is worker:
                taken.update(amounts)
        free = (worker.resources.get(name, 0) - taken[name] >= amount for name, amount in resources.items())
        return self._free_threads(worker) > 0 and all(free)
