"""`dlp-lab serve` as a process of its own, asked over the network."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.jobs.listening import listening_addresses
from tests.patience import ENDLESS_S, PATIENCE_S, wait_until
from tests.phantom import write_phantom_series

RUN = "import sys; from dlp_lab.server.standalone import serve; sys.exit(serve(sys.argv[1:]))"


@dataclass
class Backend:
    process: subprocess.Popen[str]
    printed: str
    folder: Path

    @property
    def address(self) -> str:
        return re.findall(r"serves on (\S+)", self.printed)[0]

    @property
    def token(self) -> str:
        return re.findall(r"Authorization: token (\S+)\"", self.printed)[0]

    def ask(self, path: str, body: object = None, token: str | None = None) -> tuple[int, Any]:
        request = urllib.request.Request(self.address + path, json.dumps(body).encode() if body is not None else None)
        request.add_header("Authorization", f"token {token or self.token}")
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            text = error.read()
            return error.code, json.loads(text) if text.startswith(b"{") else text
        except OSError as error:
            error.add_note(self.told())
            raise

    def told(self) -> str:
        """What the server printed and logged of late, for who reads that a test failed."""
        logs = (self.folder / name for name in ("stderr", "debug.log"))
        return "\n".join(f"{log.name}:\n{log.read_text()[-5000:]}" for log in logs if log.exists())

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout=PATIENCE_S)


Start = Callable[..., Backend]


@pytest.fixture
def start(tmp_path: Path, probe_package: Path) -> Iterator[Start]:
    """Starts backends in a fresh folder."""
    yield from starter(tmp_path)


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory, probe_package: Path) -> Iterator[Backend]:
    """One backend for all tests that leave it as it is."""
    starts = starter(tmp_path_factory.mktemp("backend"))
    yield next(starts)()
    next(starts, None)


def starter(tmp_path: Path) -> Iterator[Start]:
    write_phantom_series(tmp_path / "dicom_data")
    config = tmp_path / "home" / ".jupyter"
    config.mkdir(parents=True)
    everything = {"ServerApp": {"jpserver_extensions": {"jupyter_server_terminals": True, "jupyter_lsp": True}}}
    (config / "jupyter_server_config.json").write_text(json.dumps(everything))
    (config / "jupyter_config.json").write_text(json.dumps(everything))
    backends: list[Backend] = []

    def run(*options: str, **variables: str) -> Backend:
        environment = {**os.environ, "HOME": str(tmp_path / "home"), **variables}
        for variable in ("DLP_LAB_ROOT", "DLP_LAB_OUTPUT", "JUPYTER_CONFIG_DIR"):
            environment.pop(variable, None)
        if "JUPYTER_TOKEN" not in variables:
            environment.pop("JUPYTER_TOKEN", None)
        process = subprocess.Popen(
            [sys.executable, "-c", RUN, "--port", "0", *options],
            cwd=tmp_path,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=(tmp_path / "stderr").open("a"),
        )
        assert process.stdout
        printed = ""
        while "curl" not in printed or "/job/" not in printed:
            line = process.stdout.readline()
            assert line, "the server did not start:\n" + (tmp_path / "stderr").read_text()
            printed += line
        backends.append(Backend(process, printed, tmp_path))
        return backends[-1]

    yield run
    for backend in backends:
        if backend.process.poll() is None:
            backend.stop(signal.SIGKILL)
        assert backend.process.stdout
        backend.process.stdout.close()


def journal_of(backend: Backend) -> dict[str, Any]:
    return {"journal": str(backend.folder / "journal"), "label": "x"}


def query_until(backend: Backend, uid: str, status: int = 200) -> Any:
    wait_until(lambda: backend.ask(f"query/{uid}")[0] != 202, backend.told)
    code, reply = backend.ask(f"query/{uid}")
    assert code == status, f"{reply}\n{backend.told()}"
    return reply


def test_the_printed_command_works_as_pasted(backend: Backend) -> None:
    command = "curl" + backend.printed.split("curl")[1].split("/job/")[0] + "/job/"
    answer = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True).stdout
    done = query_until(backend, json.loads(answer)["uid"])
    assert (backend.folder / done["output_dir"] / "0001.dcm").is_file()


def test_jupyter_token_sets_the_token_and_is_not_shown(start: Start) -> None:
    backend = start(JUPYTER_TOKEN="open-sesame")
    assert "open-sesame" not in backend.printed
    assert backend.token == "$JUPYTER_TOKEN"
    assert backend.ask("dlp-lab/api/v1/health", token="open-sesame")[0] == 200
    assert backend.ask("dlp-lab/api/v1/health", token="other")[0] == 403
    assert backend.ask("job/", {"job_name": "3dblur", "in_dir": "dicom_data"}, token="other")[0] == 403


def test_without_it_the_token_is_random_shown_once_and_never_logged(start: Start) -> None:
    tokens = []
    for _ in range(2):
        backend = start()
        backend.ask("query/x")
        backend.stop()
        assert backend.process.stdout
        printed = backend.printed + backend.process.stdout.read()
        assert printed.count(backend.token) == 1
        assert backend.token not in (backend.folder / "debug.log").read_text()
        assert backend.token not in (backend.folder / "stderr").read_text()
        tokens.append(backend.token)
    assert len(set(tokens)) == 2
    assert min(len(token) for token in tokens) >= 32


def test_the_log_is_debug_log_in_the_current_folder_for_its_owner_alone(backend: Backend) -> None:
    _, reply = backend.ask("job/", {"job_name": "3dblur", "in_dir": "dicom_data"})
    query_until(backend, reply["uid"])
    log = backend.folder / "debug.log"
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert f"job {reply['uid']}: attempt 1 succeeded" in log.read_text()
    assert "dicom_data" not in log.read_text()


def test_files_kernels_and_terminals_are_not_served(backend: Backend) -> None:
    (backend.folder / "secret.txt").write_text("secret")
    for path in (
        *("files/secret.txt", "view/secret.txt", "tree", "lab", "edit/secret.txt", "nbconvert/html/secret.txt"),
        *("api/contents", "api/contents/secret.txt", "api/kernels", "api/sessions", "api/terminals", "api/config/x"),
        *("terminals/1", "api/shutdown", "lsp/status", "api/kernelspecs", "static/../secret.txt"),
    ):
        assert backend.ask(path)[0] == 404, path


def test_a_mistyped_address_is_404_in_json_and_the_top_tells_what_this_is(backend: Backend) -> None:
    for path in ("jobs", "dlp-lab/query", "x/y"):
        code, reply = backend.ask(path)
        assert (code, list(reply)) == (404, ["msg"])
    code, reply = backend.ask("")
    assert code == 200
    assert "POST job/ submits a job" in reply["msg"]
    assert backend.ask("", token="bad")[0] == 403


def test_the_routes_are_at_the_root_and_below_dlp_lab(start: Start) -> None:
    backend = start("--root", "dicom_data/..", "--output-dir", "results", "--max-concurrent-jobs", "1")
    for prefix in ("", "dlp-lab/"):
        code, reply = backend.ask(f"{prefix}job/", {"job_name": "3dblur", "in_dir": "dicom_data"})
        assert code == 201
        assert query_until(backend, reply["uid"])["output_dir"] == f"results/{reply['uid']}"
        assert backend.ask(f"{prefix}query/{reply['uid']}")[0] == 200


def test_a_body_that_is_too_large_is_refused_before_it_is_sent(backend: Backend) -> None:
    host, _, port = backend.address.split("//")[1].rstrip("/").rpartition(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE_S) as connection:
        head = f"POST /job/ HTTP/1.1\r\nHost: localhost\r\nAuthorization: token {backend.token}\r\n"
        connection.sendall(f"{head}Content-Length: 2000000\r\n\r\n".encode())
        answer = connection.makefile("rb").read().decode()
    assert answer.startswith("HTTP/1.1 400")
    assert '{"msg":"the body is larger than 1048576 bytes' in answer
    assert backend.ask("dlp-lab/api/v1/health")[0] == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_though_a_job_runs_which_waits_for_the_next_start(
    start: Start, number: signal.Signals
) -> None:
    backend = start()
    journal = backend.folder / "journal"
    body = {"job_name": "probe", "in_dir": "dicom_data", "params": {"seconds": ENDLESS_S, **journal_of(backend)}}
    _, reply = backend.ask("job/", body)
    wait_until(journal.exists)
    assert backend.stop(number) == 0
    again = start()
    wait_until(lambda: journal.read_text() == "start x\n" * 2, again.told)
    assert again.ask(f"query/{reply['uid']}")[0] == 202


def test_a_job_outlives_a_backend_that_is_killed(start: Start) -> None:
    backend = start()
    body = {"job_name": "probe", "in_dir": "dicom_data", "params": {"seconds": 4, **journal_of(backend)}}
    _, reply = backend.ask("job/", body)
    wait_until((backend.folder / "journal").exists)
    backend.stop(signal.SIGKILL)
    again = start()
    assert query_until(again, reply["uid"])["state"] == "succeeded"
    assert (backend.folder / "journal").read_text().split("\n")[:3] == ["start x", "start x", "end x"]


def run_to_its_end(tmp_path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", RUN, *options],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def test_help_shows_every_option(tmp_path: Path) -> None:
    ended = run_to_its_end(tmp_path, "--help-all")
    assert ended.returncode == 0
    for option in ("root", "output_dir", "max_concurrent_jobs", "executor", "log_file", "log_level"):
        assert f"--DlpLabApp.{option}=" in ended.stdout
    assert "Default: 'INFO'" in ended.stdout.split("--DlpLabApp.log_level=")[1].split("--")[0]
    assert "Default: 8080" in ended.stdout.split("--BackendServer.port=")[1].split("--")[0]
    assert "Default: 'localhost'" in ended.stdout.split("--BackendServer.ip=")[1].split("--")[0]


def test_it_does_not_start_without_a_login(tmp_path: Path) -> None:
    ended = run_to_its_end(tmp_path, "--port", "0", "--IdentityProvider.token=")
    assert ended.returncode == 1
    assert "authentication cannot be switched off" in ended.stderr


def test_a_root_that_does_not_exist_is_refused_in_one_sentence(tmp_path: Path) -> None:
    ended = run_to_its_end(tmp_path, "--port", "0", "--root", "nowhere")
    assert ended.returncode == 2
    assert "the root nowhere is not a folder" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--roots", "."], "there is no option --roots"),
        (["--output-dir", "in-the-way"], "the output folder 'in-the-way' cannot be made"),
        (["--log-file", "absent/x.log"], "--log-file"),
    ],
)
def test_what_it_cannot_do_as_told_is_one_sentence_and_exit_status_2(
    tmp_path: Path, options: list[str], said: str
) -> None:
    (tmp_path / "in-the-way").touch()
    ended = run_to_its_end(tmp_path, "--port", "0", *options)
    assert ended.returncode == 2
    assert said in ended.stderr.splitlines()[-1]
    assert "Traceback" not in ended.stderr
    assert "curl" not in ended.stdout


def test_it_serves_though_nobody_reads_what_it_prints(tmp_path: Path) -> None:
    command = [sys.executable, "-c", RUN, "--port", "0"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with (tmp_path / "stderr").open("w") as stderr:
        reader, writer = os.pipe()
        os.close(reader)
        process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=writer, stderr=stderr)
        os.close(writer)
        wait_until(lambda: listening_addresses(process.pid), (tmp_path / "stderr").read_text)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0, (tmp_path / "stderr").read_text()
    assert "Error" not in (tmp_path / "stderr").read_text()


def test_an_interruption_before_it_serves_is_one_sentence(tmp_path: Path) -> None:
    script = (
        "import builtins, sys; from dlp_lab import cli; real = builtins.__import__\n"
        "def interrupted(name, *rest):\n"
        "    if name == 'dlp_lab.server.standalone': raise KeyboardInterrupt\n"
        "    return real(name, *rest)\n"
        "builtins.__import__ = interrupted; sys.exit(cli.main(['serve']))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert (ended.returncode, ended.stderr) == (130, "dlp-lab serve: interrupted\n")


def test_a_slow_folder_does_not_hold_up_the_stop(start: Start) -> None:
    backend = start()
    (backend.folder / "slow").mkdir()
    for number in range(30000):
        os.link(backend.folder / "dicom_data" / "00000", backend.folder / "slow" / f"{number}")
    answers = []

    def ask() -> None:
        with contextlib.suppress(OSError):
            answers.append(backend.ask("job/", {"job_name": "3dblur", "in_dir": "slow"}))

    asking = threading.Thread(target=ask)
    asking.start()
    time.sleep(0.5)
    assert backend.stop() == 0
    asking.join()
    # the stop did not wait for the folder: there is no answer, or one that says that the server stops
    assert [status for status, _ in answers if status != 503] == []


def test_a_port_that_is_taken_is_an_error_and_not_another_port(start: Start, tmp_path: Path) -> None:
    port = start().address.rstrip("/").rpartition(":")[2]
    ended = run_to_its_end(tmp_path, "--port", port)
    assert ended.returncode == 1
    assert f"port {port} is not available" in ended.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="warns only root")
def test_it_runs_as_root_with_a_warning(start: Start) -> None:
    assert "running as root" in (start().folder / "stderr").read_text()
