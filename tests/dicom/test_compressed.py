"""Decoded values, judged by pydicom's decoders where they read the transfer syntax, and by what was encoded."""

from __future__ import annotations

import struct
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from imagecodecs import htj2k_encode, jpeg2k_encode
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

from dlp_lab.dicom.compressed import FrameDecoder, decoded_here, read_compressed
from dlp_lab.dicom.encoded_frame import EncodedFrame
from dlp_lab.errors import DlpError, Malformed, UnsupportedPixels
from tests.contracts.frame_decoder_contract import FrameDecoderContract
from tests.encoded_images import SYNTAXES, noisy_image, stored_frame

JPEG_2000, HTJ2K, RLE = "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.5"
WITHOUT_JUDGE = {"JPEG extended", "JPEG full progression"}
LOSSLESS = [name for name, syntax in SYNTAXES.items() if not syntax.error]
TYPES = [(8, 8, False), (8, 8, True), (12, 16, False), (12, 16, True), (16, 16, False), (16, 16, True)]


class TestDecodedHere(FrameDecoderContract):
    @pytest.fixture
    def decode(self) -> FrameDecoder:
        return partial(decoded_here, threads=2)


def read(frame: EncodedFrame) -> np.ndarray:
    out = np.full((frame.rows, frame.columns), 99, frame.dtype)
    read_compressed(frame, out)
    return out


def of_pydicom(frame: EncodedFrame) -> np.ndarray:
    array, _ = get_decoder(UID(frame.transfer_syntax_uid)).as_array(
        encapsulate([Path(frame.path.decode()).read_bytes()]),
        rows=frame.rows,
        columns=frame.columns,
        samples_per_pixel=1,
        number_of_frames=1,
        photometric_interpretation="MONOCHROME2",
        bits_allocated=frame.bits_allocated,
        bits_stored=frame.bits_stored,
        pixel_representation=int(frame.signed),
        pixel_keyword="PixelData",
        pixel_vr="OB",
    )
    return array


@pytest.mark.parametrize(("bits", "allocated", "signed"), TYPES)
@pytest.mark.parametrize("name", LOSSLESS)
def test_values_of_every_type_come_back_from_every_lossless_syntax(tmp_path, name, bits, allocated, signed):
    values = noisy_image(bits, signed=signed, allocated=allocated)
    encoded = SYNTAXES[name].encode(values, bits)
    frame = stored_frame(tmp_path / "frame", SYNTAXES[name].uid, encoded, values, bits)
    np.testing.assert_array_equal(read(frame), values)
    np.testing.assert_array_equal(of_pydicom(frame), values)


@pytest.mark.parametrize("name", ["JPEG lossless", "JPEG-LS", "JPEG 2000 lossless", "HTJ2K lossless"])
def test_an_image_of_eight_bits_is_read_where_sixteen_are_allocated(tmp_path, name):
    values = noisy_image(8)
    encoded = SYNTAXES[name].encode(values.astype("u1"), 8)
    frame = stored_frame(tmp_path / "frame", SYNTAXES[name].uid, encoded, values, 8)
    np.testing.assert_array_equal(read(frame), values)


@pytest.mark.parametrize("name", [name for name in SYNTAXES if name not in LOSSLESS])
def test_values_with_loss_are_near_those_that_were_encoded_and_those_that_pydicom_reads(tmp_path, name):
    values = noisy_image(12)
    frame = stored_frame(tmp_path / "frame", SYNTAXES[name].uid, SYNTAXES[name].encode(values, 12), values, 12)
    np.testing.assert_allclose(read(frame).astype(int), values, atol=SYNTAXES[name].error)
    if name not in WITHOUT_JUDGE:
        np.testing.assert_allclose(read(frame).astype(int), of_pydicom(frame), atol=1)  # how OpenJPH rounds


@pytest.mark.parametrize("uid", [JPEG_2000, HTJ2K])
def test_pixel_representation_decides_where_jpeg_2000_tells_another_sign(tmp_path, uid):
    encode = jpeg2k_encode if uid == JPEG_2000 else htj2k_encode
    values = noisy_image(16, signed=True)
    for meant, encoded_as in ((values, values.view("u2")), (values.view("u2"), values)):
        frame = stored_frame(tmp_path / "frame", uid, encode(encoded_as, reversible=True), meant, 16)
        np.testing.assert_array_equal(read(frame), meant)
        np.testing.assert_array_equal(of_pydicom(frame), meant)


def test_twelve_bits_without_a_sign_are_read_with_one_where_it_is_said(tmp_path):
    values = noisy_image(12, signed=True)
    encoded = jpeg2k_encode(values.view("u2") & 0xFFF, reversible=True, codecformat="j2k", bitspersample=12)
    frame = stored_frame(tmp_path / "frame", JPEG_2000, encoded, values, 12)
    np.testing.assert_array_equal(read(frame), values)
    np.testing.assert_array_equal(of_pydicom(frame), values)


