"""Which executor is chosen, and what is refused before it runs anything."""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from distributed import Security

from benchmarks.dask_processes import DaskProcesses
from dlp_lab import cli
from dlp_lab.errors import ExecutorUnusable
from dlp_lab.jobs.dask_executor import DaskExecutor
from dlp_lab.jobs.dask_settings import DaskSettings
from dlp_lab.jobs.executor_settings import ExecutorSettings
from dlp_lab.jobs.job import JobRequest
from dlp_lab.jobs.local_executor import LocalExecutor
from dlp_lab.jobs.service import JobService
from dlp_lab.store.workspace import Workspace
from tests.jobs.listening import listening_addresses
from tests.jobs.waiting import wait_for_end
from tests.patience import wait_until


def write_certificates(folder: Path) -> tuple[str, str, str]:
    """Paths of a new CA, certificate and key; the certificate vouches for itself."""
    made = Security.temporary()
    files = {"ca.pem": made.tls_ca_file, "cert.pem": made.tls_client_cert, "key.pem": made.tls_client_key}
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_text(content)
    return str(folder / "ca.pem"), str(folder / "cert.pem"), str(folder / "key.pem")


def answer(port: int, files: tuple[str, str, str] | None) -> bytes:
    """What is answered to who calls: without TLS (None), without a certificate ("") or with one.

    Who calls does not ask who answers.
    """
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=0.7) as connection:
            if files is not None:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
                if files[1]:
                    context.load_cert_chain(files[1], files[2])
                connection = context.wrap_socket(connection)
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return connection.recv(12)
    except OSError:
        return b""


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str, str]:
    return write_certificates(tmp_path_factory.mktemp("tls") / "ours")


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory: pytest.TempPathFactory, certificates: tuple[str, str, str]) -> Iterator[DaskProcesses]:
    """A cluster that speaks TLS, and one worker of it."""
    options = [f"--tls-{name}={file}" for name, file in zip(("ca-file", "cert", "key"), certificates, strict=True)]
    with DaskProcesses(tmp_path_factory.mktemp("dask"), options) as processes:
        processes.start_worker()
        yield processes


def test_jobs_run_on_a_cluster_that_speaks_tls(
    encrypted: DaskProcesses, certificates: tuple[str, str, str], workspace: Workspace
) -> None:
    settings = ExecutorSettings("dask", encrypted.address, *certificates)
    service = JobService(workspace, executor=settings.new_executor(workspace, 1, None))
    job = service.submit(JobRequest(task="3dblur", input_dir="dicom_data"))
    assert wait_for_end(service, job.uid).state == "succeeded"
    service.close()


def test_a_cluster_that_speaks_tls_answers_nobody_without_a_certificate_of_its_ca(
    encrypted: DaskProcesses, certificates: tuple[str, str, str], tmp_path: Path
) -> None:
    port = encrypted.port
    wait_until(lambda: answer(port, certificates))
    assert not answer(port, None)
    assert not answer(port, ("", "", ""))
    assert not answer(port, write_certificates(tmp_path / "theirs"))


def test_a_cluster_of_our_own_answers_nobody_else(workspace: Workspace, tmp_path: Path) -> None:
    before = listening_addresses()
    executor = DaskExecutor(workspace, DaskSettings(), slots=1)
    executor.prepare()
    wait_until(lambda: executor.free_slots() == 1)
    theirs = write_certificates(tmp_path / "theirs")
    listening = listening_addresses() - before
    assert len(listening) >= 4
    for port in {address.port for address in listening}:
        plain, nameless, stranger = (answer(port, files) for files in (None, ("", "", ""), theirs))
        assert plain in (b"", b"HTTP/1.1 404")
        assert nameless == stranger == b""
    executor.close()


@pytest.mark.parametrize(
    ("scheduler", "files", "words"),
    [
        ("tcp://node1:8786", "", "node1:8786 is another machine, not encrypted"),
        ("node1:8786", "", "another machine"),
        ("10.0.0.5:8786", "", "another machine"),
        ("tcp://127.0.0.1.example.org:8786", "", "another machine"),
        ("tcp://127.0.0.1:8786", "ack", "is not encrypted, though certificates are given; say tls://"),
        ("tls://node1:8786", "", "give the files of CA, certificate and key"),
        ("tls://node1:8786", "ac", "of CA, certificate and key only CA and certificate given"),
        ("tls://node1:8786", "acx", "the key file /nowhere.pem cannot be read"),
        ("ws://node1:8786", "ack", "is no address of a Dask scheduler; give one such as 'tls://node1:8786'"),
        ("tls://node1", "ack", "is no address"),
        ("inproc://127.0.0.1:1", "", "is no address"),
    ],
)
def test_an_address_that_is_not_safe_is_refused(
    certificates: tuple[str, str, str], scheduler: str, files: str, words: str
) -> None:
    named = dict(zip("ack", certificates, strict=False)) | {"a": certificates[0], "k": certificates[2]}
    ca_file = named["a"] if "a" in files else ""
    cert_file = certificates[1] if "c" in files else ""
    key_file = "/nowhere.pem" if "x" in files else named["k"] if "k" in files else ""
    with pytest.raises(ExecutorUnusable) as refusal:
        DaskSettings(scheduler, ca_file, cert_file, key_file)
    assert words in str(refusal.value)


