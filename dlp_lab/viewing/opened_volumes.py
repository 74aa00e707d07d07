"""The volumes that a server's viewers look at: by ids that cannot be guessed, bounded, closed when nobody looks."""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path

from dlp_lab.dicom.options import DEFAULT_OPTIONS, ReadOptions
from dlp_lab.errors import NoSuchVolume, TooLarge
from dlp_lab.store.workspace import Workspace
from dlp_lab.viewing.opened_volume import OpenedVolume, along_planes_of, open_source
from dlp_lab.viewing.series_messages import Source, SourceKind

MAX_OPEN = 24
IDLE_SECONDS = 600.0
_SECONDS_BETWEEN_LOOKS = 30.0
_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"


@dataclass
class _Entry:
    volume: OpenedVolume
    used_at: float = field(default_factory=time.monotonic)


class OpenedVolumes:
    """All methods belong to the server's event loop.

    Args:
        workspace: Where volumes lie.
        max_working_bytes: How much disk all working files together may take.
    """

    def __init__(self, workspace: Workspace, max_working_bytes: int) -> None:
        self._workspace = workspace
        self._max_working_bytes = max_working_bytes
        self._entries: dict[str, _Entry] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._looking: asyncio.TimerHandle | None = None

    async def open(
        self, relative: str, options: ReadOptions = DEFAULT_OPTIONS, compared_with: str | None = None
    ) -> tuple[str, OpenedVolume]:
        """Open a file or folder.

        Args:
            relative: Path relative to the root. Of a DICOM file, the series is opened that it belongs to.
            options: Which images of a folder, and which repairs.
            compared_with: Id of an open volume, along whose planes this one is looked at.

        Returns:
            Its id, and the volume.

        Raises:
            DlpError: It is refused.
        """
        grid = None if compared_with is None else self.get(compared_with).grid
        source = await asyncio.to_thread(self._source, relative, options)
        volume = await open_source(self._workspace, source, self._make_room)
        if grid is not None:
            volume = await along_planes_of(grid, volume)
        uid = secrets.token_hex(16)
        self._entries[uid] = _Entry(volume)
        while len(self._entries) > MAX_OPEN:
            self._close_soon(self._least_used())
        if self._looking is None:
            self._look_again()
        return uid, volume

    def get(self, uid: str) -> OpenedVolume:
        """The open volume of that id.

        Raises:
            NoSuchVolume: There is none, any more.
        """
        if uid not in self._entries:
            raise NoSuchVolume(
                "no volume is open under this id: it was closed, or not looked at for long; open it again"
            )
        entry = self._entries[uid]
        entry.used_at = time.monotonic()
        return entry.volume

    async def close(self, uid: str) -> None:
        """Close a volume.

        Raises:
            NoSuchVolume: None is open under that id, any more.
        """
        volume = self.get(uid)
        del self._entries[uid]
        await volume.close()

    async def close_all(self) -> None:
        """Close all, and wait until their processes are gone."""
        if self._looking is not None:
            self._looking.cancel()
        for uid in list(self._entries):
            await self.close(uid)
        await asyncio.gather(*self._closing)

    def _source(self, relative: str, options: ReadOptions) -> Source:
        path = self._workspace.file_or_folder(relative)
        return Source(
            kind=_kind(path),
            path=os.fsencode(path),
            root=os.fsencode(self._workspace.root),
            skip=os.fsencode(self._workspace.output_folder),
            options=options,
        )

    def _make_room(self, needed: int) -> None:
        if needed > self._max_working_bytes:
            raise TooLarge(
                f"this plane needs a working file of {needed / 2**30:.1f} GiB, {self._max_working_bytes / 2**30:.1f} "
                "GiB are allowed (DlpLabApp.max_viewer_gib); look at the slices, or convert it to HDF5 first"
            )
        while self._working_bytes() + needed > self._max_working_bytes:
            holders = [uid for uid, entry in self._entries.items() if entry.volume.working_bytes]
            self._close_soon(min(holders, key=lambda uid: self._entries[uid].used_at))

    def _working_bytes(self) -> int:
        return sum(entry.volume.working_bytes for entry in self._entries.values())

    def _least_used(self) -> str:
        return min(self._entries, key=lambda uid: self._entries[uid].used_at)

    def _close_soon(self, uid: str) -> None:
        closing = asyncio.create_task(self._entries.pop(uid).volume.close())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    def _look_again(self) -> None:
        self._looking = asyncio.get_running_loop().call_later(_SECONDS_BETWEEN_LOOKS, self._close_idle)

    def _close_idle(self) -> None:
        self._looking = None
        latest = time.monotonic() - IDLE_SECONDS
        for uid in [uid for uid, entry in self._entries.items() if entry.used_at < latest]:
            self._close_soon(uid)
        if self._entries:
            self._look_again()


def _kind(path: Path) -> SourceKind:
    if path.is_dir():
        return "folder"
    with open(path, "rb", buffering=0) as file:
        return "hdf5" if file.read(len(_HDF5_SIGNATURE)) == _HDF5_SIGNATURE else "series_of_file"
