"""The process that knows DICOM for the viewer's server: `python -m dlp_lab.viewing.series_process`.

It opens one source and answers what is asked of it (`series_messages.py`). A damaged file that crashes a decoder ends
this process, not the server. It ends when its standard input does, so not later than the server.
"""

from __future__ import annotations

import errno
import os
import resource
import sys
import threading
from pathlib import Path

import msgspec
import numpy as np

from dlp_lab.errors import DiskFull, DlpError, OutOfMemory, Unreadable
from dlp_lab.jobs.memory_limit import limited_memory
from dlp_lab.viewing.assembly import Assembly, assembled
from dlp_lab.viewing.series_messages import (
    LENGTH,
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

_TOLD_AT_ONCE = 8
"""Slices of the working file that are told of together."""


class _Answers:
    """Standard output as it was at the start, among which nothing comes that a library prints."""

    def __init__(self) -> None:
        self._descriptor = os.dup(1)
        os.dup2(2, 1)
        self._lock = threading.Lock()

    def tell(self, answer: Answer) -> None:
        content = memoryview(packed(answer))
        with self._lock:
            while content:
                content = content[os.write(self._descriptor, content) :]


def main() -> None:
    """Answer until nobody asks."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold the patient's images
    os.umask(0o077)
    os.nice(5)
    answers = _Answers()
    source = _next_request()
    assert isinstance(source, Source)
    try:
        with limited_memory():
            assembly = assembled(source)
            answers.tell(Described(assembly.info, assembly.locations(), assembly.frame_of_reference_uid))
    except BaseException as error:
        answers.tell(_refusal(error, Path(os.fsdecode(source.path)).name))
        return
    while (request := _next_request()) is not None:
        if isinstance(request, Fill):
            threading.Thread(target=_fill, args=(assembly, source.working_file, answers), daemon=True).start()
        elif isinstance(request, ReadElements):
            answers.tell(_elements(assembly, request.slice))
    os._exit(0)


def _next_request() -> Request | None:
    length = sys.stdin.buffer.read(LENGTH.size)
    if len(length) < LENGTH.size:
        return None
    request: Request = msgspec.msgpack.decode(sys.stdin.buffer.read(*LENGTH.unpack(length)), type=Request)
    return request


def _fill(assembly: Assembly, working_file: int, answers: _Answers) -> None:
    done: list[int] = []
    try:
        with limited_memory():
            for k, values in assembly.slices():
                content = np.ascontiguousarray(values, np.dtype(assembly.info.dtype).newbyteorder("<"))
                _write(working_file, content.reshape(-1).view(np.uint8).data, k * content.nbytes)
                done.append(k)
                if len(done) == _TOLD_AT_ONCE:
                    answers.tell(Filled(done))
                    done = []
            answers.tell(Filled(done))
    except BaseException as error:
        answers.tell(_refusal(error, "the volume"))


def _write(descriptor: int, content: memoryview, offset: int) -> None:
    while content:
        written = os.pwrite(descriptor, content, offset)
        content, offset = content[written:], offset + written


def _elements(assembly: Assembly, k: int) -> Answer:
    try:
        return Elements(k, assembly.elements(k))
    except BaseException as error:
        return _refusal(error, f"the header of slice {k}")


def _refusal(error: BaseException, what: str) -> Refused:
    if isinstance(error, DlpError):
        return Refused(error.code, str(error))
    if isinstance(error, MemoryError):
        return Refused(OutOfMemory.code, f"there is not enough memory to open {what}")
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Refused(DiskFull.code, "the disk of the output folder is full; free space there and open it again")
    # the text of a foreign exception may hold a patient's data or a path
    return Refused(Unreadable.code, f"{what} cannot be read ({type(error).__name__})")


if __name__ == "__main__":
    main()
