"""Tokens to text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

SPACE = "\u2581".encode()
BEYOND_LATIN = "\u0250"
"""The model speaks English: music notes and words in other scripts are what it makes of noise."""
_SILENT = re.compile(rb"<unk>|</?s>|<<ST_\d+>>")


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Token bytes by id, SentencePiece's convention: U+2581 opens a word."""

    tokens: Sequence[bytes]

    def text(self, ids: Sequence[int]) -> str:
        """What the tokens spell, control tokens left out."""
        return " ".join(word for word, _ in self.words(ids))

    def is_silent(self, token: int) -> bool:
        """Whether it is a control token, which spells nothing."""
        return _SILENT.fullmatch(self.tokens[token]) is not None

    def words(self, ids: Sequence[int]) -> list[tuple[str, list[int]]]:
        """(word, indices into `ids` of its tokens), words without text left out."""
        spans: list[tuple[bytearray, list[int]]] = []
        for index, token in enumerate(ids):
            piece = self.tokens[token]
            if _SILENT.fullmatch(piece):
                continue
            if piece.startswith(SPACE) or not spans:
                spans.append((bytearray(), []))
            spans[-1][0].extend(piece)
            spans[-1][1].append(index)
        readable = [(_readable(raw), indices) for raw, indices in spans]
        return [(word, indices) for word, indices in readable if word]


def _readable(raw: bytearray) -> str:
    text = raw.decode("utf-8", "replace").replace("\u2581", " ").replace("\ufffd", "")
    text = "".join(character for character in text if character.isprintable()).strip()
    letters = [character for character in text if character.isalnum()]
    return text if letters and max(letters) < BEYOND_LATIN else ""