@pytest.mark.parametrize("name", ["RLE", "JPEG 2000 lossless", "HTJ2K lossless"])
def test_values_beyond_the_bits_that_are_stored_are_refused(tmp_path, name):
    values = noisy_image(16)
    frame = stored_frame(tmp_path / "frame", SYNTAXES[name].uid, SYNTAXES[name].encode(values, 16), values, 12)
    with pytest.raises(UnsupportedPixels, match="beyond the 12 bits"):
        read(frame)


def test_the_boxes_of_a_jp2_file_play_no_part(tmp_path):
    values = noisy_image(12)
    encoded = jpeg2k_encode(values, reversible=True, codecformat="jp2", bitspersample=12)
    assert encoded[4:8] == b"jP  "
    frame = stored_frame(tmp_path / "frame", JPEG_2000, encoded, values, 12)
    np.testing.assert_array_equal(read(frame), values)


@pytest.mark.parametrize("cut", [1, 20, 500])
@pytest.mark.parametrize("name", ["JPEG 2000 lossless", "HTJ2K lossless", "RLE"])
def test_what_is_cut_off_and_ended_again_is_refused(tmp_path, name, cut):
    values = noisy_image(12)
    encoded = SYNTAXES[name].encode(values, 12)
    end = b"" if name == "RLE" else b"\xff\xd9"
    frame = stored_frame(tmp_path / "frame", SYNTAXES[name].uid, encoded[: -cut - 2] + end, values, 12)
    with pytest.raises(Malformed, match=r"^frame: "):
        read(frame)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_what_openjph_cannot_decode_to_the_end_is_refused(tmp_path):
    """imagecodecs tells nobody, and leaves zeros."""
    values = noisy_image(12)
    encoded = htj2k_encode(values, reversible=True)
    tile = encoded.index(b"\xff\x90")
    shorter = encoded[:-400] + b"\xff\xd9"
    length = struct.pack(">I", len(shorter) - 2 - tile)
    frame = stored_frame(tmp_path / "frame", HTJ2K, shorter[: tile + 6] + length + shorter[tile + 10 :], values, 12)
    with pytest.raises(Malformed, match=r"^frame: "):
        read(frame)


def test_a_high_throughput_image_with_black_rows_is_read(tmp_path):
    values = noisy_image(12)
    values[-9:] = 0
    frame = stored_frame(tmp_path / "frame", HTJ2K, htj2k_encode(values, reversible=True), values, 12)
    np.testing.assert_array_equal(read(frame), values)


@pytest.mark.parametrize("shape", [(60, 70), (61, 71)])
@pytest.mark.parametrize("padding", [b"\0", b"\0" * 7, b"\x80\0\0"])
def test_segments_of_rle_may_be_padded(tmp_path, shape, padding):
    values = noisy_image(12, rows=shape[0], columns=shape[1])
    encoded = SYNTAXES["RLE"].encode(values, 12)
    first, second = struct.unpack_from("<2I", encoded, 4)
    padded = (
        struct.pack("<3I", 2, first, second + len(padding)) + encoded[12:second] + padding + encoded[second:] + padding
    )
    frame = stored_frame(tmp_path / "frame", RLE, padded, values, 12)
    np.testing.assert_array_equal(read(frame), values)


@pytest.mark.parametrize("change", [b"\x01", b"\x05ghost!"])
def test_segments_of_rle_that_hold_more_are_refused(tmp_path, change):
    values = noisy_image(12)
    frame = stored_frame(tmp_path / "frame", RLE, SYNTAXES["RLE"].encode(values, 12) + change, values, 12)
    with pytest.raises(Malformed, match="more than the 4270 bytes"):
        read(frame)


def test_offsets_of_rle_that_lead_out_of_the_frame_are_refused(tmp_path):
    values = noisy_image(12)
    encoded = SYNTAXES["RLE"].encode(values, 12)
    frame = stored_frame(tmp_path / "frame", RLE, encoded[:8] + b"\xff\xff\xff\x7f" + encoded[12:], values, 12)
    with pytest.raises(Malformed, match="out of order"):
        read(frame)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", SYNTAXES)
def test_a_changed_image_is_read_or_refused_by_a_named_error(tmp_path, name):
    values = noisy_image(12)
    encoded = SYNTAXES[name].encode(values, 12)
    rng = np.random.default_rng(1)
    for _ in range(40):
        place = int(rng.integers(len(encoded) - 20))
        changed = encoded[:place] + rng.bytes(int(rng.integers(1, 9))) + encoded[place + int(rng.integers(9)) :]
        frame = stored_frame(tmp_path / "frame", SYNTAXES[name].uid, changed, values, 12)
        try:
            read(frame)
        except DlpError as error:
            assert str(error).startswith("frame: ")
