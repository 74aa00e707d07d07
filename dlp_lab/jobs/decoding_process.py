"""A process that decodes compressed images for another one, and may crash: `python -m dlp_lab.jobs.decoding_process`.

Standard input brings the length of an `Order`, the order, and later a byte for every frame whose place may be used
again. Standard output tells DONE for every frame, in order, or REFUSED and why. Values go through shared memory: frame
`n` is in slot `n % slots`. The process ends when its standard input does, so not later than the one that started it.
"""

from __future__ import annotations

import mmap
import os
import resource
import struct
import sys
import threading
from typing import Any, BinaryIO

import msgspec
import numpy as np
from numpy.typing import NDArray

from dlp_lab.dicom.compressed import decoded_here, frames_ahead
from dlp_lab.dicom.encoded_frame import EncodedFrame
from dlp_lab.errors import DlpError, OutOfMemory
from dlp_lab.jobs.memory_limit import limited_memory

DONE, REFUSED = b"+", b"!"
LENGTH = struct.Struct("<Q")


class Order(msgspec.Struct, frozen=True):
    """What to decode.

    Attributes:
        frames: In order.
        threads: How many to decode at once.
        memory: Descriptor of the shared memory.
        slots: How many frames it holds; more than are decoded ahead.
        slot_bytes: Room for one of them.
    """

    frames: list[EncodedFrame]
    threads: int
    memory: int
    slots: int
    slot_bytes: int


class Refusal(msgspec.Struct, frozen=True):
    """Why a frame is not decoded: the code of an error and its message."""

    code: str
    message: str


def frame_in(memory: mmap.mmap, order: Order, n: int) -> NDArray[Any]:
    """The values of frame `n`, where they are in the shared memory."""
    frame = order.frames[n]
    offset = n % order.slots * order.slot_bytes
    values = np.frombuffer(memory, frame.dtype, frame.rows * frame.columns, offset)
    return values.reshape(frame.rows, frame.columns)


def main() -> None:
    """Decode what is ordered, and end."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold the patient's images
    answers = _private_stdout()
    asked = open(0, "rb", buffering=0, closefd=False)  # noqa: SIM115
    order = msgspec.msgpack.decode(_read(asked, *LENGTH.unpack(_read(asked, LENGTH.size))), type=Order)
    free = threading.Semaphore(order.slots - frames_ahead(order.threads))
    threading.Thread(target=_count_free, args=(asked, free), daemon=True).start()
    try:
        with limited_memory(order.slots * order.slot_bytes):
            _decode(order, answers, free)
    except DlpError as error:
        _refuse(answers, error)
    except MemoryError:
        _refuse(answers, OutOfMemory("there is not enough memory to decode the compressed images of this series"))
    os._exit(0)


def _decode(order: Order, answers: int, free: threading.Semaphore) -> None:
    memory = mmap.mmap(order.memory, order.slots * order.slot_bytes)
    places = [frame_in(memory, order, n) for n in range(len(order.frames))]
    for _ in decoded_here(order.frames, places, order.threads):
        os.write(answers, DONE)
        free.acquire()  # before the next frame, which may need the place, is begun


def _refuse(answers: int, error: DlpError) -> None:
    os.write(answers, REFUSED + msgspec.json.encode(Refusal(error.code, str(error))))


def _private_stdout() -> int:
    """A descriptor for the answers, among which nothing comes that a decoder prints."""
    answers = os.dup(1)
    os.dup2(2, 1)
    return answers


def _read(source: BinaryIO, size: int) -> bytes:
    content = bytearray()
    while len(content) < size:
        piece = source.read(size - len(content))
        if not piece:
            sys.exit("the order ends early")
        content += piece
    return bytes(content)


def _count_free(asked: BinaryIO, free: threading.Semaphore) -> None:
    while freed := asked.read(4096):
        free.release(len(freed))
    os._exit(1)  # who asked is gone


if __name__ == "__main__":
    main()
