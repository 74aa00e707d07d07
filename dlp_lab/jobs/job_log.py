"""What the process of a job prints, kept in a file that cannot fill the disk."""

from __future__ import annotations

import codecs
import contextlib
import os
import threading
from multiprocessing.connection import Connection
from pathlib import Path

from dlp_lab.jobs.job import JobLogPart
from dlp_lab.jobs.job_processes import FoundProcess, who_prints_into

MAX_LOG_BYTES = 10 * 2**20
_TAIL_BYTES = 64 * 2**10
_READ_BYTES = 64 * 2**10


class JobLog:
    """Writes what comes out of a pipe to a job's log, in a thread, until nobody can write to the pipe any more.

    The log keeps the first `MAX_LOG_BYTES` of all attempts together, and of each further one its end, where it says
    why it failed. Of a log that cannot be written (a full disk) the rest is dropped: the job is worth more.

    Args:
        path: Of the log; what it holds stays.
        reader: Reading end of a pipe; it is closed at the end.
    """

    def __init__(self, path: Path, reader: Connection) -> None:
        self._path = path
        self._reader = reader
        self._thread = threading.Thread(target=self._copy, name="dlp-lab-job-log", daemon=True)
        self._thread.start()

    def wait(self, seconds: float) -> bool:
        """Wait until all is written, at most so long: what a job left behind holds the pipe open. Returns if it is."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def who_prints(self) -> set[FoundProcess]:
        """Processes that hold the pipe open as what they print into."""
        with contextlib.suppress(OSError):  # all is written meanwhile, and the pipe closed
            return who_prints_into(self._reader.fileno())
        return set()

    def _copy(self) -> None:
        left_out, tail = 0, b""
        try:
            while chunk := os.read(self._reader.fileno(), _READ_BYTES):
                rest = self._append(chunk, MAX_LOG_BYTES)
                left_out += len(rest)
                tail = (tail + rest)[-_TAIL_BYTES:]
        finally:
            self._reader.close()
        if left_out:
            note = f"\n--- {left_out - len(tail)} bytes are left out here: a log holds {MAX_LOG_BYTES} bytes ---\n"
            self._append(note.encode() + tail, MAX_LOG_BYTES + 2 * _TAIL_BYTES)

    def _append(self, chunk: bytes, limit: int) -> bytes:
        """Write what there is room for below `limit`; returns the rest."""
        with contextlib.suppress(OSError):
            log = os.open(self._path, os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW, 0o600)
            try:
                room = max(0, limit - os.fstat(log).st_size)
                return chunk[os.write(log, chunk[:room]) :]
            finally:
                os.close(log)
        return chunk


def read_log_part(path: Path, offset: int) -> JobLogPart:
    """What a log holds from a byte on, up to 64 KiB; nothing if there is no log yet.

    A character that the end cuts in two is left for the next part, so that the parts together are the text.
    """
    try:
        with open(path, "rb") as file:
            file.seek(offset)
            content = file.read(_READ_BYTES)
    except FileNotFoundError:
        content = b""
    decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
    text = decoder.decode(content)
    return JobLogPart(text=text, next_offset=offset + len(content) - len(decoder.getstate()[0]))
