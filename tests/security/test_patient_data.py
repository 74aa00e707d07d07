"""What a data set says of the patient is in the results alone; a folder's name only where it was asked with."""

from __future__ import annotations

import json
import os
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from dlp_lab.cli import main
from dlp_lab.server.extension import ROUTES
from tests.jobs.waiting import paths_below
from tests.patience import ENDLESS_S, PATIENCE_S, wait_until
from tests.security.patient_data import FOLDER_SENTINEL, text_tags, told_of, write_patient_series
from tests.server.test_standalone import Backend, starter

CASE = f"{FOLDER_SENTINEL} <img src=x onerror=alert(1)>"

_JSON = "Content-Type: application/json"


@dataclass
class Served:
    """A server that has run jobs of all kinds on the patient's series, and all that it said."""

    backend: Backend
    answers: list[tuple[str, str]] = field(default_factory=list)
    processes: str = ""
    temporary: set[str] = field(default_factory=set)
    uids: dict[str, str] = field(default_factory=dict)

    @property
    def output(self) -> Path:
        return self.backend.folder / "dlp-lab-output"

    def ask(self, path: str, body: object = None, method: str | None = None) -> Any:
        """The answer's body; headers and body are kept."""
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.backend.address + path, content, method=method)
        request.add_header("Authorization", f"token {self.backend.token}")
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
                text, headers = answer.read().decode(errors="backslashreplace"), str(answer.headers)
        except urllib.error.HTTPError as error:
            text, headers = error.read().decode(), str(error.headers)
        self.answers.append((headers, text))
        return json.loads(text or "null") if _JSON in headers else None

    def submit(self, name: str, **body: Any) -> None:
        self.uids[name] = self.ask("dlp-lab/api/v1/jobs", {"input_dir": CASE, **body})["uid"]

    def job(self, name: str) -> Any:
        return self.ask(f"dlp-lab/api/v1/jobs/{self.uids[name]}")

    def look_around(self) -> None:
        """What others on the machine could see while a job runs."""
        for process in Path("/proc").glob("[0-9]*"):
            try:
                environment = (process / "environ").read_bytes().decode(errors="replace")
                if str(self.backend.folder) in environment:
                    self.processes += (process / "cmdline").read_bytes().decode(errors="replace") + environment
            except OSError:
                continue
        for folder in (self.backend.folder / "tmp", self.output):
            self.temporary |= {path.name for path in paths_below(folder)}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, probe_package: Path) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("patient")
    (folder / "tmp").mkdir()
    write_patient_series(folder / CASE)
    refused = folder / f"{FOLDER_SENTINEL} refused"
    write_patient_series(refused / "one", slices=2)
    write_patient_series(refused / "two", slices=2)
    starts = starter(folder)
    served = Served(next(starts)("--DlpLabApp.log_level=DEBUG", "--max-concurrent-jobs=3", TMPDIR=str(folder / "tmp")))
    served.submit("cancelled", task="probe", params={"seconds": ENDLESS_S})
    served.submit("series", task="3dblur", keep_hdf5=True)
    served.submit("multiframe", task="3dblur", output_form="multiframe")
    served.submit("map", task="3dblur", output_form="parametric_map")
    served.submit("defect", task="probe", params={"act": "bug"})
    served.submit("crash", task="probe", params={"act": "crash"})
    wait_until(lambda: served.job("cancelled")["progress"] > 0)
    served.look_around()
    ended = ("succeeded", "failed")
    wait_until(
        lambda: all(served.job(name)["state"] in ended for name in served.uids if name != "cancelled"),
        served.backend.told,
    )
    served.look_around()
    served.ask(f"dlp-lab/api/v1/jobs/{served.uids['cancelled']}/cancel", {})
    wait_until(lambda: served.job("cancelled")["state"] == "cancelled")
    states = [served.job(name)["state"] for name in served.uids]
    assert states == ["cancelled", "succeeded", "succeeded", "succeeded", "failed", "failed"]
    served.ask("job/", {"job_name": "3dblur", "in_dir": refused.name})
    served.ask("dlp-lab/api/v1/jobs", {"task": "3dblur", "input_dir": CASE, "read": {"series": "1.2"}})
    served.ask("dlp-lab/api/v1/jobs", {"task": "3dblur", "input_dir": CASE, "read": {"select": {"PatientName": "x"}}})
    for path, handler in ROUTES:
        for uid in served.uids.values():
            if "get" in vars(handler):
                served.ask("dlp-lab/" + path.replace("([^/]+)", uid).replace("/?", ""))
    served.look_around()
    yield served
    next(starts, None)


def test_the_series_says_it_in_every_text_that_dicom_knows_and_so_do_the_results(served: Served) -> None:
    assert len(text_tags()) > 1500
    for name, files in (("series", "0001.dcm"), ("multiframe", "0001.dcm"), ("map", "0001.dcm")):
        content = (served.output / served.uids[name] / files).read_bytes().decode("latin-1")
        assert "ZZPHIPATIENTNAME" in content
    assert len(set(told_of((served.output / served.uids["series"] / "0001.dcm").read_bytes().decode("latin-1")))) > 1000


