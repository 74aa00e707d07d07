"""`dlp-lab serve` as it starts when nothing is said: on the loopback alone, behind a token that nobody else learns."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.jobs.waiting import opened_by, paths_below
from tests.patience import PATIENCE_S
from tests.server.test_standalone import RUN, starter


def listening(pid: int) -> set[str]:
    """Addresses, in the kernel's hexadecimal, on which a process listens."""
    inodes = {target[8:-1] for target in opened_by(pid).values() if target.startswith("socket:[")}
    lines = [
        line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/{pid}/net/{name}").read_text().splitlines()
    ]
    return {line[1].partition(":")[0] for line in lines if line[3] == "0A" and line[9] in inodes}


def test_by_default_it_listens_on_the_loopback_alone_and_its_token_is_nowhere_but_on_the_screen(
    tmp_path: Path, probe_package: Path
) -> None:
    runtime = tmp_path / "runtime"
    starts = starter(tmp_path)
    backend = next(starts)(JUPYTER_RUNTIME_DIR=str(runtime))
    pid = backend.process.pid
    backend.ask("dlp-lab/api/v1/health")
    loopback = {"0100007F", "0" * 24 + "01000000"}
    assert listening(pid)
    assert listening(pid) <= loopback
    token = backend.token
    assert token not in Path(f"/proc/{pid}/cmdline").read_text()
    assert token not in Path(f"/proc/{pid}/environ").read_text()
    for path in paths_below(tmp_path):
        if path.is_file():
            assert token.encode() not in path.read_bytes(), path
            if path.is_relative_to(runtime):
                assert path.stat().st_mode & 0o077 == 0, path
    next(starts, None)


def test_on_all_addresses_a_token_is_made_too_and_the_missing_tls_is_told(tmp_path: Path, probe_package: Path) -> None:
    starts = starter(tmp_path)
    backend = next(starts)("--ip=0.0.0.0", JUPYTER_TOKEN="")
    assert listening(backend.process.pid) == {"0" * 8}
    assert len(backend.token) >= 32
    assert backend.ask("dlp-lab/api/v1/health", token="x")[0] == 403
    assert backend.ask("dlp-lab/api/v1/health")[0] == 200
    assert "without TLS" in (tmp_path / "stderr").read_text()
    next(starts, None)


def test_an_empty_token_is_refused(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "DLP_LAB"))}
    ended = subprocess.run(
        [sys.executable, "-c", RUN, "--port", "0", "--ip=0.0.0.0", "--IdentityProvider.token="],
        cwd=tmp_path,
        env={**environment, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert ended.returncode != 0
    assert "serves on" not in ended.stdout
    assert "empty token" in ended.stderr
