"""Fixtures that tests of several folders share."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from dlp_lab.store.workspace import Workspace
from dlp_lab.tasks import all_tasks
from tests.phantom import write_phantom_series
from tests.probe_package import install_probe_package


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What a program printed that did not do as it should is told where its test fails."""
    report = yield
    error = call.excinfo.value if call.excinfo else None
    if isinstance(error, subprocess.CalledProcessError | subprocess.TimeoutExpired):
        for name, printed in (("output", error.stdout), ("errors", error.stderr)):
            text = printed.decode(errors="backslashreplace") if isinstance(printed, bytes) else printed
            report.sections.append((f"{name} of the program", text or ""))
    return report


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, Any, Any]:
    """What a test printed, logged or compared may be no UTF-8, without which a worker cannot send its report."""
    return _in_utf8((yield))


def _in_utf8(report: Any) -> Any:
    match report:
        case str():
            return report.encode("utf-8", "backslashreplace").decode()
        case dict():
            return {_in_utf8(name): _in_utf8(part) for name, part in report.items()}
        case list():
            return [_in_utf8(part) for part in report]
        case tuple():
            return tuple(_in_utf8(part) for part in report)
    return report


@pytest.fixture(scope="session")
def probe_package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A really installed package with the task `probe`, here and in processes started from here."""
    site = tmp_path_factory.mktemp("site")
    install_probe_package(site)
    before = os.environ.get("PYTHONPATH")
    sys.path.append(str(site))
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [before, str(Path(__file__).parents[1]), str(site)]))
    all_tasks.cache_clear()
    yield site
    sys.path.remove(str(site))
    if before is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = before
    all_tasks.cache_clear()


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A root with a phantom series in `dicom_data`."""
    root = tmp_path / "root"
    write_phantom_series(root / "dicom_data")
    workspace = Workspace(root)
    workspace.create()
    return workspace
