"""The stored values of compressed images: decoded after their declared size was checked, several side by side."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dlp_lab.dicom.codecs import decode
from dlp_lab.dicom.codestream import RLE, Codestream, Coding, read_codestream
from dlp_lab.dicom.encoded_frame import EncodedFrame, read_encoded
from dlp_lab.dicom.rle import decode_rle
from dlp_lab.errors import DicomError, Malformed, NoDecoder, Unreadable, UnsupportedPixels
from dlp_lab.processors import available_processors

_MAX_DECODING_BYTES = 2 * 2**30
_BYTES_AT_WORK = 10
"""What OpenJPEG takes for each byte of an image."""


class FrameDecoder(Protocol):
    """Decodes the images of a series. `tests/contracts/frame_decoder_contract.py` checks:

    * It yields the stored values of each frame as a `(rows, columns)` array of the frame's `dtype`, in order.
    * `places[n]` is an array of frame `n`'s shape. The values may be in it, if its type has their size, or elsewhere.
    * They stay as they are until the next ones are asked for.
    * Frames are decoded ahead, but only a few: memory does not grow with their number.
    * The first frame in order that is refused raises, when its turn comes, a `DicomError` that names it.
    * `close` ends it early, and leaves no thread and no process.
    """

    def __call__(
        self, frames: Sequence[EncodedFrame], places: Sequence[NDArray[Any]]
    ) -> Generator[NDArray[Any], None, None]: ...


def decoded_here(
    frames: Sequence[EncodedFrame], places: Sequence[NDArray[Any]], threads: int | None = None
) -> Generator[NDArray[Any], None, None]:
    """`FrameDecoder` in this process, which does not survive a decoder that crashes.

    Args:
        frames: What to decode.
        places: Where it may go.
        threads: How many to use; None for as many as there are processors.
    """

    def work(frame: EncodedFrame, place: NDArray[Any]) -> NDArray[Any]:
        fits = place.itemsize == frame.dtype.itemsize
        out = place.view(frame.dtype) if fits else np.empty(place.shape, frame.dtype)
        read_compressed(frame, out)
        return out

    threads = decoding_threads(frames, threads)
    waiting = zip(frames, places, strict=True)
    ahead: deque[Future[NDArray[Any]]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="dlp-lab-decoder") as pool:

        def begin(count: int) -> None:
            ahead.extend(pool.submit(work, frame, place) for frame, place in islice(waiting, count))

        try:
            begin(frames_ahead(threads))
            while ahead:
                yield ahead.popleft().result()
                begin(1)
        finally:
            for future in ahead:
                future.cancel()


def decoding_threads(frames: Sequence[EncodedFrame], threads: int | None = None) -> int:
    """How many frames to decode at once: `threads`, or one for each processor, as far as memory goes."""
    largest = max((frame.decoded_bytes for frame in frames), default=1)
    affordable = _MAX_DECODING_BYTES // (_BYTES_AT_WORK * max(1, largest))
    return max(1, min(threads or available_processors(), affordable, len(frames)))


def frames_ahead(threads: int) -> int:
    """How many frames are decoded, or being so, when the first of them is told."""
    return 2 * threads


def read_compressed(frame: EncodedFrame, out: NDArray[Any]) -> None:
    """Decode one image.

    Args:
        frame: Of a slice that `check_pixel_element` accepted.
        out: Contiguous `(rows, columns)` array of its `dtype`; it gets the values.

    Raises:
        Truncated: The file ends before its pixels do.
        Malformed, UnsupportedPixels: The pixels cannot be decoded, or are not what the header declares.
        NoDecoder: imagecodecs was built without the decoder.
        Unreadable: The file cannot be opened any more.
    """
    try:
        encoded = read_encoded(frame)
    except OSError as error:
        raise Unreadable(f"{frame.name} could not be read ({error.strerror}); was it moved meanwhile?") from error
    try:
        if frame.transfer_syntax_uid == RLE:
            decode_rle(encoded, out)
            precision = frame.bits_allocated
        else:
            codestream = read_codestream(encoded, frame.transfer_syntax_uid)
            _check_codestream(frame, codestream)
            _decode(frame, encoded, codestream, out)
            precision = codestream.precision
    except DicomError:
        raise
    except ValueError as error:
        raise Malformed(f"{frame.name}: {error}; export it again") from None
    if precision > frame.bits_stored:
        _check_range(frame, out)


def _check_codestream(frame: EncodedFrame, codestream: Codestream) -> None:
    """Refuse what a decoder would make another image of than the header declares.

    Raises:
        Malformed, UnsupportedPixels: They differ.
    """
    found = (codestream.rows, codestream.columns, codestream.components)
    if found != (frame.rows, frame.columns, 1):
        raise Malformed(
            f"{frame.name}: {frame.rows} x {frame.columns} x 1 pixels were declared, the compressed image holds "
            f"{' x '.join(map(str, found))}"
        )
    if codestream.precision > frame.bits_allocated:
        raise Malformed(
            f"{frame.name}: {frame.bits_allocated} bits are allocated for a pixel, the compressed image has "
            f"{codestream.precision}"
        )
    if frame.signed and codestream.coding is Coding.JPEG:
        raise UnsupportedPixels(
            f"{frame.name}: PixelRepresentation (0028,0103) says that its pixels have a sign, which JPEG with loss "
            "cannot keep (PS3.5 8.2.1)"
        )
    if frame.signed and codestream.signed is None and codestream.precision != frame.bits_stored:
        raise UnsupportedPixels(
            f"{frame.name}: where the sign of its pixels is cannot be told: {frame.bits_stored} bits are stored, the "
            f"compressed image has {codestream.precision}"
        )


def _decode(frame: EncodedFrame, encoded: bytes, codestream: Codestream, out: NDArray[Any]) -> None:
    kind = codestream.coding.value
    try:
        decode(encoded, codestream, out)
    except MemoryError:
        raise
    except ImportError:
        raise NoDecoder(
            f"{frame.name} is encoded as {kind}, for which imagecodecs has no decoder here; install it from PyPI, or "
            "convert the series to an uncompressed transfer syntax"
        ) from None
    except Exception as error:
        # decoders raise many kinds of exception on broken pixels; all mean the same to the user
        raise Malformed(
            f"{frame.name}: its {kind} pixels cannot be decoded ({type(error).__name__}); export it again"
        ) from error


def _check_range(frame: EncodedFrame, values: NDArray[Any]) -> None:
    low, high = int(values.min()), int(values.max())
    limit = 1 << (frame.bits_stored - frame.signed)
    if low < -limit * frame.signed or limit <= high:
        raise UnsupportedPixels(
            f"{frame.name}: the compressed image has values beyond the {frame.bits_stored} bits that are stored "
            "(BitsStored (0028,0101))"
        )
