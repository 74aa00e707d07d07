"""Versioned API: volumes to look at. A client opens one and gets its id; planes travel as raw little-endian voxels."""

from __future__ import annotations

import asyncio
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Literal

import msgspec
from jupyter_server.auth.decorator import authorized
from jupyter_server.utils import url_path_join
from tornado import web

from dlp_lab.errors import JobNotEnded, MalformedRequest, RequestRefused
from dlp_lab.jobs.job import ReadOptions
from dlp_lab.server.api_handler import DlpHandler
from dlp_lab.server.operation import Query, operation
from dlp_lab.store.workspace import LABELS
from dlp_lab.viewing.volume_info import HeaderElement, VolumeInfo

if TYPE_CHECKING:
    from dlp_lab.viewing.opened_volume import OpenedVolume
    from dlp_lab.viewing.opened_volumes import OpenedVolumes

VOLUMES_SETTING = "dlp_lab_opened_volumes"
_EXAMPLE = '{"path": "study/series"} or {"job": "<uid>", "which": "result"}'
_INDEX = re.compile(r"[0-9]{1,9}")
MOST_PLANES = 6
_PLANES = re.compile(rf"^[012]\.[0-9]{{1,9}}(,[012]\.[0-9]{{1,9}}){{0,{MOST_PLANES - 1}}}$")


