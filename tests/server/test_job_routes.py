from __future__ import annotations

import asyncio
import json
import logging
import re
import threading
from pathlib import Path
from typing import Any

import pytest
from jupyter_server.serverapp import ServerApp
from tornado.httpclient import HTTPResponse

from tests.patience import ENDLESS_S, PATIENCE_S, until
from tests.server.conftest import Fetch


async def query_until(fetch: Fetch, uid: str, status: int) -> dict[str, Any]:
    async def settled() -> HTTPResponse | None:
        answer = await fetch(f"query/{uid}")
        return answer if answer.code != 202 or status == 202 else None

    answer = await until(settled)
    assert answer.code == status, answer.body
    return json.loads(answer.body)


async def keep_busy(fetch: Fetch) -> str:
    """Uid of a job that takes the only slot until it is cancelled."""
    body = {"job_name": "probe", "in_dir": "dicom_data", "params": {"seconds": ENDLESS_S}}
    return json.loads((await fetch("job/", body)).body)["uid"]


@pytest.mark.parametrize("path", ["job/", "job"])
async def test_a_job_is_taken_then_running_then_done(fetch: Fetch, jp_root_dir: Path, path: str) -> None:
    before_it = await keep_busy(fetch)
    answer = await fetch(path, {"job_name": "3dblur", "in_dir": "dicom_data"})
    assert answer.code == 201
    uid = json.loads(answer.body)["uid"]
    assert json.loads(answer.body) == {"uid": uid}
    assert re.fullmatch("[0-9a-f]{32}", uid)
    running = await fetch(f"query/{uid}")
    assert (running.code, json.loads(running.body)["msg"]) == (202, "Job is running")
    await fetch(f"api/v1/jobs/{before_it}/cancel", {})
    done = await query_until(fetch, uid, 200)
    assert done["msg"] == "Job has completed"
    assert done["output_dir"] == f"dlp-lab-output/{uid}"
    assert (jp_root_dir / done["output_dir"] / "0001.dcm").is_file()
    assert (await fetch(f"query/{uid}/")).code == 200


async def test_a_waiting_job_is_running_to_who_asks(fetch: Fetch) -> None:
    await keep_busy(fetch)
    answer = await fetch("job/", {"job_name": "probe", "in_dir": "dicom_data"})
    reply = await query_until(fetch, json.loads(answer.body)["uid"], 202)
    assert (reply["msg"], reply["state"]) == ("Job is running", "queued")


async def test_parameters_and_hdf5_can_be_asked_for(fetch: Fetch, jp_root_dir: Path) -> None:
    body = {"job_name": "3dblur", "in_dir": "dicom_data", "params": {"sigma_mm": [0, 1, 2]}, "keep_hdf5": True}
    uid = json.loads((await fetch("job/", body)).body)["uid"]
    done = await query_until(fetch, uid, 200)
    assert (jp_root_dir / done["output_dir"] / "result.h5").is_file()
    record = json.loads((jp_root_dir / done["output_dir"] / "job.json").read_text())
    assert record["request"]["params"]["sigma_mm"] == [0, 1, 2]


@pytest.mark.parametrize("form", ["multiframe", "parametric_map"])
async def test_the_form_of_the_output_can_be_asked_for(fetch: Fetch, jp_root_dir: Path, form: str) -> None:
    body = {"job_name": "3dblur", "in_dir": "dicom_data", "output_form": form}
    uid = json.loads((await fetch("job/", body)).body)["uid"]
    done = await query_until(fetch, uid, 200)
    assert [path.name for path in (jp_root_dir / done["output_dir"]).glob("*.dcm")] == ["0001.dcm"]
    record = json.loads((jp_root_dir / done["output_dir"] / "job.json").read_text())
    assert (record["request"]["output_form"], record["result"]["files"]) == (form, ["0001.dcm"])
    assert json.loads((await fetch(f"api/v1/jobs/{uid}")).body)["output_form"] == form


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        (b"\xff\xfe".decode("latin-1"), "not JSON"),
        ("[]", "Expected `object`"),
        ('"3dblur"', "Expected `object`"),
        ({}, "missing required field `job_name`"),
        ({"job_name": "3dblur"}, "missing required field `in_dir`"),
        ({"in_dir": "dicom_data"}, "missing required field `job_name`"),
        ({"job_name": 3, "in_dir": "dicom_data"}, "`$.job_name`"),
        ({"job_name": "3dblur", "in_dir": None}, "`$.in_dir`"),
        ({"job_name": "3dblur", "in_dir": "dicom_data", "sigma": 2}, "unknown field `sigma`"),
        ({"job_name": "3dblur", "in_dir": "dicom_data", "params": []}, "`$.params`"),
        ({"job_name": "3dblur", "in_dir": "dicom_data", "output_form": "pdf"}, "`$.output_form`"),
        ('{"job_name": "3dblur", "in_dir": "dicom_data", "params": {"sigma_mm": NaN}}', "not JSON"),
        ('{"job_name": "3dblur", "in_dir": "dicom_data", "params": ' + '{"a":' * 2000 + "1" + "}" * 2001, "nested"),
    ],
)
async def test_a_body_that_cannot_be_understood_is_400_and_shows_one_that_can(
    fetch: Fetch, body: object, words: str
) -> None:
    answer = await fetch("job/", body)
    assert answer.code == 400
    assert list(json.loads(answer.body)) == ["msg"]
    assert words in json.loads(answer.body)["msg"]
    assert 'send JSON such as {"job_name": "3dblur", "in_dir": "dicom_data"}' in json.loads(answer.body)["msg"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"job_name": "3dblr"}, "no task named '3dblr'; there are: 3dblur, segment, enhance, probe"),
        ({"in_dir": "nowhere"}, "does not exist"),
        ({"in_dir": "empty"}, "holds no DICOM image"),
        ({"in_dir": ""}, "in_dir is empty"),
        ({"in_dir": "x" * 5000}, "cannot be looked at (File name too long)"),
        ({"in_dir": "../elsewhere"}, "leaves the root"),
        ({"in_dir": ".."}, "leaves the root"),
        ({"in_dir": "/etc"}, "relative to the root"),
        ({"in_dir": "link"}, "leaves the root"),
        ({"in_dir": "dicom_data\0"}, "relative to the root"),
        ({"in_dir": "dicom_data/00000"}, "is a file"),
        ({"params": {"sigma_mm": -1}}, "sigma_mm"),
        ({"params": {"sigma": 1}}, "sigma"),
    ],
)
async def test_what_cannot_be_done_is_422_and_says_why(
    fetch: Fetch, jp_root_dir: Path, change: dict[str, Any], words: str
) -> None:
    (jp_root_dir / "empty").mkdir()
    (jp_root_dir.parent / "elsewhere").mkdir()
    (jp_root_dir / "link").symlink_to("/etc")
    answer = await fetch("job/", {"job_name": "3dblur", "in_dir": "dicom_data", **change})
    assert answer.code == 422
    assert words in json.loads(answer.body)["msg"]
    assert str(jp_root_dir) not in answer.body.decode()


