"""Pieces come back as they were added, wherever they waited."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from dlp_lab import waiting_bytes
from dlp_lab.waiting_bytes import WaitingBytes


@pytest.fixture(params=["in the memory", "in a file"])
def waiting(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[WaitingBytes]:
    if request.param == "in a file":
        monkeypatch.setattr(waiting_bytes, "_MOST_IN_MEMORY", 100)
    with closing(WaitingBytes(tmp_path)) as made:
        yield made


def test_pieces_come_back_in_order_however_they_are_asked_for(waiting: WaitingBytes, monkeypatch) -> None:
    monkeypatch.setattr(waiting_bytes, "_READ_AT_ONCE", 50)
    chance = random.Random(0)
    pieces: list[bytes] = []
    for size in [0, 3, 200, *(chance.randrange(60) for _ in range(97))]:
        pieces.append(chance.randbytes(size))
        waiting.append(pieces[-1])
        number = chance.randrange(len(pieces))
        assert waiting[number] == pieces[number]  # reading in between moves no later piece
    assert list(waiting) == pieces
    assert len(waiting) == 100
    assert waiting.read(0, waiting.size_bytes) == b"".join(pieces)
    assert waiting.read(waiting.ends[1], waiting.ends[4]) == b"".join(pieces[2:5])


def test_a_reading_goes_on_where_it_was_though_others_read_and_add(waiting: WaitingBytes) -> None:
    for number in range(60):
        waiting.append(b"%d" % number)
    found = []
    for piece in waiting:
        found.append(piece)
        assert waiting[0] == b"0"
        if len(waiting) < 70:
            waiting.append(b"%d" % len(waiting))
    assert found == [b"%d" % number for number in range(70)]


def test_nothing_is_listed_in_the_folder(waiting: WaitingBytes, tmp_path: Path) -> None:
    waiting.append(b"patient" * 100)
    assert list(tmp_path.iterdir()) == []


def test_without_pieces_there_is_nothing_to_read(waiting: WaitingBytes) -> None:
    assert (len(waiting), waiting.size_bytes, list(waiting), waiting.read(0, 0)) == (0, 0, [], b"")
