"""What `voicebot transcribe` prints: one dictionary per file, and its meaning in a dialogue."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from voicebot.audio.files import read_audio
from voicebot.audio.resample import resample
from voicebot.errors import AudioFileError
from voicebot.events import SAMPLE_RATE_HZ, Expectation, Hypothesis, Interpretation, Word

RECOGNISER_HZ = 16000


class Transcriber(Protocol):
    """asr.recogniser.Recogniser, as far as it is used here."""

    def transcribe(
        self,
        batch: Sequence[NDArray[np.float32]],
        *,
        nbest: int = 1,
        expectations: Sequence[Expectation | None] | None = None,
    ) -> list[Hypothesis]:
        """One hypothesis per array of 16 kHz samples."""


def transcribe_files(
    recogniser: Transcriber,
    files: Sequence[Path],
    *,
    interpret: Callable[[Hypothesis], Interpretation] | None = None,
    nbest: int = 5,
    expectation: Expectation | None = None,
) -> Iterator[dict[str, Any]]:
    """A result per file, in order. A file that is not audio gives `{"file", "error"}`.

    `words` have `start_s` and `end_s` in the file, null where it is not known when they were said.
    `seconds` is the length of the audio, `decode_ms` what recognising it took. `intent` and
    `slots` are present when `interpret` is given. `expectation`: what the dialogue waits for,
    which the search prefers.
    """
    for file in files:
        try:
            samples, rate = read_audio(file)
        except AudioFileError as error:
            yield {"file": str(file), "error": str(error)}
            continue
        began = time.perf_counter()
        audio = [resample(samples, rate, RECOGNISER_HZ)]
        heard = recogniser.transcribe(audio, nbest=nbest, expectations=[expectation])[0]
        decode_ms = (time.perf_counter() - began) * 1000
        result: dict[str, Any] = {
            "file": str(file),
            "text": heard.text,
            "confidence": round(heard.confidence, 4),
            "nbest": [
                {"text": other.text, "confidence": round(other.confidence, 4)}
                for other in heard.nbest
            ],
            "words": [_word(word) for word in heard.words],
            "seconds": round(len(samples) / rate, 3),
            "decode_ms": round(decode_ms, 1),
        }
        if interpret is not None:
            meaning = interpret(heard)
            result["intent"] = meaning.intent
            result["slots"] = {slot.name: slot.value for slot in meaning.slots}
        yield result


def _word(word: Word) -> dict[str, Any]:
    times = (word.start_at, word.end_at)
    start_s, end_s = (None if at is None else round(at / SAMPLE_RATE_HZ, 3) for at in times)
    confidence = round(word.confidence, 4)
    return {"text": word.text, "confidence": confidence, "start_s": start_s, "end_s": end_s}