@pytest.mark.parametrize(
    "scheduler", ["tcp://127.0.0.1:8786", "localhost:8786", "tcp://[::1]:8786", "127.0.0.53:8786", ""]
)
def test_this_machine_needs_no_certificates(scheduler: str) -> None:
    DaskSettings(scheduler)


def test_without_the_packages_it_is_said_how_to_get_them(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ExecutorUnusable, match=r"distributed not installed; pip install 'dlp-lab\[dask\]'"):
        ExecutorSettings(executor="dask").new_executor(workspace, 1, None)


def test_the_environment_says_which_executor_a_service_has(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = ExecutorSettings("dask", "tls://node1:8786", "a", "b", "c", 1.5, 3)
    assert ExecutorSettings.from_environment(settings.to_environment()) == settings
    assert ExecutorSettings.from_environment({}) == ExecutorSettings()
    assert isinstance(ExecutorSettings().new_executor(workspace, 1, None), LocalExecutor)
    monkeypatch.setenv("DLP_LAB_EXECUTOR", "dask")
    monkeypatch.setenv("DLP_LAB_DASK_SCHEDULER", "node1:8786")
    with pytest.raises(ExecutorUnusable, match="another machine"):
        JobService(workspace)
    monkeypatch.setenv("DLP_LAB_EXECUTOR", "cloud")
    with pytest.raises(ExecutorUnusable, match="there is no executor 'cloud'; there are: local, dask"):
        JobService(workspace)
    monkeypatch.setenv("DLP_LAB_EXECUTOR", "local")
    for memory in ("much", "-1", "inf"):
        monkeypatch.setenv("DLP_LAB_MAX_JOB_MEMORY_GIB", memory)
        with pytest.raises(ExecutorUnusable, match="memory"):
            JobService(workspace)
    monkeypatch.delenv("DLP_LAB_MAX_JOB_MEMORY_GIB")
    for niceness in ("very", "-1", "20"):
        monkeypatch.setenv("DLP_LAB_JOB_NICENESS", niceness)
        with pytest.raises(ExecutorUnusable, match="niceness"):
            JobService(workspace)


@pytest.mark.parametrize("executor", ["local", "dask"])
def test_a_job_that_needs_more_memory_than_the_settings_allow_fails_and_says_so(
    workspace: Workspace, probe_package: Path, executor: str
) -> None:
    settings = ExecutorSettings(executor, max_job_memory_gib=1.0)
    service = JobService(workspace, executor=settings.new_executor(workspace, 1, None))
    job = service.submit(JobRequest(task="probe", input_dir="dicom_data", params={"act": "allocate"}))
    ended = wait_for_end(service, job.uid)
    service.close()
    assert (ended.state, ended.error_code) == ("failed", "OUT_OF_MEMORY")
    assert "more than the 1 GiB of memory that it may have" in ended.message


def test_the_command_line_says_what_is_wrong_with_the_settings(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in ExecutorSettings("dask", "tls://node1:8786").to_environment().items():
        monkeypatch.setenv(name, value)
    folder = str(workspace.root / "dicom_data")
    assert cli.main(["run", "3dblur", folder, "--root", str(workspace.root)]) == 2
    assert "give the files of CA, certificate and key" in capsys.readouterr().err
    assert cli.main(["submit", "3dblur", folder, "--root", str(workspace.root)]) == 0  # runs nothing itself


def test_dask_is_not_loaded_for_jobs_of_this_machine(workspace: Workspace) -> None:
    program = (
        "import sys; from pathlib import Path; from dlp_lab.jobs.service import JobService;"
        "from dlp_lab.store.workspace import Workspace; service = JobService(Workspace(Path(sys.argv[1])));"
        "print(*sorted({'dask', 'distributed'} & set(sys.modules))); service.close()"
    )
    command = [sys.executable, "-c", program, str(workspace.root)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == ""


def test_a_script_without_a_guard_may_have_a_cluster_of_its_own(workspace: Workspace, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("""
import sys, time
from pathlib import Path
from dlp_lab.jobs.executor_settings import ExecutorSettings
from dlp_lab.store.workspace import Workspace
print("once", flush=True)
executor = ExecutorSettings("dask").new_executor(Workspace(Path(sys.argv[1])), 1, None)
executor.prepare()
until = time.monotonic() + 120
while not executor.free_slots() and time.monotonic() < until:
    time.sleep(0.05)
print(executor.free_slots())
executor.close()
""")
    command = [sys.executable, str(script), str(workspace.root)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.split() == ["once", "1"]


def test_dask_leaves_the_logs_of_the_server_alone() -> None:
    program = (
        "import logging; from dlp_lab.jobs.dask_settings import import_distributed; import_distributed();"
        "print(logging.getLogger('tornado').level, logging.getLogger('tornado').handlers)"
    )
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "0 []"
