"""Voices: text in, samples and word ends out."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from voicebot.events import PhraseEnd
from voicebot.speech.espeak import Synthesis, engine

_QUIET = 120  # amplitude below which espeak's output is a pause (its vowels reach 5000 and more)
_STEP_S = 0.005


_ESPEAK_LANGUAGES = {"es": "es-419", "en": "en-us"}
"""espeak's name where a language has several; others are called by their own."""


def voice_in(voice: str, language: str) -> str:
    """The espeak voice that speaks `language` with the same variant: "en-us+steph" in "es" is
    "es-419+steph"; itself where it speaks that language."""
    base, plus, variant = voice.partition("+")
    wanted = language.lower().replace("_", "-")
    if re.split("-", base)[0] == re.split("-", wanted)[0]:
        return voice
    return _ESPEAK_LANGUAGES.get(wanted, wanted) + plus + variant


class Rendering(NamedTuple):
    """`samples`: mono int16 at `rate_hz`; `word_ends` ascending, in samples at that rate.

    The last of `word_ends` covers the whole text.
    """

    samples: NDArray[np.int16]
    rate_hz: int
    word_ends: tuple[PhraseEnd, ...]


class Voice(Protocol):
    """What `Prompts` needs of a voice. `name` and `version` are part of the cache key."""

    @property
    def name(self) -> str:
        """Everything that shapes the sound: engine, voice, rate."""

    @property
    def version(self) -> str:
        """Changes when the same text would sound different."""

    def render(self, text: str) -> Rendering:
        """Speak `text`; blocking, thread-safe."""


class EspeakVoice:
    """espeak-ng in this process, several hundred times faster than real time on one core.

    `voice` is a language with an optional variant ("en-us", "en-us+steph": the clearest of some
    thirty on the telephone, see LOG.md), `words_per_minute`
    80..400. ModelUnavailable when the voice or the library is not there. Thread-safe; voices
    share one library and take turns.
    """

    def __init__(self, voice: str = "en-us+steph", words_per_minute: int = 165) -> None:
        self._engine = engine()
        self._engine.check(voice)
        self._voice = voice
        self._words_per_minute = words_per_minute

    @property
    def name(self) -> str:
        """For example `espeak:en-us+f3@165`."""
        return f"espeak:{self._voice}@{self._words_per_minute}"

    @property
    def version(self) -> str:
        """espeak-ng's own version."""
        return self._engine.version

    def render(self, text: str) -> Rendering:
        """Speak plain `text`; never fails on what the text holds."""
        spoken = self._engine.synthesise(text, self._voice, self._words_per_minute)
        rate_hz = self._engine.rate_hz
        return Rendering(spoken.samples, rate_hz, tuple(_word_ends(text, spoken, rate_hz)))


def _word_ends(text: str, spoken: Synthesis, rate_hz: int) -> Iterator[PhraseEnd]:
    """espeak tells where words start; a written word ends where the next starts or sound stops.

    Written words that espeak does not speak (a dash) count with the word before them.
    """
    words = [match.span() for match in re.finditer(r"\S+", text)]
    if not words:
        return
    begins = [begin for begin, _ in words]
    first_start: dict[int, int] = {}  # written word -> sample at which it starts
    for offset, sample in spoken.starts:
        word = max(bisect_right(begins, offset) - 1, 0)
        if word > max(first_start, default=-1):
            first_start[word] = sample
    voiced = sorted(first_start)
    if not voiced:
        yield PhraseEnd(len(spoken.samples), len(text))
        return
    previous = 0
    for this, following in zip(voiced, [*voiced[1:], len(words)], strict=True):
        is_last = following == len(words)
        start = first_start[this]
        until = len(spoken.samples) if is_last else first_start[following]
        until = max(previous, _sound_end(spoken.samples, start, until, rate_hz))
        yield PhraseEnd(until, len(text) if is_last else words[following - 1][1])
        previous = until


def _sound_end(samples: NDArray[np.int16], start: int, end: int, rate_hz: int) -> int:
    """`end` moved back over the pause before it, never before `start`."""
    step = int(rate_hz * _STEP_S)
    loud = np.flatnonzero(np.abs(samples[start:end].astype(np.int32)) > _QUIET)
    return min(end, start + int(loud[-1]) + step) if loud.size else end
