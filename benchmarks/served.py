"""A `dlp-lab serve` that can be killed and started again, and is asked over HTTP."""

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
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

TOKEN = secrets.token_hex(16)


class Served:
    """The server of a root, on one port as often as it is started.

    Args:
        root: Its root.
        slots: How many jobs run at once.
        more_options: Other options of `dlp-lab serve`.
    """

    def __init__(self, root: Path, slots: int = 2, more_options: Sequence[str] = ()) -> None:
        self._root, self._slots, self._more_options = root, slots, more_options
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        self._own = threading.local()
        self.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def start(self) -> None:
        """Start it; returns at once."""
        options = ["--root", self._root, "--port", self._port, "--max-concurrent-jobs", self._slots]
        options += self._more_options
        self._process = subprocess.Popen(
            [sys.executable, "-m", "dlp_lab", "serve", *map(str, options), "--log-file", str(self._root / "debug.log")],
            cwd=self._root,
            env=os.environ | {"JUPYTER_TOKEN": TOKEN},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def kill(self) -> None:
        """SIGKILL, to the server alone."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(timeout=60)

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
        """One request over this thread's connection, which is kept.

        Raises:
            OSError, http.client.HTTPException: There is no answer.
        """
        connection = getattr(self._own, "connection", None)
        if connection is None:
            connection = self._own.connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, f"/api/v1/{path}", text, {"Authorization": f"token {TOKEN}", **headers})
            answer = connection.getresponse()
            content = answer.read()
            return answer.status, json.loads(content) if content else None
        except (OSError, http.client.HTTPException):
            connection.close()
            self._own.connection = None
            raise

    def wait_for_answer(self, seconds: float = 60) -> float:
        """How many seconds it takes until it answers."""
        start = time.monotonic()
        while time.monotonic() < start + seconds:
            with contextlib.suppress(OSError, http.client.HTTPException):
                self.ask("GET", "health")
                return time.monotonic() - start
            time.sleep(0.01)
        raise TimeoutError(f"the server does not answer within {seconds:g} s")

    def resident_bytes(self) -> int:
        """Memory that the server's own process holds."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@contextlib.contextmanager
def served(root: Path, slots: int = 2, more_options: Sequence[str] = ()) -> Iterator[Served]:
    """A server that answers, stopped at the end."""
    server = Served(root, slots, more_options)
    try:
        server.wait_for_answer()
        yield server
    finally:
        server.stop()


def workers(root: Path) -> list[int]:
    """Processes of jobs of a root: those that lead a session and hold a job's log open."""
    logs = str(root)
    found = []
    for process in Path("/proc").iterdir():
        if not process.name.isdecimal():
            continue
        with contextlib.suppress(OSError):
            pid = int(process.name)
            if os.getsid(pid) == pid and any(
                link.startswith(logs) and link.endswith(".log") and "/logs/" in link
                for link in (os.readlink(entry) for entry in (process / "fd").iterdir())
            ):
                found.append(pid)
    return found


def percentile(values: list[float], percent: float) -> float:
    """The value that `percent` of all do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]