class OpenVolume(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What to open: a path, or what a job read or wrote.

    Attributes:
        path: File or folder relative to the root; of a DICOM file, the series is opened that it belongs to.
        series: SeriesInstanceUID, where a folder has several.
        job: Uid of a job, instead of a path.
        which: Whether the job's source, its result, or the labels it found in its source are meant.
        compared_with: Id of an open volume, along whose planes this one is looked at, interpolated where it lies on
            another grid.
    """

    path: str | None = None
    series: str | None = None
    job: str | None = None
    which: Literal["source", "result", "labels"] = "result"
    compared_with: str | None = None


class VolumeReply(msgspec.Struct, frozen=True, kw_only=True):
    """An open volume.

    Attributes:
        id: Names it until it is closed, or not looked at for ten minutes.
        info: The volume without its voxels.
    """

    id: str
    info: VolumeInfo


class HeaderReply(msgspec.Struct, frozen=True):
    """The header of a slice."""

    elements: list[HeaderElement]


class VolumeHandler(DlpHandler):
    """What the routes about volumes share."""

    @property
    def volumes(self) -> OpenedVolumes:
        opened: OpenedVolumes = self.settings[VOLUMES_SETTING]()
        return opened

    def index(self, text: str, count: int, what: str) -> int:
        """A number below `count` in an address."""
        if not _INDEX.fullmatch(text) or int(text) >= count:
            raise MalformedRequest(f"{what} is a number from 0 to {count - 1}; got {text[:20]!r}")
        return int(text)


class VolumesHandler(VolumeHandler):
    """`dlp-lab/api/v1/volumes`."""

    @web.authenticated
    @authorized
    @operation(VolumeReply, 400, 404, 409, 422, 507, status=HTTPStatus.CREATED, bodies=(OpenVolume,))
    async def post(self) -> None:
        """Open a volume."""
        body = self.json_body(OpenVolume, _EXAMPLE)
        if (body.path is None) == (body.job is None):
            raise RequestRefused(f"either a path or a job is needed; send JSON such as {_EXAMPLE}")
        path, options = body.path or "", ReadOptions(series=body.series)
        if body.job is not None:
            path, options = await self._of_job(body.job, body.which)
        uid, volume = await self.volumes.open(path, options, body.compared_with)
        self.set_header("Location", url_path_join(self.base_url, "dlp-lab/api/v1/volumes", uid))
        self.reply(VolumeReply(id=uid, info=volume.info), HTTPStatus.CREATED)

    async def _of_job(self, uid: str, which: str) -> tuple[str, ReadOptions]:
        jobs = await self.jobs()
        job = await self.in_thread(jobs.get, uid)
        if which == "source":
            return job.input_dir, job.read
        if job.output_dir is None:
            raise JobNotEnded(f"job {uid} has no result: it is {job.state}; open its source, or wait for it")
        return f"{job.output_dir}/{LABELS}" if which == "labels" else job.output_dir, ReadOptions()


class OneVolumeHandler(VolumeHandler):
    """`dlp-lab/api/v1/volumes/<id>`."""

    @web.authenticated
    @authorized
    @operation(VolumeReply, 404)
    async def get(self, uid: str) -> None:
        """What the volume is."""
        self.reply(VolumeReply(id=uid, info=self.volumes.get(uid).info))

    @web.authenticated
    @authorized
    @operation(None, 404, status=HTTPStatus.NO_CONTENT)
    async def delete(self, uid: str) -> None:
        """Close it."""
        await self.volumes.close(uid)
        self.set_status(HTTPStatus.NO_CONTENT)
        self.finish()


class PlanesHandler(VolumeHandler):
    """`dlp-lab/api/v1/volumes/<id>/planes`."""

    @web.authenticated
    @authorized
    @operation(
        "application/octet-stream",
        *(400, 404, 422),
        also={304: None},
        query=(
            Query(
                "at",
                f"Axis and index of each plane, at most {MOST_PLANES} of them, as `0.17,1.256`.",
                {"type": "string", "pattern": _PLANES.pattern},
                required=True,
            ),
            Query("encoding", "`gzip` packs the voxels, for slow connections.", {"enum": ["", "gzip"]}),
        ),
    )
    async def get(self, uid: str) -> None:
        """Planes, one behind the other, in the order that is asked for.

        `?at=0.17,1.256` asks for the voxels of slice 17, row by row, and for those of row 256 of each slice: the index
        along an axis (0, 1, 2 for slice, row, column). `&encoding=gzip` packs them, for slow connections.
        """
        volume = self.volumes.get(uid)
        places = self._places(volume)
        packed = self.get_query_argument("encoding", "") == "gzip"
        # what is open under an id never changes, so its planes are known by their address alone
        asked = "-".join(f"{axis}.{index}" for axis, index in places)
        self.set_header("ETag", f'"{uid}-{asked}{"-gzip" if packed else ""}"')
        self.set_header("Cache-Control", "private, no-cache")
        if self.check_etag_header():
            self.set_status(HTTPStatus.NOT_MODIFIED)
            self.finish()
            return
        self._work = asyncio.ensure_future(self._content(volume, places, packed))
        try:
            content = await self._work
        except asyncio.CancelledError:
            if self._is_given_up:
                return
            raise
        if packed:
            self.set_header("Content-Encoding", "gzip")
        self.finish(content, set_content_type="application/octet-stream")

    def on_connection_close(self) -> None:
        """Nobody waits any more: what did not begin is left, and the next one has its turn."""
        self._is_given_up = True
        if self._work is not None:
            self._work.cancel()
        super().on_connection_close()

    def compute_etag(self) -> None:
        """That of the address is set above; none is made of the voxels."""

    def _places(self, volume: OpenedVolume) -> list[tuple[int, int]]:
        asked = self.get_query_argument("at", "")
        if not _PLANES.fullmatch(asked):
            raise MalformedRequest(
                f"?at= names 1 to {MOST_PLANES} planes by axis and index, such as 0.17,1.256; got {asked[:40]!r}"
            )
        pairs = [place.split(".") for place in asked.split(",")]
        return [(int(axis), self.index(index, volume.info.shape[int(axis)], "the index")) for axis, index in pairs]

    async def _content(self, volume: OpenedVolume, places: list[tuple[int, int]], packed: bool) -> bytes:
        from dlp_lab.viewing.shown_values import shown_planes  # numpy is there by now

        planes = await asyncio.gather(*(volume.plane(axis, index) for axis, index in places))
        content = shown_planes(planes, volume.info.dtype)
        if packed:
            from isal import igzip  # loaded by those alone who are far away

            return await asyncio.to_thread(igzip.compress, content, 1)
        return content

    _work: asyncio.Future[bytes] | None = None
    _is_given_up = False


class HeaderHandler(VolumeHandler):
    """`dlp-lab/api/v1/volumes/<id>/headers/<slice>`."""

    @web.authenticated
    @authorized
    @operation(HeaderReply, 400, 404, 422)
    async def get(self, uid: str, index_text: str) -> None:
        """The DICOM header of a slice, as text."""
        volume = self.volumes.get(uid)
        k = self.index(index_text, volume.info.shape[0], "the slice")
        self.set_header("Cache-Control", "no-store")
        self.reply(HeaderReply(await volume.elements(k)))


ROUTES = [
    (r"api/v1/volumes/?", VolumesHandler),
    (r"api/v1/volumes/([^/]+)", OneVolumeHandler),
    (r"api/v1/volumes/([^/]+)/planes", PlanesHandler),
    (r"api/v1/volumes/([^/]+)/headers/([^/]+)", HeaderHandler),
]
