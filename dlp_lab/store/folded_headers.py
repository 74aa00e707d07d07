"""Headers of which each piece that several have is kept once, however many there are."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Sequence
from pathlib import Path

from dlp_lab.waiting_bytes import WaitingBytes

_MOST_AT_HAND_BYTES = 2**19


class FoldedHeaders:
    """Encoded headers, added one by one; none of them is held in the memory.

    Args:
        folder: Where they wait, if they are many.

    Attributes:
        pieces: All different pieces, in the order in which they came first.
        numbers: For each header, the numbers of its pieces, of 4 bytes each.
        most_pieces: Of a header.
    """

    def __init__(self, folder: Path) -> None:
        self.pieces = WaitingBytes(folder)
        self.numbers = WaitingBytes(folder)
        self.most_pieces = 0
        self._known = _KnownPieces(self.pieces)
        self._at_hand: dict[bytes, int] = {}  # of the latest headers, for most pieces come again soon
        self._at_hand_bytes = 0
        self._digest = hashlib.sha256()

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def sha256(self) -> str:
        """Of all headers, one behind the other."""
        return self._digest.hexdigest()

    def add(self, pieces: Sequence[bytes]) -> None:
        """Add the pieces of a header.

        Raises:
            OSError: What the system refused to write, as on a full disk.
        """
        numbers = [self._at_hand.get(piece, -1) for piece in pieces]
        for place, piece in enumerate(pieces):
            if numbers[place] < 0:
                numbers[place] = self._known.number(piece)
        encoded = b"".join(pieces)
        self._digest.update(encoded)
        self.numbers.append(array("i", numbers).tobytes())
        if self._at_hand_bytes > _MOST_AT_HAND_BYTES:
            self._at_hand, self._at_hand_bytes = {}, 0
        self._at_hand.update(zip(pieces, numbers, strict=True))
        self._at_hand_bytes += len(encoded)
        self.most_pieces = max(self.most_pieces, len(pieces))

    def close(self) -> None:
        """Forget them."""
        self.pieces.close()
        self.numbers.close()


class _KnownPieces:
    """Numbers of pieces, by a table of their hashes in a sixth of the memory of a dictionary.

    A piece is searched from the place that its hash names on, up to a free place.

    Args:
        pieces: Gets those that are new.
    """

    def __init__(self, pieces: WaitingBytes) -> None:
        self._pieces = pieces
        self._hashes = array("q")
        self._table = array("i", [-1]) * 1024  # numbers, and -1 where a place is free

    def number(self, piece: bytes) -> int:
        """That of the piece among all different ones."""
        hashed, last = hash(piece), len(self._table) - 1
        place = hashed & last
        while (number := self._table[place]) >= 0:
            if self._hashes[number] == hashed and self._pieces[number] == piece:
                return number
            place = (place + 1) & last
        number = self._table[place] = len(self._hashes)
        self._hashes.append(hashed)
        self._pieces.append(piece)
        if 2 * number > last:
            self._widen()
        return number

    def _widen(self) -> None:
        last = 2 * len(self._table) - 1
        self._table = array("i", [-1]) * (last + 1)
        for number, hashed in enumerate(self._hashes):
            place = hashed & last
            while self._table[place] >= 0:
                place = (place + 1) & last
            self._table[place] = number
