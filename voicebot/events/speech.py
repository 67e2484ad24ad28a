"""Rendered speech."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PhraseEnd:
    """At `sample` of the prompt's audio the first `chars` characters of its text are spoken."""

    sample: int
    chars: int


@dataclass(frozen=True, slots=True)
class SpokenPrompt:
    """Rendered speech: 8 kHz mu-law bytes and where its words end (ascending)."""

    text: str
    mulaw: bytes
    word_ends: tuple[PhraseEnd, ...] = ()
