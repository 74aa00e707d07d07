"""Every route is closed to who has no token, a bad one, a cookie alone, or an authorizer against them."""

from __future__ import annotations

import inspect
import json
from typing import Any

import pytest
from jupyter_server.auth import Authorizer
from jupyter_server.serverapp import ServerApp
from jupyter_server.utils import url_path_join
from tornado.httpclient import AsyncHTTPClient

from dlp_lab.server.extension import ROUTES
from tests.server.conftest import Fetch

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
SERVED = [
    (path.replace("([^/]+)", "0" * 32).replace("/?", "").replace("\\", ""), method)
    for path, handler in ROUTES
    for method in METHODS
    if method.lower() in vars(handler)
]


def test_the_walk_meets_all_routes() -> None:
    assert len(SERVED) >= len(ROUTES) >= 8
    assert ("job", "POST") in SERVED


def test_every_method_is_behind_the_login_and_the_authorizer() -> None:
    for _, handler in ROUTES:
        for method in METHODS:
            function = vars(handler).get(method.lower())
            if function:
                source = inspect.getsource(function)
                assert source.lstrip().startswith("@web.authenticated\n    @authorized\n"), handler


async def ask(http_server_client: AsyncHTTPClient, base: str, path: str, method: str, **headers: str) -> Any:
    body = "{}" if method in ("POST", "PUT", "PATCH") else None
    url = url_path_join(base, "dlp-lab", path)
    return await http_server_client.fetch(
        url, method=method, body=body, headers=headers, raise_error=False, follow_redirects=False
    )


@pytest.mark.parametrize(("path", "method"), SERVED)
@pytest.mark.parametrize("headers", [{}, {"Authorization": "token bad"}, {"Authorization": "token "}])
async def test_without_the_token_no_route_answers(
    jp_serverapp: ServerApp,
    http_server_client: AsyncHTTPClient,
    jp_base_url: str,
    path: str,
    method: str,
    headers: dict[str, str],
) -> None:
    answer = await ask(http_server_client, jp_base_url, path, method, **headers)
    assert answer.code == 403
    text = json.dumps(json.loads(answer.body))
    assert "token" in text
    assert "_xsrf" not in text or not headers


async def test_without_the_token_a_body_is_not_looked_at(
    jp_serverapp: ServerApp, http_server_client: AsyncHTTPClient, jp_base_url: str
) -> None:
    for body in ("not JSON", " " * 2**21):
        url = url_path_join(jp_base_url, "dlp-lab/api/v1/jobs")
        answer = await http_server_client.fetch(url, method="POST", body=body, raise_error=False)
        assert answer.code == 403


@pytest.mark.parametrize(("path", "method"), [route for route in SERVED if route[1] != "GET"])
async def test_a_cookie_without_the_xsrf_token_changes_nothing(
    jp_serverapp: ServerApp, http_server_client: AsyncHTTPClient, jp_base_url: str, path: str, method: str, fetch: Fetch
) -> None:
    greeting = await fetch("api/v1/health")
    cookies = "; ".join(cookie.split(";")[0] for cookie in greeting.headers.get_list("Set-Cookie"))
    assert "username" in cookies
    seen = await ask(http_server_client, jp_base_url, "api/v1/health", "GET", Cookie=cookies)
    assert seen.code == 200
    answer = await ask(http_server_client, jp_base_url, path, method, Cookie=cookies)
    assert answer.code == 403


@pytest.mark.parametrize(("path", "method"), SERVED)
async def test_the_authorizer_is_asked_and_obeyed(
    jp_serverapp: ServerApp, fetch: Fetch, path: str, method: str
) -> None:
    asked = []

    class Deny(Authorizer):
        def is_authorized(self, handler: object, user: object, action: str, resource: str) -> bool:
            asked.append((action, resource))
            return False

    jp_serverapp.web_app.settings["authorizer"] = Deny(parent=jp_serverapp)
    answer = await fetch(path, {} if method == "POST" else None, method=method)
    assert answer.code == 403
    assert asked == [("read" if method == "GET" else "write", "dlp_lab")]


async def test_answers_are_json_that_a_browser_will_not_take_for_a_page(fetch: Fetch) -> None:
    for answer in (await fetch("api/v1/tasks"), await fetch("query/<script>"), await fetch("job/", "<script>")):
        assert answer.headers["Content-Type"].startswith("application/json")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