async def test_a_failed_job_is_500_with_the_reason(fetch: Fetch) -> None:
    body = {"job_name": "probe", "in_dir": "dicom_data", "params": {"act": "refuse"}}
    uid = json.loads((await fetch("job/", body)).body)["uid"]
    reply = await query_until(fetch, uid, 500)
    assert reply["msg"] == "Job has failed: the probe refuses"


async def test_no_traceback_reaches_the_user(fetch: Fetch, jp_root_dir: Path) -> None:
    body = {"job_name": "probe", "in_dir": "dicom_data", "params": {"act": "bug"}}
    uid = json.loads((await fetch("job/", body)).body)["uid"]
    reply = await query_until(fetch, uid, 500)
    log = f"dlp-lab-output/.dlp-lab/logs/{uid}.log"
    assert reply["msg"] == f"Job has failed: an unexpected error (ValueError); see {log}"
    assert "secret of the patient" in (jp_root_dir / log).read_text()


async def test_a_cancelled_job_is_500_and_says_so(fetch: Fetch) -> None:
    uid = await keep_busy(fetch)
    assert (await fetch(f"api/v1/jobs/{uid}/cancel", {})).code == 200
    assert (await query_until(fetch, uid, 500))["msg"] == "Job was cancelled"


async def test_a_body_beyond_the_limit_is_400_with_a_sentence(fetch: Fetch) -> None:
    answer = await fetch("job/", " " * 2**20 + "{}")
    assert answer.code == 400
    assert "larger than 1048576 bytes" in json.loads(answer.body)["msg"]


async def test_asking_for_a_failed_job_is_no_error_in_the_servers_log(
    fetch: Fetch, caplog: pytest.LogCaptureFixture
) -> None:
    body = {"job_name": "probe", "in_dir": "dicom_data", "params": {"act": "refuse"}}
    uid = json.loads((await fetch("job/", body)).body)["uid"]
    await query_until(fetch, uid, 500)
    assert [record.message for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.mark.parametrize("path", ["job/", "api/v1/jobs"])
async def test_other_routes_answer_while_slow_folders_are_looked_through(
    fetch: Fetch, jp_serverapp: ServerApp, path: str
) -> None:
    jobs = await jp_serverapp.web_app.settings["dlp_lab_open_queue"]()
    may_go_on = threading.Event()
    submit = jobs.submit
    jobs.submit = lambda *asked: may_go_on.wait(PATIENCE_S) and submit(*asked)
    names = ("job_name", "in_dir") if path == "job/" else ("task", "input_dir")
    body = dict(zip(names, ("3dblur", "dicom_data"), strict=True))
    waiting = [asyncio.ensure_future(fetch(path, body)) for _ in range(8)]
    await asyncio.sleep(0.2)
    assert (await asyncio.wait_for(fetch("query/x"), PATIENCE_S / 2)).code == 404
    may_go_on.set()
    assert {answer.code for answer in await asyncio.gather(*waiting)} == {201}


@pytest.mark.parametrize("uid", ["0" * 32, "x", "A" * 32, "%2e%2e", "' OR 1=1"])
async def test_an_unknown_uid_is_404(fetch: Fetch, uid: str) -> None:
    answer = await fetch(f"query/{uid}")
    assert answer.code == 404
    assert "no job has that uid" in json.loads(answer.body)["msg"]


async def test_a_method_that_a_route_does_not_have_is_405(fetch: Fetch) -> None:
    answer = await fetch("job/")
    assert answer.code == 405
    assert answer.headers["Allow"] == "POST"
    assert json.loads(answer.body) == {"msg": "GET is not for this address; use POST"}
