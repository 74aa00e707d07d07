"""Queues of others, each with the smallest job it can do, in an environment of their own.

`build/peers` is made at the first use. What runs in it is told by the texts below. None of the peers does what a job of
dlp-lab does: huey and Dask call a function in a process that is there, without HTTP, and jupyter-scheduler runs a
notebook of one cell. huey writes to the disk before it answers, as dlp-lab does; Dask writes nothing.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, Protocol

FLOORS = {
    "jupyter-scheduler": ("jupyter-scheduler>=2.11", "ipykernel"),
    "huey": ("huey>=2.5",),
    "Dask": ("distributed>=2025.1",),
}
ENVIRONMENT = Path("build/peers")
SECONDS_OF_WORK = 1.0
_SECONDS_TO_ANSWER = 120.0
_SECONDS_TO_RUN = 300.0
_SECONDS_WITHOUT_CHANGE = 15.0

_HUEY = """
import json, os, sys, time
from huey import SqliteHuey

huey = SqliteHuey(filename=os.environ["QUEUE"], fsync=True)

@huey.task()
def work(seconds):
    time.sleep(seconds)
    return True

def timed(seconds):
    begun = time.perf_counter()
    result = work(seconds)
    submitted = time.perf_counter()
    while result() is None:
        time.sleep(0.001)
    return 1e3 * (submitted - begun), 1e3 * (time.perf_counter() - begun)

def main():
    if sys.argv[1] == "time":
        print(json.dumps([timed(0) for _ in range(5 + int(sys.argv[2]))][5:]))
    elif sys.argv[1] == "submit":
        print(json.dumps([work(float(sys.argv[3])).id for _ in range(int(sys.argv[2]))]))
    else:
        done = sum(huey.get(uid, peek=True) is not None for uid in json.loads(sys.argv[2]))
        print(json.dumps([done, huey.pending_count()]))
"""

_DASK = """
import json, sys, time
from distributed import Client, LocalCluster

def work(seconds, journal):
    time.sleep(seconds)
    with open(journal, "a") as file:
        file.write("x")

def timed(client):
    begun = time.perf_counter()
    future = client.submit(work, 0, "/dev/null", pure=False)
    submitted = time.perf_counter()
    future.result()
    return 1e3 * (submitted - begun), 1e3 * (time.perf_counter() - begun)

if __name__ == "__main__":
    what, jobs, seconds, journal = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4]
    workers = 1 if what == "time" else 2
    with LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None) as cluster, \
            Client(cluster) as client:
        if what == "time":
            print(json.dumps([timed(client) for _ in range(5 + jobs)][5:]))
        else:
            futures = [client.submit(work, seconds, journal, pure=False) for _ in range(jobs)]
            print("submitted", flush=True)
            client.gather(futures)
