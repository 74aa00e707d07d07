"""Reports: a notebook that papermill executes for each case, and the page that is made of it."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from dlp_lab.cohort.report_page import report_page
from dlp_lab.errors import ReportFailed, printable
from dlp_lab.jobs.job import Job
from dlp_lab.store.cohort_folder import CohortFolder, remove_if_there, write_replacing
from dlp_lab.store.workspace import Workspace

_LONGEST_SENTENCE = 400


@dataclass(frozen=True)
class MadeReport:
    """What became of a report.

    Attributes:
        error: Why there is none; "" where there is one.
        seconds: How long it took.
    """

    error: str
    seconds: float


class Reports:
    """Makes reports, several at a time, each in a kernel of its own.

    Args:
        workspace: Where results are; it is the current folder of the notebooks.
        cohort: Where the reports are written.
        notebook: What is executed, with the fields of the case's job as its parameters. Its kernel is forked where it
            names the one of this interpreter; any other is started as usual.
        slots: How many at a time.
        seconds: How long a cell may take; None as long as it takes.

    Raises:
        ReportFailed: papermill is not installed.
    """

    def __init__(
        self, workspace: Workspace, cohort: CohortFolder, notebook: Path, slots: int, seconds: float | None = None
    ) -> None:
        try:
            import papermill  # noqa: F401

            from dlp_lab.cohort.forked_kernel import Nursery, is_forked_for
        except ImportError as error:
            raise ReportFailed(f"reports need papermill ({error}): pip install 'dlp-lab[notebook]'") from None
        for name in ("papermill", "papermill.translators", "traitlets"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # what matters is in the report
        logging.getLogger("asyncio").addFilter(_is_no_forgotten_poll)
        self._workspace = workspace
        self._cohort = cohort
        self._notebook = notebook
        self._seconds = seconds
        self._threads = ThreadPoolExecutor(slots, thread_name_prefix="dlp-lab-reports")
        self._nursery = Nursery() if is_forked_for(notebook) else None
        self._is_closed = threading.Event()

    def start(self, case_id: str, job: Job) -> Future[MadeReport]:
        """Make the report of a case whose job has succeeded."""
        return self._threads.submit(self._make, case_id, job)

    def close(self) -> None:
        """Stop those that are being made, and end all kernels."""
        self._is_closed.set()
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._nursery is not None:
            self._nursery.close()
        self._threads.shutdown()

    def _make(self, case_id: str, job: Job) -> MadeReport:
        began = time.monotonic()
        folder = self._cohort.case(case_id)
        try:
            notebook = self._executed(folder / "report.ipynb", _parameters(self._workspace, case_id, job))
            write_replacing(folder / "report.html", _page(case_id, notebook))
            error = ""
        except ReportFailed as failure:
            remove_if_there(folder / "report.html")
            error = str(failure)
        except OSError as failure:  # such as a notebook that removes its own folder
            error = f"the report cannot be written: {failure.strerror}"
        return MadeReport(error, round(time.monotonic() - began, 3))

    def _executed(self, target: Path, parameters: dict[str, Any]) -> Any:
        """Execute the notebook; it is kept at `target`, also where it failed, for its traceback."""
        import papermill
        from jupyter_client.kernelspec import NoSuchKernel
        from nbclient.exceptions import CellTimeoutError, DeadKernelError
        from papermill.exceptions import PapermillException, PapermillExecutionError

        partial = target.with_name(f".{target.name}")
        write_replacing(partial, b"")  # made so that its owner alone can read what papermill writes into it
        try:
            return papermill.execute_notebook(
                self._notebook,
                partial,
                parameters,
                progress_bar=False,
                request_save_on_cell_execute=False,
                shutdown_kernel="immediate",
                execution_timeout=None if self._seconds is None else math.ceil(self._seconds),
                resources={"metadata": {"path": os.fspath(self._workspace.root)}},
                **self._kernel_options(),
            )
        except ReportFailed:
            raise
        except PapermillExecutionError as error:
            sentence = printable(f"In [{error.exec_count}] of report.ipynb: {error.ename}: {error.evalue}")
            raise ReportFailed(sentence[:_LONGEST_SENTENCE]) from None
        except (PapermillException, NoSuchKernel) as error:  # a kernel or a language that is not there
            why = printable(str(error))[:_LONGEST_SENTENCE]
            raise ReportFailed(f"the notebook cannot be executed: {why}") from None
        except (CellTimeoutError, DeadKernelError) as error:
            raise ReportFailed(f"the notebook was stopped: {type(error).__name__}") from None
        except Exception as error:
            if self._is_closed.is_set():
                raise ReportFailed("the run was ended") from None
            raise ReportFailed(f"the notebook cannot be executed: {type(error).__name__}") from error
        finally:
            with contextlib.suppress(FileNotFoundError):
                if partial.stat().st_size:
                    os.replace(partial, target)
            remove_if_there(partial)

    def _kernel_options(self) -> dict[str, Any]:
        from dlp_lab.cohort.forked_kernel import manager_of

        return {} if self._nursery is None else {"kernel_manager_class": manager_of(self._nursery)}


def _is_no_forgotten_poll(record: logging.LogRecord) -> bool:
    """nbclient leaves tasks behind where a cell takes too long or an output is none, of which asyncio would tell."""
    return "NotebookClient._async_poll" not in record.getMessage()


def _page(case_id: str, notebook: Any) -> bytes:
    try:
        return report_page(case_id, notebook)
    except Exception as error:  # of nbconvert, for an output that is not what it says
        raise ReportFailed(f"the notebook was executed, but makes no page: {type(error).__name__}") from error


def _parameters(workspace: Workspace, case_id: str, job: Job) -> dict[str, Any]:
    """What a notebook gets: the fields of the job, the name of the case, and the root that its folders start from."""
    fields: dict[str, Any] = msgspec.to_builtins(job)
    return {"case_id": case_id, "root": os.fspath(workspace.root), **fields}
