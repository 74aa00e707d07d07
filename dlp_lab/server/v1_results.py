"""Versioned API: the results of jobs."""

from __future__ import annotations

import os
import re
from http import HTTPStatus
from typing import Any, BinaryIO

from jupyter_server.auth.decorator import authorized
from tornado import web

from dlp_lab.errors import RangeNotSatisfiable
from dlp_lab.jobs.replies import ResultFile, ResultFiles
from dlp_lab.server.api_handler import DlpHandler
from dlp_lab.server.operation import operation

_PIECE_BYTES = 2**20
_RANGE = re.compile(r"bytes=(?P<first>\d{0,15})-(?P<last>\d{0,15})")
_OTHER = "application/octet-stream"
_MEDIA_TYPES = {".dcm": "application/dicom", ".json": "application/json", ".h5": "application/x-hdf5"}


class FilesHandler(DlpHandler):
    """`dlp-lab/api/v1/jobs/<uid>/files`."""

    @web.authenticated
    @authorized
    @operation(ResultFiles, 404)
    async def get(self, uid: str) -> None:
        """List the files of a result."""
        jobs = await self.jobs()
        files = await self.in_thread(jobs.files, uid)
        self.reply(
            ResultFiles(
                files=[ResultFile(name=name, file_bytes=size, media_type=_media_type(name)) for name, size in files]
            )
        )


class FileHandler(DlpHandler):
    """`dlp-lab/api/v1/jobs/<uid>/files/<name>`."""

    _size = 0

    @web.authenticated
    @authorized
    @operation("*/*", 404, 416, also={206: "*/*", 304: None}, ranges=True)
    async def get(self, uid: str, name: str) -> None:
        """Download a file of a result; `job.json` is its record."""
        jobs = await self.jobs()
        with await self.in_thread(jobs.open_file, uid, name) as file:
            status = os.fstat(file.fileno())
            etag = f'"{status.st_size:x}-{status.st_mtime_ns:x}"'
            self.set_header("ETag", etag)
            self.set_header("Accept-Ranges", "bytes")
            self.set_header("Content-Disposition", f'attachment; filename="{name}"')
            if self.check_etag_header():
                self.set_status(HTTPStatus.NOT_MODIFIED)
                self.finish()
                return
            first, end = self._asked_range(status.st_size, etag)
            await self._send(file, name, first, end)

    def _asked_range(self, size: int, etag: str) -> tuple[int, int]:
        """First byte and the one behind the last; all, where the header `Range` is none that is heeded (RFC 9110)."""
        asked = _RANGE.fullmatch(self.request.headers.get("Range", ""))
        if asked is None or not any(asked.groups()) or self.request.headers.get("If-Range", etag) != etag:
            return 0, size
        if asked["first"]:
            first, end = int(asked["first"]), min(size, int(asked["last"] or size) + 1)
            if asked["last"] and int(asked["last"]) < first:
                return 0, size
        else:
            first, end = max(0, size - int(asked["last"])), size
        if first >= end:
            self._size = size
            raise RangeNotSatisfiable(f"the file has {size} bytes; ask for some of them")
        self.set_status(HTTPStatus.PARTIAL_CONTENT)
        self.set_header("Content-Range", f"bytes {first}-{end - 1}/{size}")
        return first, end

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        if status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            self.set_header("Content-Range", f"bytes */{self._size}")  # what was set before is cleared by an error
        super().write_error(status_code, **kwargs)

    async def _send(self, file: BinaryIO, name: str, first: int, end: int) -> None:
        """Piece by piece, each when the client has taken the one before."""
        self.set_header("Content-Type", _media_type(name))
        self.set_header("Content-Length", end - first)
        while first < end:
            piece = await self.in_thread(os.pread, file.fileno(), min(_PIECE_BYTES, end - first), first)
            if not piece:
                break  # cut off meanwhile; the client sees that it got less than was said
            self.write(piece)
            await self.flush()
            first += len(piece)
        self.finish(set_content_type=_media_type(name))


class PreviewHandler(DlpHandler):
    """`dlp-lab/api/v1/jobs/<uid>/preview`."""

    @web.authenticated
    @authorized
    @operation("image/png", 404, 422, also={304: None})
    async def get(self, uid: str) -> None:
        """Show the middle slice of a result."""
        jobs = await self.jobs()
        await self.reply_with_picture(await self.in_thread(jobs.subject, uid))


def _media_type(name: str) -> str:
    return _MEDIA_TYPES.get(os.path.splitext(name)[1], _OTHER)


ROUTES = [
    (r"api/v1/jobs/([^/]+)/files", FilesHandler),
    (r"api/v1/jobs/([^/]+)/files/([^/]+)", FileHandler),
    (r"api/v1/jobs/([^/]+)/preview", PreviewHandler),
]
