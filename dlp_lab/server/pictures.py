"""Pictures for the routes: drawn a few at a time, and kept as long as there is room."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from dlp_lab.server.slow_calls import SlowCalls

if TYPE_CHECKING:
    from dlp_lab.jobs.drawing import Subject  # loads numpy

_AT_ONCE = 2
_MAX_BYTES = 32 * 2**20


class Pictures:
    """Draws pictures and keeps those last asked for, 32 MiB of them.

    For use from the server's loop alone.
    """

    def __init__(self) -> None:
        self._calls = SlowCalls(_AT_ONCE)
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._kept_bytes = 0

    async def png(self, etag: str, subject: Subject) -> bytes:
        """A picture as a PNG file.

        Args:
            etag: Of the subject, as it is now.
            subject: What it is of.

        Raises:
            DicomError, NoPicture, DecoderCrashed: See `draw`.
        """
        from dlp_lab.jobs.drawing import draw

        if etag not in self._kept:
            self._keep(etag, await self._calls.run(draw, subject))
        self._kept.move_to_end(etag)
        return self._kept[etag]

    def _keep(self, etag: str, png: bytes) -> None:
        self._kept_bytes += len(png) - len(self._kept.get(etag, b""))
        self._kept[etag] = png
        self._kept.move_to_end(etag)
        while self._kept_bytes > _MAX_BYTES:
            _, oldest = self._kept.popitem(last=False)
            self._kept_bytes -= len(oldest)
