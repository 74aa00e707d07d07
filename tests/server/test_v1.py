from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import msgspec
import pydicom
import pytest
from jupyter_server.serverapp import ServerApp

from dlp_lab import __version__
from dlp_lab.jobs.job import BatchReply, ErrorReply, Health, Job, JobList, JobLogPart, TaskInfo, TaskList
from dlp_lab.jobs.queue_limits import QueueLimits
from dlp_lab.server.api_handler import JOBS_SETTING, WORKSPACE_SETTING
from dlp_lab.server.events import JOB_EVENT_SCHEMA_ID
from dlp_lab.store.workspace import Workspace
from tests.patience import ENDLESS_S, until
from tests.phantom import write_phantom_series
from tests.server.conftest import Fetch

REQUEST: dict[str, Any] = {"task": "3dblur", "input_dir": "dicom_data"}


async def submit(fetch: Fetch, **params: object) -> Job:
    answer = await fetch("api/v1/jobs", {"task": "probe", "input_dir": "dicom_data", "params": params})
    assert answer.code == 201, answer.body
    return msgspec.json.decode(answer.body, type=Job)


async def ended(fetch: Fetch, uid: str) -> Job:
    async def job_if_ended() -> Job | None:
        job = msgspec.json.decode((await fetch(f"api/v1/jobs/{uid}")).body, type=Job)
        return job if job.ended else None

    return await until(job_if_ended)


async def test_health_is_the_version_and_where_things_are(fetch: Fetch) -> None:
    answer = await fetch("api/v1/health")
    assert answer.code == 200
    health = msgspec.json.decode(answer.body, type=Health)
    assert (health.version, health.root_offset, health.logs_dir) == (
        __version__,
        "",
        "dlp-lab-output/.dlp-lab/logs",
    )
    assert (health.executor, health.slots) == ("local", 1)
    assert health.free_bytes > 0
    assert health.jobs == {"queued": 0, "running": 0, "succeeded": 0, "failed": 0, "cancelled": 0}
    running, _ = await submit(fetch, seconds=ENDLESS_S), await submit(fetch)

    async def health_once_one_runs() -> Any:
        well = json.loads((await fetch("api/v1/health")).body)
        return well if well["jobs"]["running"] else None

    well = await until(health_once_one_runs)
    assert (well["jobs"]["running"], well["jobs"]["queued"], well["has_dispatcher"]) == (1, 1, True)
    await fetch(f"api/v1/jobs/{running.uid}/cancel", {})


@pytest.mark.parametrize(("root", "offset"), [("inside/deep", "inside/deep"), ("..", None), ("../beside", None)])
async def test_health_tells_how_the_root_lies_to_the_folder_that_jupyter_shows(
    fetch: Fetch, jp_serverapp: ServerApp, jp_root_dir: Path, root: str, offset: str | None
) -> None:
    (jp_root_dir / root).mkdir(parents=True, exist_ok=True)
    jp_serverapp.web_app.settings[WORKSPACE_SETTING] = Workspace(jp_root_dir / root)
    assert json.loads((await fetch("api/v1/health")).body)["root_offset"] == offset


async def test_a_submitted_job_is_answered_with_its_record_and_its_address(fetch: Fetch, jp_base_url: str) -> None:
    answer = await fetch("api/v1/jobs", REQUEST)
    assert answer.code == 201
    job = msgspec.json.decode(answer.body, type=Job)
    assert job.state in ("queued", "running")
    assert job.params == {"sigma_mm": 1.0, "truncate": 4.0, "mode": "nearest", "cval": 0.0}
    assert answer.headers["Location"] == f"{jp_base_url}dlp-lab/api/v1/jobs/{job.uid}"
    assert answer.headers["Content-Type"].startswith("application/json")
    job = await ended(fetch, job.uid)
    assert (job.state, job.progress, job.output_dir) == ("succeeded", 1.0, f"dlp-lab-output/{job.uid}")


