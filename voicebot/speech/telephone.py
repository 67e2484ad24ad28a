"""From a voice's samples to what Twilio plays: clear 8 kHz mu-law at a steady level."""

from __future__ import annotations

import io

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from voicebot.events import CHUNK_SAMPLES, SAMPLE_RATE_HZ, PhraseEnd, SpokenPrompt
from voicebot.speech.voices import Rendering

ACTIVE_DBFS = -20.0
"""RMS of the speech itself, pauses left out; usual for announcements on the public network."""
PEAK_DBFS = -3.0
PRESENCE_DB = 8.0
"""Lift above PRESENCE_HZ: the band ends where espeak's consonants begin (measured, see LOG.md)."""
PRESENCE_HZ = 2500.0
_KNEE = 0.5  # below this nothing is limited
_LEAD_S = 0.02
_TRAIL_S = 0.06
_ACTIVE_BELOW_PEAK = 0.03  # a chunk is speech when its RMS is within 30 dB of the loudest chunk
SILENCE = b"\xff"


def to_telephone(text: str, rendering: Rendering) -> SpokenPrompt:
    """Resample, trim silence at both ends, level and encode; whole chunks of 20 ms."""
    samples = _resampled(rendering)
    begin, end = _speech_span(samples)
    samples = _levelled(_present(samples[begin:end]))
    pcm = np.round(samples * 32767).astype(np.int16)
    mulaw = encode_mulaw(pcm)
    mulaw += SILENCE * (-len(mulaw) % CHUNK_SAMPLES)
    ratio = SAMPLE_RATE_HZ / rendering.rate_hz
    ends = (
        PhraseEnd(min(max(round(word.sample * ratio) - begin, 0), len(pcm)), word.chars)
        for word in rendering.word_ends
    )
    return SpokenPrompt(text, mulaw, tuple(ends))


def encode_mulaw(samples: NDArray[np.int16]) -> bytes:
    """G.711 mu-law, one byte a sample (libsndfile's tables)."""
    if not samples.size:
        return b""
    sink = io.BytesIO()
    soundfile.write(sink, samples, SAMPLE_RATE_HZ, format="RAW", subtype="ULAW")
    return sink.getvalue()


def _resampled(rendering: Rendering) -> NDArray[np.float32]:
    """float32 in -1..1 at 8 kHz without offset; soxr's filter keeps aliases below the noise."""
    samples: NDArray[np.float32] = (rendering.samples / 32768).astype(np.float32)
    if not samples.size or rendering.rate_hz == SAMPLE_RATE_HZ:
        return samples
    samples -= samples.mean()
    return np.asarray(
        soxr.resample(samples, rendering.rate_hz, SAMPLE_RATE_HZ, quality="HQ"), np.float32
    )


def _chunk_rms(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """RMS per 20 ms, the last chunk padded with zeros."""
    padded = np.pad(samples, (0, -len(samples) % CHUNK_SAMPLES)).reshape(-1, CHUNK_SAMPLES)
    return np.sqrt(np.mean(padded**2, axis=1, dtype=np.float32)).astype(np.float32)


def _speech_span(samples: NDArray[np.float32]) -> tuple[int, int]:
    """(begin, end) of the speech with a little silence around it; (0, 0) when there is none."""
    if not samples.size:
        return 0, 0
    # 10 times more sensitive than _ACTIVE_BELOW_PEAK: a soft final "f" or "s" must stay.
    loud = np.flatnonzero(np.abs(samples) > 0.003 * np.abs(samples).max())
    if not loud.size:
        return 0, 0
    begin = int(loud[0]) - int(_LEAD_S * SAMPLE_RATE_HZ)
    end = int(loud[-1]) + 1 + int(_TRAIL_S * SAMPLE_RATE_HZ)
    return max(begin, 0), min(end, len(samples))


def _present(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Consonants lifted by a second-order shelf without phase; what is lower stays."""
    if not samples.size:
        return samples
    padded = len(samples) + SAMPLE_RATE_HZ // 10  # so that the end does not ring into the start
    spectrum = np.fft.rfft(samples, padded)
    ratio = (np.fft.rfftfreq(padded, 1 / SAMPLE_RATE_HZ) / PRESENCE_HZ) ** 2
    spectrum *= 1 + (10 ** (PRESENCE_DB / 20) - 1) * ratio / (1 + ratio)
    return np.fft.irfft(spectrum, padded)[: len(samples)].astype(np.float32)


def _levelled(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Active RMS at ACTIVE_DBFS; peaks bent softly below PEAK_DBFS."""
    rms = _chunk_rms(samples)
    if not rms.size or not rms.any():
        return samples
    active = rms[rms > _ACTIVE_BELOW_PEAK * rms.max()]
    gain = 10 ** (ACTIVE_DBFS / 20) / float(np.sqrt(np.mean(active**2)))
    scaled = samples * np.float32(gain)
    room = 10 ** (PEAK_DBFS / 20) - _KNEE
    over = np.abs(scaled) - _KNEE
    bent = np.sign(scaled) * (_KNEE + room * np.tanh(over / room))
    return np.where(over > 0, bent, scaled).astype(np.float32)