def test_no_answer_of_any_route_tells_of_the_patient(served: Served) -> None:
    assert len(served.answers) > 50
    for headers, body in served.answers:
        assert told_of(headers + body) == []
        assert FOLDER_SENTINEL not in headers
    refusals = [body for _, body in served.answers if "--series" in body or "no image of the series" in body]
    assert len(refusals) >= 2


def test_every_answer_is_json_or_a_picture_that_no_browser_takes_for_a_page_whatever_html_is_in_it(
    served: Served,
) -> None:
    assert any("<img src=x onerror" in body for _, body in served.answers)
    for headers, _ in served.answers:
        assert _JSON in headers or "Content-Type: image/png" in headers
        assert "X-Content-Type-Options: nosniff" in headers
        assert "default-src 'none'" in headers


def test_no_log_of_the_server_tells_of_the_patient_or_of_the_folder(served: Served) -> None:
    for name in ("debug.log", "stderr"):
        text = (served.backend.folder / name).read_text()
        assert served.uids["crash"] in text or name == "stderr"
        assert told_of(text) == []
        assert FOLDER_SENTINEL not in text


def test_queue_locks_and_logs_of_the_jobs_tell_nothing_but_the_folder_that_was_asked_for(served: Served) -> None:
    state = served.output / ".dlp-lab"
    names = {path.name for path in state.rglob("*") if path.is_file()}
    assert {"jobs.sqlite", "jobs.sqlite-wal", "dispatcher.lock", f"{served.uids['defect']}.log"} <= names
    for path in state.rglob("*"):
        if path.is_file():
            content = path.read_bytes().decode("latin-1")
            assert told_of(content) == [], path.name
            assert FOLDER_SENTINEL not in content or path.name.startswith("jobs.sqlite"), path.name


def test_neither_the_process_list_nor_any_name_of_a_file_tells_of_patient_or_folder(served: Served) -> None:
    assert "forkserver" in served.processes or "multiprocessing" in served.processes
    assert any(name.startswith("tmp") or name.startswith("pymp") for name in served.temporary)
    for text in (served.processes, *served.temporary):
        assert told_of(text) == []
        assert FOLDER_SENTINEL not in text


def test_the_record_of_a_result_and_the_json_beside_its_hdf5_tell_nothing_of_the_patient(served: Served) -> None:
    found = list(served.output.rglob("*.json"))
    assert {path.name for path in found} == {"job.json", "source.json", "result.json", "limits.json"}
    for path in found:
        assert told_of(path.read_text()) == [], path.name


def test_what_failed_or_was_cancelled_leaves_nothing_behind(served: Served) -> None:
    for name in ("defect", "crash", "cancelled"):
        assert list(served.output.glob(f"*{served.uids[name]}*")) == []


def test_an_event_holds_uid_state_and_progress_and_no_more() -> None:
    from dlp_lab.server.events import job_event_schema

    schema = job_event_schema()
    assert set(schema["properties"]) == {"uid", "state", "progress"}
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize("keep_phi", [False, True])
@pytest.mark.parametrize("headers", ["none", "full"])
def test_converted_files_tell_of_the_patient_only_where_that_is_asked_for(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], headers: str, keep_phi: bool
) -> None:
    write_patient_series(tmp_path / CASE)
    hdf5, text = tmp_path / "v.h5", tmp_path / "v.json"
    options = ["--headers", headers, *(["--keep-phi"] if keep_phi else [])]
    assert main(["dicom-to-hdf5", "-i", str(tmp_path / CASE), "-h", str(hdf5), "-j", str(text), *options]) == 0
    assert bool(told_of(hdf5.read_bytes().decode("latin-1"))) == (headers == "full")
    assert bool(told_of(text.read_text())) == keep_phi
    printed = capfd.readouterr()
    assert told_of(printed.out + printed.err) == []


def test_the_command_line_tells_of_the_patient_only_in_the_listing_of_series(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_patient_series(tmp_path / CASE)
    shutil.copytree(tmp_path / CASE, tmp_path / "both" / "one")
    write_patient_series(tmp_path / "both" / "two")
    monkeypatch.chdir(tmp_path)
    assert main(["run", "3dblur", CASE, "--root", "."]) == 0
    result = capfd.readouterr().out.strip()
    assert main(["run", "3dblur", "both", "--root", "."]) == 2
    assert main(["jobs", "--root", "."]) == 0
    assert main(["jobs", "--json", "--root", "."]) == 0
    assert main(["log", os.path.basename(result), "--root", "."]) == 0
    assert main(["check", CASE, result]) in (0, 1)
    printed = capfd.readouterr()
    assert result.split("/")[-1] in printed.out
    assert told_of(printed.out + printed.err) == []
    assert main(["series", CASE]) == 0
    assert told_of(capfd.readouterr().out) == ["ZZPHISERIESDESCR"]
