"""Headers are folded as a dictionary of their pieces would do it."""

from __future__ import annotations

import hashlib
import random
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from dlp_lab.store import folded_headers
from dlp_lab.store.folded_headers import FoldedHeaders


class Alike(bytes):
    """Bytes of which all have one of three hashes."""

    def __hash__(self) -> int:
        return len(self) % 3 - 1


@pytest.mark.parametrize("kind", [bytes, Alike])
@pytest.mark.parametrize("at_hand", [0, 4096])
def test_each_piece_is_kept_once_and_the_headers_can_be_put_together(tmp_path: Path, monkeypatch, kind, at_hand):
    monkeypatch.setattr(folded_headers, "_MOST_AT_HAND_BYTES", at_hand)
    chance = random.Random(0)
    pool = [kind(chance.randbytes(1 + number % 40)) for number in range(700)]
    headers = [chance.sample(pool, chance.randrange(1, 20)) for _ in range(300)]
    known: dict[bytes, int] = {}
    expected = [[known.setdefault(bytes(piece), len(known)) for piece in header] for header in headers]
    with closing(FoldedHeaders(tmp_path)) as folded:
        for header in headers:
            folded.add(header)
        assert list(folded.pieces) == list(known)
        assert [np.frombuffer(numbers, np.int32).tolist() for numbers in folded.numbers] == expected
        assert len(folded) == 300
        assert folded.most_pieces == max(map(len, headers))
        assert folded.sha256 == hashlib.sha256(b"".join(map(b"".join, headers))).hexdigest()