"""


class Missing(Exception):
    """A peer cannot be installed or does not start; the message says why."""


class Fate(NamedTuple):
    """What became of jobs that were submitted at once, when all processes were killed and started again.

    Attributes:
        processes: The most that there were before, those of the queue included.
        done: Jobs whose end the queue told.
        stuck: Jobs of which it says that they run or wait, though nothing happens any more.
    """

    processes: int
    done: int
    stuck: int


class Peer(Protocol):
    """A queue beside ours."""

    def times(self, jobs: int) -> list[tuple[float, float]]:
        """Milliseconds until a job is submitted, and until its end is known, of one after the other."""

    def fate(self, jobs: int, seconds: float) -> Fate:
        """Submit jobs of `SECONDS_OF_WORK` at once; all processes are killed so much later, and started again."""


def peer_python(name: str) -> Path:
    """The interpreter of the peers' environment, with this one installed.

    Raises:
        Missing: It cannot be installed.
    """
    python = ENVIRONMENT.absolute() / "bin/python"
    try:
        if not python.exists():
            _run([sys.executable, "-m", "venv", str(ENVIRONMENT)])
        _run([str(python), "-m", "pip", "install", "--quiet", *FLOORS[name]])
    except subprocess.CalledProcessError as error:
        lines = (error.stderr or str(error)).strip().splitlines()
        raise Missing(f"cannot be installed: {lines[-1] if lines else error}") from None
    return python


def _run(command: list[str], **more: str) -> str:
    environment = os.environ | more
    return subprocess.run(
        command, check=True, capture_output=True, text=True, env=environment, timeout=_SECONDS_TO_RUN
    ).stdout


def descendants(pid: int) -> set[int]:
    """A process and all that it and its children started (Linux)."""
    found, waiting = set[int](), [pid]
    while waiting:
        one = waiting.pop()
        found.add(one)
        for children in Path(f"/proc/{one}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                waiting += map(int, children.read_text().split())
    return found


def most_processes(pid: int, seconds: float) -> int:
    """The most processes that there are of one and its descendants, in so many seconds."""
    until, most = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        most = max(most, len(descendants(pid)))
        time.sleep(0.05)
    return most


def kill_all(process: subprocess.Popen[Any]) -> None:
    """SIGKILL to a process and all its descendants, as when the machine stops."""
    for pid in descendants(process.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()


class Huey:
    """huey with SQLite: a consumer, of processes that take one job after the other.

    Args:
        folder: For its files.

    Raises:
        Missing: It cannot be installed.
    """

    def __init__(self, folder: Path) -> None:
        self._python = peer_python("huey")
        self._folder = folder
        (folder / "noop_huey.py").write_text(_HUEY)
        self._environment = {"QUEUE": str(folder / "huey.sqlite"), "PYTHONPATH": str(folder)}

    def times(self, jobs: int) -> list[tuple[float, float]]:
        with self._consumer(1):
            return [(submitted, done) for submitted, done in self._ask("time", str(jobs))]

    def fate(self, jobs: int, seconds: float) -> Fate:
        with self._consumer(2) as consumer:
            uids = json.dumps(self._ask("submit", str(jobs), str(SECONDS_OF_WORK)))
            most = most_processes(consumer.pid, seconds)
            kill_all(consumer)
        with self._consumer(2):
            done, waiting = settled(lambda: (*self._ask("count", uids),))
        return Fate(most, done, waiting)

    def _ask(self, *words: str) -> Any:
        # imported, for a job bears the name of its module
        command = [str(self._python), "-c", "import noop_huey; noop_huey.main()", *words]
        return json.loads(_run(command, **self._environment))

    @contextlib.contextmanager
    def _consumer(self, workers: int) -> Iterator[subprocess.Popen[Any]]:
        options = ["-w", str(workers), "-k", "process", "-d", "0.001", "-m", "0.001", "-n"]
        consumer = subprocess.Popen(
            [str(self._python.with_name("huey_consumer")), "noop_huey.huey", *options],
            cwd=self._folder,
            env=os.environ | self._environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield consumer
        finally:
            if consumer.poll() is None:
                kill_all(consumer)


class Dask:
    """Dask distributed: a scheduler that keeps its jobs in memory, and workers of one thread.

    Args:
        folder: For its files.

    Raises:
        Missing: It cannot be installed.
    """

    def __init__(self, folder: Path) -> None:
        self._python = peer_python("Dask")
        self._script, self._journal = folder / "noop_dask.py", folder / "dask.journal"
        self._script.write_text(_DASK)

    def times(self, jobs: int) -> list[tuple[float, float]]:
        return [(submitted, done) for submitted, done in json.loads(_run(self._command("time", jobs)))]

    def fate(self, jobs: int, seconds: float) -> Fate:
        cluster = subprocess.Popen(
            self._command("submit", jobs), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert cluster.stdout is not None
        cluster.stdout.readline()
        most = most_processes(cluster.pid, seconds)
        kill_all(cluster)
        # the cluster kept its jobs in memory: there is nothing to start again
        return Fate(most, self._journal.stat().st_size if self._journal.exists() else 0, 0)

    def _command(self, what: str, jobs: int) -> list[str]:
        return [str(self._python), str(self._script), what, str(jobs), str(SECONDS_OF_WORK), str(self._journal)]


class JupyterScheduler:
    """jupyter-scheduler in a Jupyter server, which starts a process and a kernel for each job when it is posted.

    Args:
        folder: For its files.

    Raises:
        Missing: It cannot be installed, or does not answer.
    """

    def __init__(self, folder: Path) -> None:
        self._python = peer_python("jupyter-scheduler")
        self._folder = folder
        self._token = secrets.token_hex(16)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        for name, source in (("noop", "pass"), ("work", f"import time; time.sleep({SECONDS_OF_WORK})")):
            cell = {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [], "source": source}
            kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
            notebook = {"cells": [cell], "metadata": kernel, "nbformat": 4, "nbformat_minor": 4}
            (folder / f"{name}.ipynb").write_text(json.dumps(notebook))

    def times(self, jobs: int) -> list[tuple[float, float]]:
        with self._server():
            return [self._timed() for _ in range(1 + jobs)][1:]

    def fate(self, jobs: int, seconds: float) -> Fate:
        with self._server() as server:
            uids = [self._post("work") for _ in range(jobs)]
            most = most_processes(server.pid, seconds)
            kill_all(server)

        def counted() -> tuple[int, int]:
            states = [self._state(uid) for uid in uids]
            return states.count("COMPLETED"), sum(state in ("CREATED", "QUEUED", "IN_PROGRESS") for state in states)

        with self._server():
            done, stuck = settled(counted)
        return Fate(most, done, stuck)

    def _timed(self) -> tuple[float, float]:
        begun = time.perf_counter()
        uid = self._post("noop")
        posted = time.perf_counter()
        while (state := self._state(uid)) != "COMPLETED":
            if state == "FAILED":  # STOPPED it says also of one that has not started yet
                raise Missing("fails at a notebook of one cell")
            time.sleep(0.01)
        return 1e3 * (posted - begun), 1e3 * (time.perf_counter() - begun)

    def _post(self, notebook: str) -> str:
        asked = {"name": notebook, "input_uri": f"{notebook}.ipynb", "output_formats": ["ipynb"]}
        return str(self._ask("POST", "jobs", asked | {"runtime_environment_name": "jupyterlab-env"})["job_id"])

    def _state(self, uid: str) -> str:
        return str(self._ask("GET", f"jobs/{uid}")["status"])

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, f"/scheduler/{path}", text, {"Authorization": f"token {self._token}"})
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if answer.status != 200:
            raise Missing(f"{method} {path} is answered {answer.status}: {content[:200].decode(errors='replace')}")
        return json.loads(content)

    @contextlib.contextmanager
    def _server(self) -> Iterator[subprocess.Popen[Any]]:
        own = {
            f"JUPYTER_{name}": str(self._folder / name.lower()) for name in ("CONFIG_DIR", "DATA_DIR", "RUNTIME_DIR")
        }
        options = {
            "ServerApp.root_dir": self._folder,
            "ServerApp.port": self._port,
            "ServerApp.jpserver_extensions": "jupyter_scheduler=True",
            "IdentityProvider.token": self._token,
            "SchedulerApp.db_url": f"sqlite:///{self._folder / 'scheduler.sqlite'}",
            "SchedulerApp.environment_manager_class": "jupyter_scheduler.environments.StaticEnvironmentManager",
        }
        server = subprocess.Popen(
            [str(self._python), "-m", "jupyter_server", "--no-browser", "--allow-root"]
            + [f"--{name}={value}" for name, value in options.items()],
            cwd=self._folder,
            env=os.environ | own,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            self._wait_for_answer()
            yield server
        finally:
            if server.poll() is None:
                kill_all(server)

    def _wait_for_answer(self) -> None:
        until = time.monotonic() + _SECONDS_TO_ANSWER
        while time.monotonic() < until:
            with contextlib.suppress(OSError, http.client.HTTPException):
                self._ask("GET", "jobs/count")
                return
            time.sleep(0.1)
        raise Missing(f"does not answer within {_SECONDS_TO_ANSWER:g} s")


def settled(counted: Callable[[], tuple[int, int]]) -> tuple[int, int]:
    """What is counted, once it has not changed for some time, or nothing is left."""
    now, since = counted(), time.monotonic()
    while now[1] and time.monotonic() < since + _SECONDS_WITHOUT_CHANGE:
        time.sleep(0.5)
        if (next_one := counted()) != now:
            now, since = next_one, time.monotonic()
    return now[0], now[1]
