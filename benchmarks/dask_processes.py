"""A Dask cluster of processes that can be killed, stopped and started again one by one, as machines can."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil


class DaskProcesses:
    """A scheduler on one port of the loopback, as often as it is started, and workers, each below a nanny.

    Args:
        folder: For what the processes print and keep.
        tls_options: Options of Dask's commands that name CA, certificate and key; none for a cluster without TLS.
    """

    def __init__(self, folder: Path, tls_options: Sequence[str] = ()) -> None:
        self._folder = folder
        self._folder.mkdir(exist_ok=True)
        self._tls_options = tls_options
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.address = f"{'tls' if tls_options else 'tcp'}://127.0.0.1:{self.port}"
        self.nannies: list[subprocess.Popen[bytes]] = []
        self.start_scheduler()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for process in (*self.nannies, self._scheduler):
            for each in _with_children(process):
                with contextlib.suppress(psutil.NoSuchProcess):
                    each.kill()
            process.wait()

    def start_scheduler(self) -> None:
        """Start it; returns at once."""
        self._scheduler = self._started(
            "scheduler", "--host", "127.0.0.1", "--port", str(self.port), "--dashboard-address", "127.0.0.1:0"
        )

    def kill_scheduler(self) -> None:
        self._scheduler.kill()
        self._scheduler.wait()

    def signal_scheduler(self, number: signal.Signals) -> None:
        self._scheduler.send_signal(number)

    def scheduler_bytes(self) -> int:
        """Memory that the scheduler holds."""
        return int(psutil.Process(self._scheduler.pid).memory_info().rss)

    def scheduler_seconds(self) -> float:
        """CPU time that the scheduler has taken."""
        times = psutil.Process(self._scheduler.pid).cpu_times()
        return float(times.user + times.system)

    def start_worker(self, threads: int = 1, *options: str) -> subprocess.Popen[bytes]:
        """Start a worker below a nanny; returns the nanny, at once."""
        nanny = self._started(
            "worker", self.address, "--host", "127.0.0.1", "--nthreads", str(threads), "--memory-limit", "0", *options
        )
        self.nannies.append(nanny)
        return nanny

    def remove_ended(self) -> int:
        """Forget nannies that have ended; returns how many there are left."""
        self.nannies = [nanny for nanny in self.nannies if nanny.poll() is None]
        return len(self.nannies)

    def _started(self, command: str, *options: str) -> subprocess.Popen[bytes]:
        with (self._folder / "dask.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "dask", command, "--no-dashboard", *options, *self._tls_options],
                cwd=self._folder,
                env=os.environ | {"DASK_TEMPORARY_DIRECTORY": str(self._folder)},
                stdout=log,
                stderr=subprocess.STDOUT,
            )


def worker_of(nanny: subprocess.Popen[bytes]) -> psutil.Process | None:
    """The process below a nanny that is the Dask worker; None where it is just starting."""
    with contextlib.suppress(psutil.NoSuchProcess):
        for child in psutil.Process(nanny.pid).children():
            if any("spawn_main" in argument for argument in child.cmdline()):
                return child
    return None


def _with_children(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        itself = psutil.Process(process.pid)
        return [itself, *itself.children(recursive=True)]
    return []
