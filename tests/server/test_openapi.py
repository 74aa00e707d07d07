"""The OpenAPI document names every route and nothing else, and the server keeps to it."""

from __future__ import annotations

import json
import re
from typing import Any

import jsonschema
import pytest

from dlp_lab.server.extension import ROUTES
from dlp_lab.server.openapi import openapi
from dlp_lab.server.operation import operation_of
from tests.server.conftest import Fetch
from tests.server.test_v1 import REQUEST, ended, submit

METHODS = ("get", "head", "post", "put", "patch", "delete", "options")


def document() -> dict[str, Any]:
    return openapi(ROUTES, "/dlp-lab")


def test_it_names_every_method_of_every_route_and_nothing_else() -> None:
    described = {(re.sub(r"\{\w+\}", "*", path), verb) for path, verbs in document()["paths"].items() for verb in verbs}
    served = {
        ("/" + path.replace("([^/]+)", "*").replace("/?", "").replace("\\", ""), verb)
        for path, handler in ROUTES
        for verb in METHODS
        if verb in vars(handler)
    }
    assert described == served


def test_its_operations_have_names_of_their_own() -> None:
    names = [operation["operationId"] for verbs in document()["paths"].values() for operation in verbs.values()]
    assert len(names) == len(set(names))


def test_it_is_valid_openapi_3_1_of_which_every_reference_is_there() -> None:
    found = document()
    assert found["openapi"] == "3.1.0"
    for schema in found["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
    for reference in re.findall(r'"\$ref": "#/components/schemas/(\w+)"', json.dumps(found)):
        assert reference in found["components"]["schemas"]


def test_a_method_that_says_nothing_of_itself_is_a_mistake_of_ours() -> None:
    with pytest.raises(LookupError, match="decorate it with @operation"):
        operation_of(document)


async def test_replies_and_refusals_are_as_it_says(fetch: Fetch) -> None:
    answer = await fetch("api/v1/openapi.json")
    described = json.loads(answer.body)
    done = await ended(fetch, (await submit(fetch)).uid)
    failed = await ended(fetch, (await submit(fetch, act="bug")).uid)
    nobody = "0" * 32
    uid_series = json.loads((await fetch("api/v1/series?dir=dicom_data")).body)["series"][0]["series_instance_uid"]
    asked: list[tuple[str, str, str, object]] = [
        ("get", "/api/v1/health", "api/v1/health", None),
        ("get", "/api/v1/tasks", "api/v1/tasks", None),
        ("get", "/api/v1/tasks/{name}", "api/v1/tasks/3dblur", None),
        ("get", "/api/v1/tasks/{name}", "api/v1/tasks/none", None),
        ("get", "/api/v1/jobs", "api/v1/jobs", None),
        ("get", "/api/v1/jobs", "api/v1/jobs?limit=0", None),
        ("post", "/api/v1/jobs", "api/v1/jobs", REQUEST),
        ("post", "/api/v1/jobs", "api/v1/jobs", {"jobs": [REQUEST, {**REQUEST, "task": "none"}]}),
        ("post", "/api/v1/jobs", "api/v1/jobs", {}),
        ("post", "/api/v1/jobs", "api/v1/jobs", {**REQUEST, "params": {"sigma_mm": -1}}),
        ("get", "/api/v1/jobs/{uid}", f"api/v1/jobs/{done.uid}", None),
        ("get", "/api/v1/jobs/{uid}", f"api/v1/jobs/{nobody}", None),
        ("get", "/api/v1/jobs/{uid}/log", f"api/v1/jobs/{failed.uid}/log", None),
        ("get", "/api/v1/jobs/{uid}/files", f"api/v1/jobs/{done.uid}/files", None),
        ("get", "/api/v1/jobs/{uid}/files", f"api/v1/jobs/{failed.uid}/files", None),
        ("get", "/api/v1/jobs/{uid}/files/{name}", f"api/v1/jobs/{done.uid}/files/0001.dcm", None),
        ("get", "/api/v1/jobs/{uid}/preview", f"api/v1/jobs/{done.uid}/preview", None),
        ("post", "/api/v1/jobs/{uid}/cancel", f"api/v1/jobs/{done.uid}/cancel", {}),
        ("post", "/api/v1/jobs/{uid}/retry", f"api/v1/jobs/{failed.uid}/retry", {}),
        ("get", "/api/v1/series", "api/v1/series?dir=dicom_data", None),
        ("get", "/api/v1/series", "api/v1/series?dir=none", None),
        ("get", "/api/v1/series", "api/v1/series", None),
        (
            "get",
            "/api/v1/series/thumbnail",
            f"api/v1/series/thumbnail?dir=dicom_data&series={uid_series}",
            None,
        ),
        ("post", "/job", "job/", {"job_name": "3dblur", "in_dir": "dicom_data"}),
        ("post", "/job", "job/", {"job_name": "3dblur"}),
        ("get", "/query/{uid}", f"query/{done.uid}", None),
        ("get", "/query/{uid}", f"query/{failed.uid}", None),
        ("delete", "/api/v1/jobs/{uid}", f"api/v1/jobs/{done.uid}", None),
        ("delete", "/api/v1/jobs/{uid}", f"api/v1/jobs/{nobody}", None),
    ]
    for verb, path, address, body in asked:
        answer = await fetch(address, body, **({"method": "DELETE"} if verb == "delete" else {}))
        where = f"{verb} {address}: {answer.code} {answer.body[:300]!r}"
        responses = described["paths"][path][verb]["responses"]
        assert str(answer.code) in responses, where
        content = responses[str(answer.code)].get("content", {})
        if not content:
            assert not answer.body, where
        elif "application/json" in content:
            schema = {**content["application/json"]["schema"], "components": described["components"]}
            jsonschema.Draft202012Validator(schema).validate(json.loads(answer.body))
        else:
            assert "*/*" in content or answer.headers["Content-Type"] in content, where
