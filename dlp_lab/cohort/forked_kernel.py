"""Kernels from the nursery, as Jupyter's clients know them."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
import nbformat
from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from dlp_lab.cohort.kernel_nursery import READY, Wanted
from dlp_lab.errors import ReportFailed

_SECONDS_BETWEEN_LOOKS = 0.005


class Nursery:
    """The process that kernels are forked from; safe for use from several threads.

    Attributes:
        folder: Where connection files and sockets are, for their owner alone; short, for names of sockets are.

    Raises:
        ReportFailed: It cannot be started.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="dlp-"))
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "dlp_lab.cohort.kernel_nursery", self.folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            bufsize=0,
        )
        self._is_ready = False

    def kernel(self, wanted: Wanted) -> int:
        """Fork a kernel; its pid."""
        with self._lock:
            if not self._is_ready:
                self._expect(self._line() == READY)
                self._is_ready = True
            assert self._process.stdin is not None
            try:
                self._process.stdin.write(msgspec.json.encode(wanted) + b"\n")
            except OSError:
                self._expect(False)
            answer = self._line().strip()
            self._expect(answer.isdigit())
            return int(answer)

    def close(self) -> None:
        """End it, and all kernels."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _line(self) -> bytes:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def _expect(self, is_fulfilled: bool) -> None:
        if not is_fulfilled:
            raise ReportFailed(
                "no kernel can be started for reports; install what they need: pip install 'dlp-lab[notebook]'"
            )


class _ForkedProcess:
    """A process that is another one's child, with what of `Popen` Jupyter asks for."""

    stdin = stdout = stderr = None

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def poll(self) -> int | None:
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return 0
        return None

    def wait(self) -> int:
        while self.poll() is None:
            time.sleep(_SECONDS_BETWEEN_LOOKS)
        return 0

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)


class _ForkedProvisioner(LocalProvisioner):
    """Starts the process of a kernel by a fork."""

    async def launch_kernel(self, cmd: list[str], **options: Any) -> KernelConnectionInfo:
        manager = self.parent
        assert isinstance(manager, ForkedKernelManager)
        folder = os.fspath(options.get("cwd") or os.getcwd())
        pid = manager.nursery.kernel(Wanted(manager.connection_file, folder))
        self.process = _ForkedProcess(pid)  # type: ignore[assignment]
        self.pid = self.pgid = pid
        return self.connection_info


class ForkedKernelManager(AsyncKernelManager):
    """A kernel of a nursery, spoken to through sockets of the file system; ports may be taken by others meanwhile."""

    nursery: Nursery

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.transport = "ipc"
        self.kernel_id = os.urandom(4).hex()
        self.connection_file = os.fspath(self.nursery.folder / self.kernel_id)
        self.ip = os.fspath(self.nursery.folder / f"{self.kernel_id}-ipc")
        self.provisioner = _ForkedProvisioner(kernel_id=self.kernel_id, kernel_spec=self.kernel_spec, parent=self)


def is_forked_for(notebook: Path) -> bool:
    """Whether the kernel that a notebook names is that of this interpreter, so that the nursery can stand in for it."""
    content = nbformat.read(notebook, as_version=4)  # type: ignore[no-untyped-call]
    kernel = content.metadata.get("kernelspec", {})
    try:
        spec = KernelSpecManager().get_kernel_spec(kernel.get("name", "python3"))
    except NoSuchKernel:
        return False
    own = ("python", f"python{sys.version_info.major}", sys.executable)
    return spec.argv[0] in own and "ipykernel_launcher" in spec.argv and not spec.env


def manager_of(nursery: Nursery) -> type[ForkedKernelManager]:
    """The class of managers whose kernels come from a nursery, for who makes managers by their class."""
    return type("NurseryKernelManager", (ForkedKernelManager,), {"nursery": nursery})
