"""Text -> tokens, with the vocabulary's own merges: byte-pair encoding as SentencePiece does it.

The vocabulary lists its merges in the order in which they were learnt, so of all neighbours that
may be joined the pair whose joint token has the lowest id goes first (Sennrich et al. 2016,
arXiv:1508.07909). Characters without a token are spelled in bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from voicebot.asr.vocabulary import SPACE

FIRST_BYTE = 3
"""Token id of byte 0; the 256 bytes come before the first merge."""
_FIRST_MERGE = FIRST_BYTE + 256


class Encoder:
    """Encodes text with the tokens of a checkpoint (`Weights.tokens`)."""

    def __init__(self, tokens: Sequence[bytes]) -> None:
        self._ids = {
            token: number
            for number, token in reversed(list(enumerate(tokens)))
            if number >= _FIRST_MERGE and not token.startswith(b"<<ST_")
        }
        self._word = lru_cache(maxsize=65536)(self._encoded)

    def encode(self, text: str) -> list[int]:
        """Token ids without begin and end; white space is normalised, empty text gives none."""
        return [token for word in text.split() for token in self._word(word)]

    def _encoded(self, word: str) -> tuple[int, ...]:
        pieces = [SPACE, *(character.encode() for character in word)]
        while (place := self._lowest(pieces)) is not None:
            pieces[place : place + 2] = [pieces[place] + pieces[place + 1]]
        return tuple(token for piece in pieces for token in self._numbers(piece))

    def _lowest(self, pieces: list[bytes]) -> int | None:
        """Where the pair with the lowest joint token begins."""
        found = [
            (number, place)
            for place in range(len(pieces) - 1)
            if (number := self._ids.get(pieces[place] + pieces[place + 1])) is not None
        ]
        return min(found)[1] if found else None

    def _numbers(self, piece: bytes) -> list[int]:
        number = self._ids.get(piece)
        return [FIRST_BYTE + byte for byte in piece] if number is None else [number]
