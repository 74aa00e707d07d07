"""What a client, a scanner or a task says cannot look like a line of a log, nor command a terminal."""

from __future__ import annotations

import json
import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from dlp_lab.cli import main
from dlp_lab.jobs.handle import job_service
from dlp_lab.store.workspace import Workspace
from tests.patience import PATIENCE_S, wait_until
from tests.phantom import write_phantom_series
from tests.server.test_standalone import Backend, starter

FORGED = "ERROR forged line"
HOSTILE = f"a\r\n{FORGED}\x1b[31m\x1b]0;t\x07\u2028{FORGED}\x9b31m\x85{FORGED}\u202e"
ALLOWED = "\n\t"


def unsafe(text: str) -> set[str]:
    """Characters that end a line or command a terminal, but for line feeds and tabs."""
    return {c for c in text if not c.isprintable() and c not in ALLOWED}


def hostile_description(_: int, ds: Dataset) -> None:
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SeriesDescription = ds.StudyDescription = HOSTILE[:64]


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory, probe_package: Path) -> Iterator[Backend]:
    starts = starter(tmp_path_factory.mktemp("lines"))
    yield next(starts)("--DlpLabApp.log_level=DEBUG")
    next(starts, None)


def test_no_request_can_forge_a_line_of_the_servers_log_or_command_its_terminal(backend: Backend) -> None:
    write_phantom_series(backend.folder / HOSTILE, edit=hostile_description)
    port = int(backend.address.rstrip("/").rpartition(":")[2])
    for line in (
        f"GET /{FORGED}\x1b[31m HTTP/1.1",
        f"GET /a\r{FORGED} HTTP/1.1",
        "GET /%0d%0aERROR%20forged%20line%1b%5b31m%e2%80%a8x HTTP/1.1",
        "GET /\x9b31m\x85 HTTP/1.1",
        f"\x1b]0;{FORGED}\x07 / HTTP/1.1",
    ):
        with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as client:
            asked = f"{line}\r\nHost: 127.0.0.1\r\nUser-Agent: \x1b[31m\r\nReferer: http://a/\x1b[31m\r\n"
            client.sendall(f"{asked}Connection: close\r\n\r\n".encode("latin-1"))
            while client.recv(4096):
                pass
    body = {"job_name": "3dblur", "in_dir": HOSTILE}
    assert backend.ask("job/", body)[0] == 201
    assert backend.ask("job/", {"job_name": HOSTILE, "in_dir": "."})[0] == 422
    assert backend.ask("job/", {"job_name": "3dblur", "in_dir": f"no {HOSTILE}"})[0] == 422
    request = urllib.request.Request(backend.address + "job/", json.dumps(body).encode())
    request.add_header("Authorization", f"token {backend.token}")
    request.add_header("Idempotency-Key", "a\x1b[31m\x9b")
    with pytest.raises(urllib.request.HTTPError, match="400"):
        urllib.request.urlopen(request, timeout=PATIENCE_S)
    wait_until(lambda: "succeeded" in (backend.folder / "debug.log").read_text(), backend.told)
    for name in ("debug.log", "stderr"):
        text = (backend.folder / name).read_text(encoding="utf-8")
        assert len(text.splitlines()) == text.count("\n")
        assert unsafe(text) == set(), name
        assert not any(line.startswith(("ERROR", "forged")) for line in text.splitlines())


def test_no_command_says_to_the_terminal_what_it_could_obey(
    tmp_path: Path, probe_package: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    series = write_phantom_series(tmp_path / HOSTILE, edit=hostile_description)
    series.files[0].rename(tmp_path / HOSTILE / f"x{HOSTILE}")
    (tmp_path / HOSTILE / f"note{HOSTILE}").write_text("no image")
    (tmp_path / HOSTILE / f"broken{HOSTILE}").write_bytes(series.files[1].read_bytes()[:400])
    monkeypatch.chdir(tmp_path)
    printed = ""
    for command in (
        ["series", HOSTILE],
        ["series", HOSTILE, "--json"],
        ["run", "3dblur", HOSTILE, "--root", "."],
        ["run", "3dblur", f"no{HOSTILE}", "--root", "."],
        ["dicom-to-hdf5", "-i", f"no{HOSTILE}", "-h", "a.h5", "-j", "a.json"],
        ["dicom-to-hdf5", "-i", HOSTILE, "-h", f"{HOSTILE}/no/a.h5", "-j", "a.json"],
        ["check", HOSTILE, HOSTILE],
        ["hdf5-to-dicom", "-h", f"no{HOSTILE}.h5", "-o", "out"],
    ):
        main(command)
        told = capsys.readouterr()
        assert told.out + told.err
        assert unsafe(told.out + told.err) == set(), command
        printed += told.out + told.err
    assert FORGED in printed
    assert not any(line.startswith("ERROR") for line in printed.splitlines())


def test_neither_the_listing_nor_the_log_of_a_job_commands_the_terminal(
    tmp_path: Path, probe_package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_phantom_series(tmp_path / "in")
    workspace = Workspace(tmp_path)
    (tmp_path / "in").rename(tmp_path / HOSTILE)
    assert main(["run", "probe", str(tmp_path / HOSTILE), "--root", str(tmp_path), "--act", "bug"]) == 1
    (job,) = job_service(workspace).newest().jobs
    with workspace.job_log(job.uid).open("a", encoding="utf-8") as log:
        log.write(HOSTILE)
    capsys.readouterr()
    for command in (["jobs"], ["jobs", "--json"], ["log", job.uid]):
        assert main([*command, "--root", str(tmp_path)]) == 0
        told = capsys.readouterr().out
        assert FORGED in told
        assert unsafe(told) == set(), command
        assert len(told.splitlines()) == told.count("\n") + (not told.endswith("\n"))
