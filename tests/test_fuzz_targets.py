"""A short, repeatable look for what `make fuzz` looks for longer."""

from __future__ import annotations

import random

from tests.fuzz_targets import read_dicom, read_dicom_headers, read_hdf5_file, write_corpus


def test_a_dicom_file_with_some_bytes_changed_is_read_or_refused(tmp_path):
    rng = random.Random(0)
    for path in write_corpus("dicom", tmp_path / "corpus"):
        right = path.read_bytes()
        for _ in range(60):
            content = bytearray(right)
            for _ in range(rng.randint(1, 8)):
                # it is in the header that a byte matters
                content[rng.randrange(min(len(content), 3000))] = rng.randrange(256)
            read_dicom(bytes(content[: rng.choice((len(content), rng.randrange(len(content))))]))


def test_a_dicom_file_with_some_bytes_changed_has_the_same_header_beside_others_as_alone(tmp_path):
    rng = random.Random(1)
    for path in write_corpus("dicom", tmp_path / "corpus"):
        right = path.read_bytes()
        for _ in range(8):
            content = bytearray(right)
            content[rng.randrange(min(len(content), 3000))] = rng.randrange(256)
            read_dicom_headers(bytes(content))


def test_a_dicom_file_of_an_impossible_transfer_syntax_is_read_or_refused(tmp_path):
    for path in write_corpus("dicom", tmp_path / "corpus"):
        read_dicom(path.read_bytes().replace(b"1.2.840.10008.1.2", b"1.2.840.10008.1.9"))


def test_an_hdf5_file_that_is_cut_off_is_read_or_refused(tmp_path):
    for path in write_corpus("hdf5", tmp_path / "corpus"):
        right = path.read_bytes()
        for length in range(0, len(right), 97):
            read_hdf5_file(right[:length])
