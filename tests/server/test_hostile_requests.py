"""Folders and names that try to leave the root, addresses of other machines, bodies without end."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from tornado.httpclient import HTTPResponse

from tests.patience import PATIENCE_S
from tests.server.conftest import Fetch
from tests.server.test_standalone import Backend, backend  # noqa: F401

OUTSIDE = [
    *("..", "../", "../outside", "../../etc", "dicom_data/../..", "dicom_data/../../outside", "./../outside"),
    *("../root-sibling", "..//outside", ".././outside", "dicom_data/..//../outside", "/", "//", "/etc", "//etc"),
    *("/etc/passwd", "/proc/self/root", "/proc/self/cwd", "/dev/stdin", "link", "link/", "link/..", "dicom_data/link"),
    *("%2e%2e", "%2e%2e%2foutside", "..%2foutside", "..%252foutside", "..\\outside", "..\\..\\etc"),
    *("C:\\Windows", "\\\\host\\share", "//host/share", "~", "~root", "$HOME", "`id`", "$(id)", "; ls", "| ls"),
    *("\0", "dicom_data\0", "dicom_data\0/../..", "\u2025/outside", "\uff0e\uff0e/outside", "..\u2044outside"),
    *("-rf", "*", "?", "a" * 5000, "/".join(["a"] * 3000), "CON", "dicom_data/00000", "\r\nSet-Cookie: a=b"),
]
ELSEWHERE = [
    *("http://127.0.0.1:1/x", "https://example.org/x", "ftp://example.org/x", "s3://bucket/x", "gs://bucket/x"),
    *("file:///etc", "file://localhost/etc", "memory://x", "hdfs://x/y", "smb://host/share", "data:,x", "jar:file:/x"),
]


async def asked(fetch: Fetch, door: str, folder: str) -> HTTPResponse:
    quoted = "".join(f"%{byte:02x}" for byte in folder.encode())
    match door:
        case "v1":
            return await fetch("api/v1/jobs", {"task": "3dblur", "input_dir": folder})
        case "scripts":
            return await fetch("job/", {"job_name": "3dblur", "in_dir": folder})
        case "several":
            return await fetch("api/v1/jobs", {"jobs": [{"task": "3dblur", "input_dir": folder}]})
        case "series":
            return await fetch(f"api/v1/series?dir={quoted}")
    return await fetch(f"api/v1/series/thumbnail?dir={quoted}&series=1.2.3")


@pytest.mark.parametrize("door", ["v1", "scripts", "several", "series", "thumbnail"])
async def test_no_folder_leads_out_of_the_root_or_to_another_machine(
    fetch: Fetch, jp_root_dir: Path, door: str, caplog: pytest.LogCaptureFixture
) -> None:
    for outside in (jp_root_dir.parent / "outside", jp_root_dir.parent / f"{jp_root_dir.name}-sibling"):
        outside.mkdir()
        (outside / "secret").write_text("ZZSECRET")
    (jp_root_dir / "link").symlink_to(jp_root_dir.parent / "outside")
    (jp_root_dir / "dicom_data/link").symlink_to("/etc")
    sibling = f"../{jp_root_dir.name}-sibling"
    assert len(OUTSIDE) >= 40
    try:
        for folder in (*OUTSIDE, sibling, str(jp_root_dir.parent / "outside"), *ELSEWHERE):
            if (door == "thumbnail" and len(folder) > 4000) or (door == "series" and len(folder) > 4000):
                continue  # such a long address is refused by the web server itself
            answer = await asked(fetch, door, folder)
            text = answer.body.decode()
            assert answer.code == (200 if door == "several" else 422), (folder, text)
            if door == "several":
                text = json.dumps(json.loads(text)["verdicts"][0]["error"])
            if door != "scripts":
                assert json.loads(text)["code"] == "PATH_REFUSED", folder
            assert "ZZSECRET" not in text
            assert str(jp_root_dir) not in text or str(jp_root_dir) in folder
            assert "\r" not in json.loads(text).get("message", "")
    finally:
        (jp_root_dir / "dicom_data/link").unlink()


async def test_a_link_out_of_the_root_deep_in_a_folder_is_told_and_not_followed(
    fetch: Fetch, jp_root_dir: Path
) -> None:
    (jp_root_dir / "dicom_data/deep").mkdir()
    (jp_root_dir / "dicom_data/deep/link").symlink_to("/etc")
    found = json.loads((await fetch("api/v1/series?dir=dicom_data")).body)
    assert [file["file"] for file in found["refused"]] == ["deep/link"]
    assert found["refused_files"] == 1


@pytest.mark.parametrize("name", ["<img src=x onerror=alert(1)>", "a\nb", "-rf", "$(touch x)", "\x1b[31m", "ü\u202e"])
async def test_hostile_names_of_folders_are_names(fetch: Fetch, jp_root_dir: Path, name: str) -> None:
    os.rename(jp_root_dir / "dicom_data", jp_root_dir / name)
    answer = await asked(fetch, "v1", name)
    assert answer.code == 201, answer.body
    assert json.loads(answer.body)["input_dir"] == name
    listed = await asked(fetch, "series", name)
    assert (listed.code, json.loads(listed.body)["input_dir"]) == (200, name)
    for reply in (answer, listed):
        assert reply.headers["Content-Type"].startswith("application/json")
        assert reply.headers["X-Content-Type-Options"] == "nosniff"


async def test_the_access_log_has_no_folder_of_an_address(fetch: Fetch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    for address in ("series?dir=ZZPHI", "series/thumbnail?dir=ZZPHI&series=1", "jobs?about=ZZPHI&limit=0"):
        await fetch(f"api/v1/{address}")
    assert "422 GET" in caplog.text
    assert "ZZPHI" not in caplog.text


def _post_without_token(server: Backend, kind: str, pieces: Iterable[bytes]) -> None:
    port = int(server.address.rstrip("/").rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.settimeout(PATIENCE_S)
        with contextlib.suppress(OSError):  # the server has had enough
            connection.sendall(f"POST /dlp-lab/api/v1/jobs HTTP/1.1\r\nHost: localhost\r\n{kind}\r\n\r\n".encode())
            for piece in pieces:
                connection.sendall(piece)
        time.sleep(0.1)


@pytest.mark.parametrize("form", ["length", "chunks"])
def test_a_body_without_a_token_is_not_kept(backend: Backend, form: str) -> None:  # noqa: F811
    size, piece = 250 * 2**20, bytes(2**20)
    _post_without_token(backend, "Content-Length: 2", [b"{}"])  # what is loaded at the first one is loaded
    before = _resident_bytes(backend.process.pid)
    greatest = before

    def pieces() -> Iterator[bytes]:
        nonlocal greatest
        for _ in range(size // len(piece)):
            yield piece if form == "length" else b"100000\r\n" + piece + b"\r\n"
            greatest = max(greatest, _resident_bytes(backend.process.pid))

    _post_without_token(
        backend, f"Content-Length: {size}" if form == "length" else "Transfer-Encoding: chunked", pieces()
    )
    greatest = max(greatest, _resident_bytes(backend.process.pid))
    assert greatest - before < size // 4  # what a server takes at rest comes and goes; a kept body is 250 MiB
    assert backend.ask("query/x")[0] == 404


def _resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
