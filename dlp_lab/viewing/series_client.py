"""The server's end of the process that knows DICOM (`series_process.py`)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys

import msgspec

from dlp_lab.errors import DecoderCrashed, DlpError
from dlp_lab.jobs.isolated_decoder import error_class, import_path
from dlp_lab.viewing.series_messages import (
    LENGTH,
    MAX_MESSAGE_BYTES,
    Answer,
    Described,
    Elements,
    Fill,
    Filled,
    ReadElements,
    Refused,
    Request,
    Source,
    packed,
)
from dlp_lab.viewing.volume_info import HeaderElement


class SeriesClient:
    """A started process. All methods belong to the server's event loop; make one with `open_series`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._changed = asyncio.Condition()
        self._filled: set[int] = set()
        self._filling = False
        self._elements: dict[int, list[HeaderElement]] = {}
        self._asking = asyncio.Lock()
        self._refusal: DlpError | None = None
        self._ended = False
        self._listening: asyncio.Task[None] | None = None

    async def describe(self, source: Source) -> Described:
        """Send the source and wait for what it is.

        Raises:
            DlpError: It is refused.
        """
        self._send(source)
        answer = await self._receive()
        if isinstance(answer, Described):
            self._listening = asyncio.create_task(self._listen())
            return answer
        raise _error(answer) if isinstance(answer, Refused) else _crashed()

    async def wait_until_filled(self, slices: set[int]) -> None:
        """Wait until these slices are in the working file; the first call has it filled.

        Raises:
            DlpError: A slice cannot be read.
        """
        if not self._filling:
            self._filling = True
            self._send(Fill())
        async with self._changed:
            await self._changed.wait_for(lambda: slices <= self._filled or self._over)
        if not slices <= self._filled:
            raise self._refusal or _crashed()

    async def elements(self, k: int) -> list[HeaderElement]:
        """The header of slice `k`.

        Raises:
            DlpError: It cannot be read.
        """
        async with self._asking:
            self._send(ReadElements(k))
            async with self._changed:
                await self._changed.wait_for(lambda: k in self._elements or self._over)
            if k not in self._elements:
                raise self._refusal or _crashed()
            return self._elements.pop(k)

    async def close(self) -> None:
        """End the process."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        if self._listening is not None:
            await self._listening

    @property
    def _over(self) -> bool:
        return self._ended or self._refusal is not None

    def _send(self, request: Request) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(ConnectionError):  # that it has ended is seen where its answer is awaited
            self._process.stdin.write(packed(request))

    async def _receive(self) -> Answer | None:
        assert self._process.stdout is not None
        try:
            (length,) = LENGTH.unpack(await self._process.stdout.readexactly(LENGTH.size))
            if length > MAX_MESSAGE_BYTES:
                return None
            answer: Answer = msgspec.msgpack.decode(await self._process.stdout.readexactly(length), type=Answer)
            return answer
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    async def _listen(self) -> None:
        while (answer := await self._receive()) is not None:
            async with self._changed:
                match answer:
                    case Filled(slices):
                        self._filled.update(slices)
                    case Elements(k, elements):
                        self._elements[k] = elements
                    case Refused():
                        self._refusal = _error(answer)
                self._changed.notify_all()
        async with self._changed:
            self._ended = True
            self._changed.notify_all()


async def open_series(source: Source, working_file: int) -> tuple[SeriesClient, Described]:
    """Start a process and have it open a source.

    Args:
        source: What to open.
        working_file: Descriptor of an empty file, for voxels; it stays the caller's.

    Raises:
        DlpError: The source is refused.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "dlp_lab.viewing.series_process"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        pass_fds=[working_file],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(import_path())},
        start_new_session=True,  # so that an interrupt from the keyboard is the server's to answer
    )
    client = SeriesClient(process)
    try:
        return client, await client.describe(msgspec.structs.replace(source, working_file=working_file))
    except BaseException:
        await client.close()
        raise


def _error(refused: Refused) -> DlpError:
    return error_class(refused.code)(refused.message)


def _crashed() -> DlpError:
    return DecoderCrashed(
        "the process that reads the volume ended without an answer; a file may be damaged: export the series again"
    )
