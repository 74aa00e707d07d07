"""On a server that knows who its users are, the jobs of others do not exist."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from jupyter_server.auth import IdentityProvider, PasswordIdentityProvider, User
from jupyter_server.serverapp import ServerApp
from tornado.httpclient import HTTPResponse

from dlp_lab.jobs.job import JobRequest
from dlp_lab.server.api_handler import JOBS_SETTING
from dlp_lab.server.events import JOB_EVENT_SCHEMA_ID
from dlp_lab.server.extension import ROUTES
from dlp_lab.server.owners import users_are_told_apart
from tests.patience import ENDLESS_S, until
from tests.server.conftest import Fetch

As = Callable[..., Awaitable[HTTPResponse]]
PROBE: dict[str, Any] = {"task": "probe", "input_dir": "dicom_data"}


class NamedUsers(IdentityProvider):
    """Believes who says who they are."""

    def get_user(self, handler: Any) -> User | None:
        name = handler.request.headers.get("X-User")
        return User(name) if name else None

    def is_token_authenticated(self, handler: Any) -> bool:
        return True  # so that no cookie of a browser is asked for


@pytest.fixture
def jp_server_config(jp_server_config: dict[str, Any]) -> dict[str, Any]:
    jp_server_config["ServerApp"]["identity_provider_class"] = NamedUsers
    jp_server_config["DlpLabApp"]["max_queued_jobs_of_user"] = 2
    return jp_server_config


@pytest.fixture
def user(fetch: Fetch) -> As:
    """Ask as the user of a name."""

    async def ask(name: str, path: str, body: object = None, **options: Any) -> HTTPResponse:
        headers = {"X-User": name, **options.pop("headers", {})}
        return await fetch(path, body, headers=headers, **options)

    return ask


async def submitted(user: As, name: str, **params: object) -> str:
    answer = await user(name, "api/v1/jobs", {**PROBE, "params": params})
    assert answer.code == 201, answer.body
    assert json.loads(answer.body)["owner"] == name
    return str(json.loads(answer.body)["uid"])


async def ended(user: As, name: str, uid: str) -> None:
    await reaches(user, name, uid, "succeeded", "failed", "cancelled")


async def reaches(user: As, name: str, uid: str, *states: str) -> None:
    async def has_reached() -> bool:
        return json.loads((await user(name, f"api/v1/jobs/{uid}")).body)["state"] in states

    await until(has_reached)


async def test_no_route_tells_of_another_users_job_or_touches_it(user: As, jp_root_dir: Path) -> None:
    done = await submitted(user, "ann")
    await ended(user, "ann", done)
    running = await submitted(user, "ann", seconds=ENDLESS_S)
    await reaches(user, "ann", running, "running")
    walked = 0
    for path, handler in ROUTES:
        if "([^/]+)" not in path or "tasks" in path:
            continue
        for method in ("GET", "POST", "DELETE"):
            if method.lower() not in vars(handler):
                continue
            for uid in (done, running):
                address = path.replace("([^/]+)", uid, 1).replace("([^/]+)", "job.json").replace("/?", "")
                body = {} if method == "POST" else None
                answer = await user("eve", address, body, method=method)
                absent = await user("eve", address.replace(uid, "0" * 32), body, method=method)
                assert (answer.code, answer.body) == (404, absent.body), address
                walked += 1
    assert walked >= 18
    assert (await user("eve", f"api/v1/jobs/{done}?result=delete", method="DELETE")).code == 404
    assert (await user("eve", f"api/v1/jobs?before={done}")).code == 404
    nothing = {"jobs": [], "older": 0, "next_before": None, "groups": [], "running": 0, "queued": 0}
    assert json.loads((await user("eve", "api/v1/jobs")).body) == nothing
    listed = json.loads((await user("ann", "api/v1/jobs")).body)["jobs"]
    assert [(job["uid"], job["state"]) for job in listed] == [(running, "running"), (done, "succeeded")]
    assert (jp_root_dir / "dlp-lab-output" / done / "job.json").is_file()
    assert (await user("ann", f"api/v1/jobs/{done}/files/job.json")).code == 200
    assert (await user("ann", f"api/v1/jobs/{running}/cancel", {})).code == 200


async def test_a_key_is_its_owners(user: As) -> None:
    key = {"Idempotency-Key": "same"}
    uids = [
        json.loads((await user(name, "api/v1/jobs", PROBE, headers=key)).body)["uid"] for name in ("ann", "ann", "eve")
    ]
    assert uids[0] == uids[1] != uids[2]


async def test_what_was_submitted_without_a_login_is_everybodys(user: As, jp_serverapp: ServerApp) -> None:
    service = await jp_serverapp.web_app.settings[JOBS_SETTING]()
    uid = service.submit(JobRequest(task="probe", input_dir="dicom_data")).uid
    for name in ("ann", "eve"):
        job = json.loads((await user(name, f"api/v1/jobs/{uid}")).body)
        assert (job["uid"], job["owner"]) == (uid, None)


async def test_a_user_with_many_jobs_waiting_is_told_to_come_again_and_others_are_not(user: As) -> None:
    running = await submitted(user, "ann", seconds=ENDLESS_S)
    await reaches(user, "ann", running, "running")
    for _ in range(2):
        await submitted(user, "ann")
    answer = await user("ann", "api/v1/jobs", PROBE)
    assert (answer.code, answer.headers["Retry-After"], json.loads(answer.body)["code"]) == (429, "60", "QUEUE_FULL")
    await submitted(user, "eve")
    # who asks for few jobs is told how many there are, of those that they may see
    for name, expected in (("ann", (1, 2)), ("eve", (0, 1))):
        listed = json.loads((await user(name, "api/v1/jobs?state=failed")).body)
        assert (listed["jobs"], listed["running"], listed["queued"]) == ([], *expected)
    await user("ann", f"api/v1/jobs/{running}/cancel", {})


async def test_an_event_says_no_more_than_that_something_has_changed(user: As, jp_serverapp: ServerApp) -> None:
    heard: list[dict[str, Any]] = []

    async def listen(logger: object, schema_id: str, data: dict[str, Any]) -> None:
        heard.append(data)

    jp_serverapp.event_logger.add_listener(schema_id=JOB_EVENT_SCHEMA_ID, listener=listen)
    uid = await submitted(user, "ann", seconds=0.5)
    await ended(user, "ann", uid)
    await until(lambda: len(heard) >= 3)
    assert {tuple(event.items()) for event in heard} == {(("uid", None), ("state", None), ("progress", None))}


@pytest.mark.parametrize(
    ("provider", "rule", "apart"),
    [
        (IdentityProvider, "auto", False),
        (PasswordIdentityProvider, "auto", False),
        (NamedUsers, "auto", True),
        (NamedUsers, "shared", False),
        (IdentityProvider, "separate", True),
    ],
)
def test_users_are_told_apart_where_the_provider_knows_them_or_the_setting_says_so(
    provider: type[IdentityProvider], rule: Any, apart: bool
) -> None:
    assert users_are_told_apart(provider(), rule) is apart
