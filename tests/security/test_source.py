"""What the package's own source does not do, and what crosses the border of a process."""

from __future__ import annotations

import ast
import multiprocessing.forkserver
import multiprocessing.reduction
import pickletools
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dlp_lab.jobs.job import JobRequest
from dlp_lab.jobs.service import JobService
from dlp_lab.store.workspace import Workspace
from tests.jobs.waiting import wait_for_end

PACKAGE = Path(__file__).parents[2] / "dlp_lab"
MODULES = ("pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "yaml", "torch")
NAMES = ("eval", "exec", "compile", "__import__")
CALLS = ("os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput", "numpy.fromregex")
UNPICKLING = ("recv", "send")
"""Methods of a connection that pickle; `recv_bytes` and `send_bytes` do not."""


def faults(source: str) -> list[str]:
    """What in a module's source would run code that came from outside, or pass text to a shell."""
    return [fault for node in ast.walk(ast.parse(source)) for fault in _faults_of(node)]


def _faults_of(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names if alias.name.partition(".")[0] in MODULES)
    elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in MODULES:
        yield str(node.module)
    elif isinstance(node, ast.Name) and node.id in NAMES:
        yield node.id
    elif isinstance(node, ast.Attribute) and ast.unparse(node) in CALLS:
        yield ast.unparse(node)
    elif isinstance(node, ast.Call):
        if isinstance(node.func, ast.Attribute) and node.func.attr in UNPICKLING:
            yield ast.unparse(node.func)
        for option in node.keywords:
            if option.arg in ("shell", "allow_pickle") and not _is(option.value, False):
                yield f"{option.arg}={ast.unparse(option.value)}"


def _is(node: ast.expr, value: object) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


def test_no_module_unpickles_evaluates_or_calls_a_shell() -> None:
    found = {str(path.relative_to(PACKAGE)): faults(path.read_text()) for path in PACKAGE.rglob("*.py")}
    assert len(found) > 100
    # messages of ipywidgets, which are JSON and bytes
    for module, calls in {"slice_viewer": 2, "message_widget": 2, "job_monitor": 1, "slice_preview": 1}.items():
        assert found.pop(f"widgets/{module}.py") == ["self.send"] * calls
    # configurations of MONAI, by the loader that makes plain values alone
    assert found.pop("models/importers/monai_config.py") == ["yaml"]
    # printed, to be run where nnU-Net is
    assert found.pop("models/importers/export_nnunet.py") == ["torch"]
    assert {name: fault for name, fault in found.items() if fault} == {}


def test_yaml_is_read_by_its_safe_loader_alone_and_the_exporter_is_imported_by_nobody() -> None:
    names, imported = set(), set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "yaml":
                names.add(node.attr)
            elif isinstance(node, ast.ImportFrom):
                imported |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
            elif isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
    assert names == {"safe_load", "YAMLError"}
    assert "dlp_lab.models.network" in imported
    assert "dlp_lab.models.importers.export_nnunet" not in imported


@pytest.mark.parametrize(
    "source",
    [
        *("import pickle", "from joblib import load", "import yaml", "import torch.hub", "eval(x)", "run = exec"),
        *("compile(x, 'a', 'exec')", "os.system('ls')", "np.load(f, allow_pickle=True)", "connection.recv()"),
        *("subprocess.run(x, shell=True)", "subprocess.run(x, shell=how)", "np.load(f, allow_pickle=asked)"),
    ],
)
def test_the_scan_finds_it(source: str) -> None:
    assert faults(source) != []


def test_into_a_worker_go_a_pipe_text_and_numbers_and_the_only_function_is_its_entry(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    crossed: list[bytes] = []
    dump = multiprocessing.reduction.dump

    def recording(value: object, file: Any, protocol: int | None = None) -> None:
        dump(value, file, protocol)
        crossed.append(file.getvalue())

    monkeypatch.setattr(multiprocessing.reduction, "dump", recording)
    service = JobService(workspace, slots=1)
    try:
        job = service.submit(JobRequest(task="3dblur", input_dir="dicom_data"))
        assert wait_for_end(service, job.uid).state == "succeeded"
    finally:
        service.close()
    named = _globals_in(crossed[-1])
    assert "dlp_lab.jobs.worker worker_main" in named
    assert named <= {
        "dlp_lab.jobs.worker worker_main",
        "dlp_lab.jobs.worker_policy WorkerPolicy",  # a frozen dataclass of numbers
        "multiprocessing.context ForkServerProcess",
        "multiprocessing.process AuthenticationString",
        "multiprocessing.connection rebuild_connection",
        "multiprocessing.popen_forkserver _DupFd",
    }


def _globals_in(pickled: bytes) -> set[str]:
    """Every class and function that a pickle names, over all pickles that follow each other."""
    names: set[str] = set()
    at = 0
    while at < len(pickled):
        texts: list[str] = []
        for opcode, argument, position in pickletools.genops(pickled[at:]):
            if isinstance(argument, str):
                texts.append(argument)
            if opcode.name == "GLOBAL":
                names.add(argument)
            elif opcode.name == "STACK_GLOBAL":
                names.add(" ".join(texts[-2:]))
            elif opcode.name == "STOP":
                at += position + 1
    return names


def test_the_socket_of_the_fork_server_is_a_file_that_no_other_user_reaches(workspace: Workspace) -> None:
    multiprocessing.forkserver.ensure_running()
    address: str = multiprocessing.forkserver._forkserver._forkserver_address  # type: ignore[attr-defined]
    assert not address.startswith("\0")
    assert stat.S_IMODE(Path(address).parent.stat().st_mode) == 0o700
