"""A Jupyter server with the extension, in this process; every address asks for a login."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from pytest_jupyter.jupyter_server import *  # noqa: F403  # here and not in the top conftest: its fixtures are autouse
from tornado.httpclient import HTTPResponse

from tests.patience import PATIENCE_S
from tests.phantom import write_phantom_series

Fetch = Callable[..., Awaitable[HTTPResponse]]


@pytest.fixture
def jp_server_config(probe_package: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    for variable in ("DLP_LAB_ROOT", "DLP_LAB_OUTPUT"):
        monkeypatch.setenv(variable, "")  # the extension sets them; this puts them back
    return {
        "ServerApp": {"jpserver_extensions": {"dlp_lab": True}, "allow_unauthenticated_access": False},
        "DlpLabApp": {"max_concurrent_jobs": 1},
    }


@pytest.fixture
def dicom_data(jp_root_dir: Path) -> Path:
    """A phantom series in the server's root."""
    write_phantom_series(jp_root_dir / "dicom_data")
    return jp_root_dir / "dicom_data"


@pytest.fixture
def fetch(jp_fetch: Fetch, dicom_data: Path) -> Fetch:
    """Ask below `dlp-lab/`, with the token; a status of 400 and above is an answer like any other."""

    async def ask(path: str, body: object = None, **options: Any) -> HTTPResponse:
        if body is not None:
            text = body if isinstance(body, str) else json.dumps(body)
            options = {"method": "POST", "body": text, **options}
        options = {"connect_timeout": PATIENCE_S, "request_timeout": PATIENCE_S, **options}
        path, _, query = path.partition("?")
        return await jp_fetch("dlp-lab", path, params=dict(parse_qsl(query)), raise_error=False, **options)

    return ask
