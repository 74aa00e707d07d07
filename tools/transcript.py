"""Every answer of the stand-alone backend, as `curl` shows it.

    python -m tools.transcript

Starts `dlp-lab serve` on a folder of its own and calls it with curl, once for each status code. Prints the transcript,
and ends with status 1 if a code is not the one expected.
"""

from __future__ import annotations

import json
import os
import secrets
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.phantom import write_phantom_series, write_undecodable_series

TOKEN = secrets.token_hex(16)
_SHOWN = 1500
AUTHORIZED = ["-H", "Authorization: token $JUPYTER_TOKEN"]


class Transcript:
    """Calls curl and prints what it was asked and what came."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.unexpected = 0

    def curl(self, expected: int, path: str, *arguments: str, quiet: bool = False) -> dict[str, str]:
        command = ["curl", "-s", "-w", "\n%{http_code}", *arguments, f"{self._url}{path}"]
        sent = [argument.replace("$JUPYTER_TOKEN", TOKEN) for argument in command]
        body, _, code = subprocess.run(sent, capture_output=True, text=True, check=True).stdout.rpartition("\n")
        if not quiet:
            shown = " ".join(_quoted(word) for word in command if word not in ("-s", "-w", "\n%{http_code}"))
            print(f"$ {shown}\n{code} {body if len(body) <= _SHOWN else body[:_SHOWN] + ' ...'}\n")
            self.unexpected += int(code) != expected
        answer: dict[str, str] = json.loads(body) if body.startswith("{") and body.endswith("}") else {}
        return answer | {"code": code}

    def ask(self, expected: int, path: str, *arguments: str, body: object = None) -> dict[str, str]:
        """The versioned API: POST where there is a body."""
        sent = [] if body is None else ["-d", json.dumps(body)]
        return self.curl(expected, f"api/v1/{path}", *AUTHORIZED, *sent, *arguments)

    def submit(self, expected: int, **body: object) -> dict[str, str]:
        return self.curl(expected, "job/", *AUTHORIZED, "-d", json.dumps(body))

    def query(self, expected: int, uid: str, quiet: bool = False) -> dict[str, str]:
        return self.curl(expected, f"query/{uid}", *AUTHORIZED, quiet=quiet)

    def wait(self, uid: str) -> None:
        deadline = time.monotonic() + 60
        while self.query(202, uid, quiet=True)["code"] == "202" and time.monotonic() < deadline:
            time.sleep(0.1)


def _quoted(word: str) -> str:
    return f'"{word}"' if "$" in word else shlex.quote(word)


def write(transcript: Transcript, root: Path) -> None:
    """All the calls."""
    uid = transcript.submit(201, job_name="3dblur", in_dir="dicom_data", params={"sigma_mm": 8})["uid"]
    transcript.query(202, uid)
    transcript.wait(uid)
    transcript.query(200, uid)
    transcript.query(404, "0" * 32)
    transcript.submit(400, job_name="3dblur")
    transcript.curl(400, "job/", *AUTHORIZED, "-d", "not JSON")
    transcript.submit(422, job_name="sharpen", in_dir="dicom_data")
    transcript.submit(422, job_name="3dblur", in_dir="absent")
    transcript.submit(422, job_name="3dblur", in_dir="empty")
    transcript.submit(422, job_name="3dblur", in_dir="../elsewhere")
    transcript.submit(422, job_name="3dblur", in_dir="gap")
    transcript.submit(422, job_name="3dblur", in_dir="dicom_data", params={"sigma_mm": -1})
    transcript.submit(422, job_name="3dblur", in_dir="cut_off")
    damaged = transcript.submit(201, job_name="3dblur", in_dir="damaged")["uid"]
    transcript.wait(damaged)
    transcript.query(500, damaged)
    transcript.curl(403, "job/", "-d", '{"job_name": "3dblur", "in_dir": "dicom_data"}')
    transcript.curl(403, f"query/{uid}")
    write_versioned(transcript, uid, damaged)


def write_versioned(transcript: Transcript, done: str, failed: str) -> None:
    """The calls of the versioned API, on a job that has succeeded and one that has failed."""
    ask = transcript.ask
    ask(200, "health")
    ask(200, "tasks/3dblur")
    ask(404, "tasks/sharpen")
    request = {"task": "3dblur", "input_dir": "dicom_data"}
    uid = ask(201, "jobs", body=request)["uid"]
    transcript.wait(uid)
    ask(200, "jobs", body={"jobs": [request, {**request, "params": {"sigma_mm": -1}}]})
    ask(400, "jobs", body={"task": "3dblur"})
    ask(422, "jobs", body={**request, "input_dir": "gap"})
    ask(422, "jobs", body={**request, "input_dir": "http://example.org/series"})
    ask(200, "jobs?state=failed&folder=DAMAGED&limit=1")
    ask(400, "jobs?submitted_after=soon")
    ask(404, f"jobs/{'0' * 32}")
    ask(409, f"jobs/{done}/cancel", body={})
    ask(409, f"jobs/{done}/retry", body={})
    ask(200, f"jobs/{failed}/log?offset=0")
    ask(200, f"jobs/{done}/files")
    ask(206, f"jobs/{done}/files/job.json", "-H", "Range: bytes=0-63")
    ask(416, f"jobs/{done}/files/job.json", "-H", "Range: bytes=99999999-")
    ask(404, f"jobs/{done}/files/..%2fjob.json")
    ask(200, f"jobs/{done}/preview", "-o", os.devnull)
    ask(404, f"jobs/{failed}/preview")
    ask(200, "series?dir=gap")
    ask(200, "series?dir=dicom_data")
    ask(422, "series?dir=..")
    ask(422, "series/thumbnail?dir=dicom_data&series=1.2.3")
    ask(200, "openapi.json")
    ask(405, "health", "-X", "DELETE")
    ask(204, f"jobs/{failed}", "-X", "DELETE")


def main() -> int:
    """Start the backend, write the transcript, stop the backend."""
    with tempfile.TemporaryDirectory() as made:
        root = Path(made)
        write_phantom_series(root / "dicom_data", modality="MR", shape=(40, 256, 256), spacing_kji_mm=(0.5, 0.2, 0.2))
        write_phantom_series(root / "gap").files[3].unlink()
        last = write_phantom_series(root / "cut_off").files[-1]
        last.write_bytes(last.read_bytes()[:-20])
        write_undecodable_series(root / "damaged")
        (root / "empty").mkdir()
        log = root / "printed"
        with open(log, "w") as printed:
            backend = subprocess.Popen(
                [sys.executable, "-m", "dlp_lab", "serve", "--port=0"],
                cwd=root,
                stdout=printed,
                stderr=subprocess.STDOUT,
                env=os.environ | {"JUPYTER_TOKEN": TOKEN},
            )
        try:
            transcript = Transcript(_url(backend, log))
            write(transcript, root)
        finally:
            backend.send_signal(signal.SIGTERM)
            backend.wait(20)
    return int(transcript.unexpected > 0)


def _url(backend: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and backend.poll() is None:
        words = log.read_text().split()
        if "serves" in words:
            return words[words.index("serves") + 2]
        time.sleep(0.05)
    raise SystemExit(f"the backend did not start:\n{log.read_text()}")


if __name__ == "__main__":
    sys.exit(main())
