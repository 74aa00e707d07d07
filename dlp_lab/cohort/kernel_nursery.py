"""A process that others are forked from, each a Jupyter kernel with its libraries in memory.

Run as `python -m dlp_lab.cohort.kernel_nursery FOLDER`, the folder being that of the kernels' sockets. It reads a line
of JSON for each kernel that is wanted, and answers with its pid. Each kernel is a process of its own, so no notebook
sees what another did; none of them imports what all need. It starts no thread, for threads do not survive a fork. When
its input ends, so do all kernels, and their folder is removed, for who asked for them may have been killed.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import NoReturn

import msgspec

READY = b"ready\n"
_PRELOADED = (
    *("ipykernel.kernelapp", "ipykernel.ipkernel", "ipykernel.debugger"),
    *("matplotlib.pyplot", "matplotlib.backends.backend_agg", "IPython.core.pylabtools"),
    *("dlp_lab.jobs.convert", "dlp_lab.jobs.handle", "dlp_lab.widgets.planes", "dlp_lab.store.hdf5", "pydicom"),
)


class Wanted(msgspec.Struct, frozen=True):
    """A kernel to be forked.

    Attributes:
        connection_file: Of Jupyter, with its sockets and key.
        folder: Its current folder.
    """

    connection_file: str
    folder: str


def main() -> None:
    """Fork kernels until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who asked for the kernels
    preload()
    gc.freeze()  # else the first collection in each kernel would copy all of it
    alive: set[int] = set()

    def reap(*_: object) -> None:
        with contextlib.suppress(ChildProcessError):
            while (pid := os.waitpid(-1, os.WNOHANG)[0]) != 0:
                alive.discard(pid)

    signal.signal(signal.SIGCHLD, reap)
    with contextlib.suppress(BrokenPipeError):  # as at the end of the input, nobody is there any more
        _answer(READY)
        for line in sys.stdin.buffer:
            wanted = msgspec.json.decode(line, type=Wanted)
            # until it is noted, so that none is reaped before
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
            pid = os.fork()
            if pid == 0:
                be_kernel(wanted)
            alive.add(pid)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])
            _answer(f"{pid}\n".encode())
    for pid in list(alive):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
    shutil.rmtree(sys.argv[1], ignore_errors=True)


def _answer(line: bytes) -> None:
    os.write(sys.stdout.fileno(), line)  # nothing stays in a buffer, to be flushed when nobody is there any more


def preload() -> None:
    """Import what a kernel and the notebook of a report need; none of it may start a thread."""
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(variable, "1")
    os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"  # as in any kernel; read at the import
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")  # no word of debuggers where nobody debugs
    for module in _PRELOADED:
        importlib.import_module(module)
    import matplotlib.figure

    figure = matplotlib.figure.Figure()
    figure.text(0, 0, "fonts are looked for, and loaded, at the first text that is drawn")
    figure.savefig(io.BytesIO(), format="png")


def be_kernel(wanted: Wanted) -> NoReturn:
    """In the forked process: run a kernel until it is told to end."""
    try:
        os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])
        nothing = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(nothing, descriptor)
        os.chdir(wanted.folder)
        import numpy as np
        from ipykernel.kernelapp import IPKernelApp

        np.random.seed()  # else all kernels would draw the same numbers
        sys.argv = ["dlp-lab", "-f", wanted.connection_file]
        sys.path[:] = ["", *(entry for entry in sys.path if entry and Path(entry) != Path.cwd())]
        IPKernelApp.launch_instance(
            argv=[
                *("-f", wanted.connection_file),
                f"--IPKernelApp.parent_handle={os.getppid()}",  # it ends when its parent does
                "--HistoryManager.enabled=False",
            ]
        )
    finally:
        os._exit(0)


if __name__ == "__main__":
    main()
