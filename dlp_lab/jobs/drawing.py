"""Pictures of single images, drawn in processes of their own: no pixel of a stranger's file is decoded in a server."""

from __future__ import annotations

import contextlib
import hashlib
import multiprocessing
import os
import resource
import signal
import traceback
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec

from dlp_lab.dicom.one_image import read_image
from dlp_lab.errors import DecoderCrashed, DlpError, NoPicture, RequestRefused
from dlp_lab.jobs.decoding_process import Refusal
from dlp_lab.jobs.exit_status import how_it_ended
from dlp_lab.jobs.fork_server import main_module_left_alone, prepare_fork_server, refuse_where_none_starts
from dlp_lab.kernels.picture import gray_picture, png_of, window_of

LONGEST_PX = 256
_SECONDS = 20
_MAX_MEMORY_BYTES = 2**30
_MAX_ANSWER_BYTES = 2**20
_DRAWN, _REFUSED = b"+", b"!"
_CT_WINDOW_HU = (-160.0, 240.0)
"""What is customary for soft tissue."""


@dataclass(frozen=True)
class Subject:
    """What a picture is of.

    Attributes:
        path: A file.
        frame: Which frame of it, from 0; None for its only image, or the middle frame.
    """

    path: Path
    frame: int | None = None

    def etag(self) -> str:
        """Another one whenever the picture may be another one.

        Raises:
            NoPicture: The file is not there any more.
        """
        try:
            status = self.path.stat()
        except OSError as error:
            raise NoPicture(f"{self.path.name} cannot be looked at ({error.strerror}); list the series again") from None
        seen = (self.path, self.frame, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, LONGEST_PX)
        return hashlib.sha256(repr(seen).encode(errors="surrogateescape")).hexdigest()[:32]


def draw(subject: Subject) -> bytes:
    """A picture as a PNG file of at most `LONGEST_PX`. It takes no longer than 20 s and no more memory than 1 GiB.

    Raises:
        DicomError, NoPicture: The image is refused.
        DecoderCrashed: The process that draws ended without an answer.
    """
    refuse_where_none_starts()
    prepare_fork_server()
    context = multiprocessing.get_context("forkserver")
    reader, writer = context.Pipe(duplex=False)
    with reader:
        with writer:
            process = context.Process(target=drawing_main, args=(writer, os.fspath(subject.path), subject.frame))
            with main_module_left_alone():
                process.start()
        answer = b""
        with contextlib.suppress(EOFError, OSError):
            if reader.poll(_SECONDS):
                answer = reader.recv_bytes(_MAX_ANSWER_BYTES)
    process.kill()
    process.join()
    status = process.exitcode
    process.close()
    if answer.startswith(_DRAWN):
        return answer[1:]
    if answer.startswith(_REFUSED):
        refusal = msgspec.json.decode(answer[1:], type=Refusal)
        raise _refused(refusal)
    raise DecoderCrashed(f"no picture of {subject.path.name}: {how_it_ended('the decoder', status)}")


def drawing_main(connection: Connection, path: str, frame: int | None) -> None:
    """Entry of the process: draw, answer, end."""
    try:
        _limit_process()
        try:
            answer = _DRAWN + _png(Path(path), frame)
        except DlpError as error:
            answer = _REFUSED + msgspec.json.encode(Refusal(error.code, str(error)))
        except MemoryError:
            answer = _REFUSED + msgspec.json.encode(Refusal(NoPicture.code, "the image is too large for a picture"))
        connection.send_bytes(answer)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)


def _limit_process() -> None:
    os.setsid()
    quiet = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(quiet, descriptor)
    os.umask(0o077)
    os.nice(10)
    signal.alarm(_SECONDS + 5)  # should the server be gone, which would end it otherwise
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold the patient's images
    resource.setrlimit(resource.RLIMIT_DATA, (_MAX_MEMORY_BYTES, _MAX_MEMORY_BYTES))


def _png(path: Path, frame: int | None) -> bytes:
    volume = read_image(path, frame)
    values = volume.voxels[0]
    _, between_rows_mm, between_columns_mm = volume.geometry.spacing_kji_mm
    window = _CT_WINDOW_HU if volume.modality == "CT" and volume.unit == "HU" else window_of(values)
    return png_of(gray_picture(values, (between_rows_mm, between_columns_mm), window, LONGEST_PX))


def _refused(refusal: Refusal) -> DlpError:
    kinds: list[type[DlpError]] = [RequestRefused]
    for kind in kinds:
        kinds.extend(kind.__subclasses__())
    return next((kind for kind in kinds if kind.code == refusal.code), NoPicture)(refusal.message)
