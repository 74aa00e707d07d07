"""Decodes compressed images in a process of its own, for programs that a damaged file must not take down: a notebook's
kernel, a command of the user.

A job needs none of it, for it has its own process.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
from numpy.typing import NDArray

import dlp_lab
from dlp_lab.dicom.compressed import decoding_threads, frames_ahead
from dlp_lab.dicom.encoded_frame import EncodedFrame
from dlp_lab.errors import DecoderCrashed, DlpError
from dlp_lab.jobs.decoding_process import DONE, LENGTH, REFUSED, Order, Refusal, frame_in
from dlp_lab.jobs.exit_status import how_it_ended

_SECONDS_TO_END = 5.0
_MAX_REFUSAL_BYTES = 2**16


def decoded_apart(
    frames: Sequence[EncodedFrame], places: Sequence[NDArray[Any]]
) -> Generator[NDArray[Any], None, None]:
    """`FrameDecoder` in a process of its own, with limited memory.

    Args:
        frames: What to decode.
        places: Not used; values lie in memory that the processes share, and are to be copied from there.

    Raises:
        DecoderCrashed: The process ended without an answer.
    """
    if not frames:
        return
    threads = decoding_threads(frames)
    slots = min(len(frames), frames_ahead(threads)) + frames_ahead(threads)
    largest = max(frame.decoded_bytes for frame in frames)
    slot_bytes = -(-largest // mmap.PAGESIZE) * mmap.PAGESIZE
    with _anonymous_file(slots * slot_bytes) as file:
        memory = mmap.mmap(file, slots * slot_bytes)
        order = Order(list(frames), threads, file, slots, slot_bytes)
        with _started(file) as process:
            _send(process, order)
            for n in range(len(frames)):
                _await_frame(process, order, n)
                yield frame_in(memory, order, n)
                _write(process, b"\0")


@contextlib.contextmanager
def _anonymous_file(size: int) -> Iterator[int]:
    """Descriptor of a file that no one else can open, and that ends with the last process that has it."""
    if sys.platform == "linux":
        opened = os.memfd_create("dlp-lab-decoder")
    else:
        with tempfile.TemporaryFile() as file:
            opened = os.dup(file.fileno())
    # below 3, where a program without standard input has room, it would be the pipes' place in the new process
    descriptor = fcntl.fcntl(opened, fcntl.F_DUPFD_CLOEXEC, 3)
    os.close(opened)
    try:
        os.ftruncate(descriptor, size)
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _started(descriptor: int) -> Iterator[subprocess.Popen[bytes]]:
    """A new interpreter: no fork, for a kernel has threads, and no second run of the main script."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "dlp_lab.jobs.decoding_process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        bufsize=0,
        pass_fds=[descriptor],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(import_path())},
        start_new_session=True,  # so that an interrupt from the keyboard is ours to answer
    )
    try:
        yield process
    finally:
        process.kill()
        with process:  # waits for it, and closes its pipes
            pass


def import_path() -> list[str]:
    """Where this process imports from, so that its decoder finds the same modules.

    The working directory comes last: a file in it that is called like a module would hide it from the decoder, while
    this process imported the module long ago, or before it went there.
    """
    path = [entry for entry in sys.path if entry]
    path.append(str(Path(dlp_lab.__file__).parents[1]))
    if "" in sys.path:
        with contextlib.suppress(FileNotFoundError):  # it was removed
            path.append(os.getcwd())
    return path


def _send(process: subprocess.Popen[bytes], order: Order) -> None:
    encoded = msgspec.msgpack.encode(order)
    _write(process, LENGTH.pack(len(encoded)) + encoded)


def _write(process: subprocess.Popen[bytes], content: bytes) -> None:
    assert process.stdin is not None
    left = memoryview(content)
    with contextlib.suppress(BrokenPipeError):  # that it has ended is seen where its answer is awaited
        while left:
            left = left[process.stdin.write(left) :]


def _await_frame(process: subprocess.Popen[bytes], order: Order, n: int) -> None:
    assert process.stdout is not None
    answer = process.stdout.read(1)
    if answer == DONE:
        return
    if answer == REFUSED:
        refusal = msgspec.json.decode(process.stdout.read(_MAX_REFUSAL_BYTES), type=Refusal)
        raise error_class(refusal.code)(refusal.message)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_SECONDS_TO_END)
    following = min(len(order.frames), n + order.slots) - n - 1
    among = f" or one of the next {following}" if following else ""
    raise DecoderCrashed(
        f"decoding {order.frames[n].name}{among} failed: {how_it_ended('the decoder', process.returncode)}; the file "
        "may be damaged: export the series again, or take the file out"
    )


def error_class(code: str) -> type[DlpError]:
    kinds: list[type[DlpError]] = [DlpError]
    for kind in kinds:
        kinds.extend(kind.__subclasses__())
    return next((kind for kind in kinds if kind.code == code), DlpError)
