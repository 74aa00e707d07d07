"""The process that others are forked from in a few milliseconds, with the libraries in memory."""

from __future__ import annotations

import contextlib
import importlib.machinery
import multiprocessing
import os
import sys
import threading
from collections.abc import Iterator
from multiprocessing import forkserver

_FILES_TO_START = 16

_main_lock = threading.Lock()


def prepare_fork_server(for_one_job: bool = False) -> None:
    """Start the fork server, unless it runs.

    Args:
        for_one_job: For a process that is started for one job, which waits for it: the fork server loads what every job
            needs and no more, which takes half the time.
    """
    loaded_first = "dlp_lab.jobs.first_preload" if for_one_job else "dlp_lab.jobs.preload"
    multiprocessing.get_context("forkserver").set_forkserver_preload([loaded_first])
    forkserver.ensure_running()


def refuse_where_none_starts() -> None:
    """Refuse where a start would break off: half way for want of files, of which the fork server, and with it every
    worker, dies; or because a new process is led into the current folder, and there is none.

    Raises:
        OSError: That is so; `strerror` says why.
    """
    try:
        os.getcwd()
    except FileNotFoundError as error:
        raise FileNotFoundError(error.errno, "the folder that this program was started in is gone") from None
    with contextlib.ExitStack() as at_once:
        opened = os.open(os.devnull, os.O_RDONLY)
        at_once.callback(os.close, opened)
        for _ in range(_FILES_TO_START - 1):
            at_once.callback(os.close, os.dup(opened))


@contextlib.contextmanager
def main_module_left_alone() -> Iterator[None]:
    """Keep a new process from importing the parent's main script.

    multiprocessing does so, to find functions defined in it; under the `jupyter lab` script that imports JupyterLab,
    more than a second for each job. A main module whose spec is named "*.__main__" is left alone.
    """
    main = sys.modules["__main__"]
    with _main_lock:
        spec = getattr(main, "__spec__", None)
        main.__spec__ = importlib.machinery.ModuleSpec("dlp_lab.__main__", None)
        try:
            yield
        finally:
            main.__spec__ = spec