async def test_an_answer_that_may_wait_comes_when_the_job_has_ended_or_the_time_is_over(
    fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = await submit(fetch, seconds=ENDLESS_S)
    began = time.monotonic()
    early = msgspec.json.decode((await fetch(f"api/v1/jobs/{running.uid}?wait_seconds=1")).body, type=Job)
    assert (early.ended, time.monotonic() - began > 0.9) == (False, True)

    with monkeypatch.context() as patient:
        patient.setattr("dlp_lab.server.v1_jobs._LONGEST_WAIT_SECONDS", ENDLESS_S)
        waiting = asyncio.create_task(fetch(f"api/v1/jobs/{running.uid}?wait_seconds={ENDLESS_S:.0f}"))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        await fetch(f"api/v1/jobs/{running.uid}/cancel", {})
        assert msgspec.json.decode((await waiting).body, type=Job).state == "cancelled"

    assert (await fetch(f"api/v1/jobs/{running.uid}?wait_seconds=20")).code == 200  # at once, for it has ended
    for number in ("21", "-1", "%D9%A3", "1.0"):  # the third is a digit, and none of ASCII
        assert (await fetch(f"api/v1/jobs/{running.uid}?wait_seconds={number}")).code == 400
    assert (await fetch(f"api/v1/jobs/{'0' * 32}?wait_seconds=20")).code == 404


async def test_jobs_are_listed_newest_first(fetch: Fetch) -> None:
    uids = [(await submit(fetch)).uid for _ in range(3)]
    listed = msgspec.json.decode((await fetch("api/v1/jobs")).body, type=JobList)
    assert [job.uid for job in listed.jobs] == uids[::-1]
    assert listed.older == 0


async def test_a_listing_that_leaves_out_older_jobs_says_how_many(
    fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dlp_lab.server.v1_jobs.NEWEST", 2)
    uids = [(await submit(fetch)).uid for _ in range(5)]
    listed = msgspec.json.decode((await fetch("api/v1/jobs")).body, type=JobList)
    assert ([job.uid for job in listed.jobs], listed.older) == (uids[:2:-1], 3)


async def test_the_listing_is_filtered_and_goes_on_from_a_job(fetch: Fetch) -> None:
    uids = [(await submit(fetch, seconds=ENDLESS_S)).uid for _ in range(4)]
    for uid in uids[1:]:
        await fetch(f"api/v1/jobs/{uid}/cancel", {})
    page = msgspec.json.decode((await fetch("api/v1/jobs?state=cancelled,failed&limit=2")).body, type=JobList)
    assert ([job.uid for job in page.jobs], page.older) == (uids[:1:-1], 1)
    rest = msgspec.json.decode(
        (await fetch(f"api/v1/jobs?state=cancelled&before={page.jobs[-1].uid}")).body, type=JobList
    )
    assert ([job.uid for job in rest.jobs], rest.older) == ([uids[1]], 0)
    await fetch(f"api/v1/jobs/{uids[0]}/cancel", {})


async def test_a_submission_that_is_sent_again_with_its_key_makes_no_second_job(fetch: Fetch) -> None:
    uids = set()
    for path, body in (
        ("api/v1/jobs", REQUEST),
        ("api/v1/jobs", REQUEST),
        ("job/", {"job_name": "3dblur", "in_dir": "dicom_data"}),
    ):
        answer = await fetch(path, body, headers={"Idempotency-Key": "one"})
        assert answer.code == 201
        uids.add(json.loads(answer.body)["uid"])
    assert len(uids) == 1
    other = await fetch("api/v1/jobs", {**REQUEST, "keep_hdf5": True}, headers={"Idempotency-Key": "one"})
    assert (other.code, json.loads(other.body)["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")


async def test_of_several_jobs_each_is_taken_or_refused_by_itself(fetch: Fetch) -> None:
    jobs = [REQUEST, {**REQUEST, "input_dir": "none"}, {**REQUEST, "params": {"sigma_mm": 2}}]
    replies = []
    for _ in range(2):
        answer = await fetch("api/v1/jobs", {"jobs": jobs}, headers={"Idempotency-Key": "many"})
        assert answer.code == 200, answer.body
        replies.append(msgspec.json.decode(answer.body, type=BatchReply).verdicts)
    for first, second in zip(*replies, strict=True):
        assert (first.job is None) == (second.job is None)
        assert not first.job or not second.job or first.job.uid == second.job.uid  # the key came before
    taken, refused, last = replies[0]
    assert taken.job and last.job and refused.error and not taken.error and not last.error
    assert (refused.job, refused.error.code) == (None, "PATH_REFUSED")
    assert [job.uid for job in (await listing(fetch)).jobs] == [last.job.uid, taken.job.uid]


@pytest.mark.parametrize(
    "body", [{"jobs": []}, {"jobs": [REQUEST] * 201}, {"jobs": [{}]}, {"jobs": 3}, {"jobs": [REQUEST], "x": 1}]
)
async def test_several_jobs_that_cannot_be_understood_are_all_refused(fetch: Fetch, body: object) -> None:
    answer = await fetch("api/v1/jobs", body)
    assert answer.code == 400
    assert 'send JSON such as {"jobs": [{"task"' in json.loads(answer.body)["message"]
    assert (await listing(fetch)).jobs == []


@pytest.mark.parametrize(
    ("path", "body", "detail"),
    [
        (
            "api/v1/jobs",
            {**REQUEST, "params": {"sigma_mm": -1}},
            {"parameter": "sigma_mm", "minimum": 0, "maximum": 1000},
        ),
        ("api/v1/jobs", {**REQUEST, "params": {"sigma": 1}}, {"parameter": "sigma"}),
        ("api/v1/jobs", {**REQUEST, "priority": 101}, {"parameter": "priority"}),
        ("api/v1/jobs", {**REQUEST, "read": {"gaps": "fill"}}, {"parameter": "read.gaps"}),
        ("api/v1/jobs", {"task": "3dblur"}, {"parameter": "input_dir"}),
        ("api/v1/jobs?limit=0", None, {"parameter": "limit", "minimum": 1, "maximum": 200}),
        ("api/v1/jobs/" + "0" * 32, None, None),
    ],
)
async def test_a_refusal_names_for_programs_what_is_wrong(
    fetch: Fetch, path: str, body: object, detail: dict[str, object] | None
) -> None:
    found = json.loads((await fetch(path, body)).body)["detail"]
    assert (found and {name: value for name, value in found.items() if value is not None}) == detail


@pytest.mark.parametrize(
    ("what", "detail"),
    [
        ("gap", {"file": 2, "slice": 2}),
        ("cut", {"file": 4, "tag": "(7FE0,0010)"}),
        ("twice", {"file": 3, "tag": "(0020,0032)"}),
    ],
)
async def test_a_refusal_of_a_series_names_file_slice_and_tag_for_programs(
    fetch: Fetch, jp_root_dir: Path, what: str, detail: dict[str, Any]
) -> None:
    files = write_phantom_series(jp_root_dir / "odd").files
    if what == "gap":
        files[3].unlink()
    elif what == "cut":
        files[4].write_bytes(files[4].read_bytes()[:-20])
    else:
        image = pydicom.dcmread(files[3])
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = f"{image.SOPInstanceUID}.1"
        image.save_as(jp_root_dir / "odd/other")
    found = json.loads((await fetch("api/v1/jobs", {**REQUEST, "input_dir": "odd"})).body)["detail"]
    expected = {**detail, "file": files[detail["file"]].name}
    assert {name: value for name, value in found.items() if value is not None} == expected


async def test_the_listing_is_filtered_by_task_folder_and_moment_and_followed_by_its_cursor(
    fetch: Fetch, jp_root_dir: Path
) -> None:
    write_phantom_series(jp_root_dir / "Head/one & two")
    in_group = {"task": "probe", "input_dir": "Head", "group": "heads & more"}
    for request in (REQUEST, {"task": "probe", "input_dir": "Head/one & two"}, in_group):
        assert (await fetch("api/v1/jobs", request)).code == 201
        await asyncio.sleep(0.002)  # so that each has a millisecond of its own
    everything = await listing(fetch)
    newest, middle, oldest = (job.uid for job in everything.jobs)

    async def found(query: str) -> list[str]:
        return [job.uid for job in (await listing(fetch, query)).jobs]

    assert await found("task=probe") == [newest, middle]
    assert await found("group=heads %26 more") == [newest]
    assert await found("group=heads") == []
    assert await found("about=ONE %26 two") == [middle]
    assert await found("about=head&task=3dblur") == []
    assert await found("submitted_after=2020-01-01") == [newest, middle, oldest]
    assert await found("submitted_before=2020-01-01") == []
    assert await found(f"submitted_after={everything.jobs[-1].submitted_at}") == [newest, middle]
    page = await listing(fetch, "limit=1&task=probe")
    assert (page.older, page.next_before) == (1, newest)
    assert [counts.group for counts in page.groups] == ["heads & more"]
    page = await listing(fetch, f"limit=1&task=probe&before={page.next_before}")
    assert ([job.uid for job in page.jobs], page.older, page.next_before) == ([middle], 0, None)


async def listing(fetch: Fetch, query: str = "") -> JobList:
    answer = await fetch(f"api/v1/jobs?{query}")
    assert answer.code == 200, answer.body
    return msgspec.json.decode(answer.body, type=JobList)


async def test_a_full_queue_says_when_to_come_again(
    fetch: Fetch, jp_serverapp: ServerApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = await jp_serverapp.web_app.settings[JOBS_SETTING]()
    monkeypatch.setattr(service, "_own_limits", QueueLimits(max_queued=1))
    running = await submit(fetch, seconds=ENDLESS_S)

    async def is_running() -> bool:
        return b'"state":"running"' in (await fetch(f"query/{running.uid}")).body

    await until(is_running)
    waiting = await submit(fetch)
    assert waiting.position == 1
    answer = await fetch("api/v1/jobs", REQUEST)
    assert (answer.code, answer.headers["Retry-After"]) == (429, "60")
    assert json.loads(answer.body)["code"] == "QUEUE_FULL"
    assert (await fetch("job/", {"job_name": "3dblur", "in_dir": "dicom_data"})).code == 429
    await fetch(f"api/v1/jobs/{running.uid}/cancel", {})


async def test_a_failed_job_has_a_log_is_tried_again_and_removed(fetch: Fetch) -> None:
    job = await submit(fetch, act="bug")
    address = f"api/v1/jobs/{job.uid}"
    assert (await fetch(address, method="DELETE")).code == 409
    assert (await ended(fetch, job.uid)).state == "failed"
    log = msgspec.json.decode((await fetch(f"{address}/log")).body, type=JobLogPart)
    assert "probe at work\n" in log.text
    assert "ValueError" in log.text
    tail = msgspec.json.decode((await fetch(f"{address}/log?offset=6")).body, type=JobLogPart)
    assert (tail.text, tail.next_offset) == (log.text[6:], log.next_offset)
    again = await fetch(f"{address}/retry", {})
    assert (again.code, msgspec.json.decode(again.body, type=Job).state) == (200, "queued")
    assert (await ended(fetch, job.uid)).attempts == 2
    assert (await fetch(address, method="DELETE")).code == 204
    assert (await fetch(address)).code == 404
    assert (await fetch(f"{address}/log")).code == 404


async def test_a_job_is_cancelled_once(fetch: Fetch) -> None:
    job = await submit(fetch, seconds=ENDLESS_S)
    answer = await fetch(f"api/v1/jobs/{job.uid}/cancel", {})
    assert answer.code == 200
    assert msgspec.json.decode(answer.body, type=Job).uid == job.uid
    assert (await ended(fetch, job.uid)).state == "cancelled"
    again = await fetch(f"api/v1/jobs/{job.uid}/cancel", {})
    assert again.code == 409
    assert msgspec.json.decode(again.body, type=ErrorReply).code == "JOB_ALREADY_ENDED"


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("api/v1/jobs", {**REQUEST, "task": "nope"}, 422, "UNKNOWN_TASK"),
        ("api/v1/jobs", {**REQUEST, "params": {"sigma_mm": "wide"}}, 422, "BAD_PARAMETERS"),
        ("api/v1/jobs", {**REQUEST, "input_dir": ".."}, 422, "PATH_REFUSED"),
        ("api/v1/jobs", {**REQUEST, "input_dir": "."}, 201, None),
        ("api/v1/jobs", {"task": "3dblur"}, 400, "MALFORMED_REQUEST"),
        ("api/v1/jobs", {**REQUEST, "colour": 1}, 400, "MALFORMED_REQUEST"),
        ("api/v1/jobs", "{", 400, "MALFORMED_REQUEST"),
        ("api/v1/jobs", {**REQUEST, "group": ""}, 400, "MALFORMED_REQUEST"),
        ("api/v1/jobs/" + "0" * 32, None, 404, "NO_SUCH_JOB"),
        ("api/v1/jobs/" + "0" * 32 + "/cancel", {}, 404, "NO_SUCH_JOB"),
        ("api/v1/jobs/" + "0" * 32 + "/retry", {}, 404, "NO_SUCH_JOB"),
        ("api/v1/jobs/" + "0" * 32 + "/log", None, 404, "NO_SUCH_JOB"),
        ("api/v1/jobs/x/log?offset=-1", None, 400, "MALFORMED_REQUEST"),
        ("api/v1/jobs?state=lost", None, 400, "MALFORMED_REQUEST"),
        ("api/v1/jobs?limit=201", None, 400, "MALFORMED_REQUEST"),
        ("api/v1/jobs?limit=" + "9" * 5000, None, 400, "MALFORMED_REQUEST"),
        ("api/v1/jobs/x/log?offset=" + "9" * 5000, None, 400, "MALFORMED_REQUEST"),
        ("api/v1/jobs?before=x", None, 404, "NO_SUCH_JOB"),
        ("api/v1/jobs?submitted_after=soon", None, 400, "MALFORMED_REQUEST"),
        ("api/v1/jobs?about=" + "x" * 1001, None, 400, "MALFORMED_REQUEST"),
        ("api/v1/series", None, 400, "MALFORMED_REQUEST"),
        ("api/v1/series?dir=none", None, 422, "PATH_REFUSED"),
        ("api/v1/series/thumbnail?dir=dicom_data", None, 400, "MALFORMED_REQUEST"),
        ("api/v1/jobs/" + "0" * 32 + "/files", None, 404, "NO_SUCH_JOB"),
        ("api/v1/jobs/" + "0" * 32 + "/files/job.json", None, 404, "NO_SUCH_JOB"),
        ("api/v1/jobs/" + "0" * 32 + "/preview", None, 404, "NO_SUCH_JOB"),
        ("api/v1/jobs", {**REQUEST, "priority": 101}, 400, "MALFORMED_REQUEST"),
        ("api/v1/tasks/nope", None, 404, "NO_SUCH_TASK"),
        ("api/v1/tasks", {}, 405, "METHOD_NOT_ALLOWED"),
    ],
)
async def test_refusals_have_the_right_status_a_code_and_a_sentence(
    fetch: Fetch, path: str, body: object, status: int, code: str | None
) -> None:
    answer = await fetch(path, body)
    assert answer.code == status, answer.body
    if code:
        error = msgspec.json.decode(answer.body, type=ErrorReply)
        assert error.code == code
        assert error.message


async def test_tasks_are_shown_with_the_schema_of_their_parameters(fetch: Fetch) -> None:
    listed = msgspec.json.decode((await fetch("api/v1/tasks")).body, type=TaskList)
    assert [task.name for task in listed.tasks] == ["3dblur", "segment", "enhance", "probe"]
    one = msgspec.json.decode((await fetch("api/v1/tasks/3dblur")).body, type=TaskInfo)
    assert one == listed.tasks[0]
    assert one.params_schema["properties"]["truncate"]["default"] == 4.0


async def test_every_change_of_a_job_is_an_event_that_names_no_folder(fetch: Fetch, jp_serverapp: ServerApp) -> None:
    heard: list[dict[str, Any]] = []

    async def listen(logger: object, schema_id: str, data: dict[str, Any]) -> None:
        heard.append(data)

    jp_serverapp.event_logger.add_listener(schema_id=JOB_EVENT_SCHEMA_ID, listener=listen)
    began = time.monotonic()
    job = await submit(fetch, seconds=1.5)
    await ended(fetch, job.uid)
    await until(lambda: heard[-1]["state"] == "succeeded")
    assert {frozenset(event) for event in heard} == {frozenset(("uid", "state", "progress"))}
    assert {event["uid"] for event in heard} == {job.uid}
    assert [event["progress"] for event in heard] == sorted(event["progress"] for event in heard)
    assert 3 <= len(heard) <= 5 + 5 * (time.monotonic() - began)
