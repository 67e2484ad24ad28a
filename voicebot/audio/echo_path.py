"""What a speakerphone does to our voice on its way back to us: a simulation with a seed.

    what we sent -> codec -> jitter buffer (delay, steps, gaps, clock) -> loudspeaker -> room
                                         mu-law <- caller's voice + noise + echo <-

Evaluation and training use it; nothing of it runs in a call. The room is exponentially decaying
Gaussian noise behind a direct path (Polack's model of late reverberation, 1988). Signals are
float32, mono, 8 kHz, full scale +-1.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import soundfile

from voicebot.audio import mulaw
from voicebot.audio.pcm import to_float, to_int16
from voicebot.events import CHUNK_SAMPLES, SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Signal = NDArray[np.float32]

Loudspeaker = Literal["linear", "saturated"]
Codec = Literal["mulaw", "gsm"]

DIRECT_TO_REVERBERANT_DB = 3.0
"""Microphone and loudspeaker are a hand apart, so much of the echo takes the direct path."""
SATURATION = 0.25
"""Where the small loudspeaker saturates (full scale +-1): prompts have an active level of
-20 dBFS, their peaks reach 0.7. Leaves distortion 18 dB below speech at that level."""
GSM_BLOCK = 320
"""Samples of one block of libsndfile's GSM 06.10, which is two frames of 20 ms."""
GSM_CONTEXT = 8 * GSM_BLOCK
"""Audio before a stretch after which the codec no longer knows where it began."""
_ACTIVE_BELOW_PEAK = 10 ** (-30 / 10)  # power of a chunk that counts as speech, against the loudest
_SINC_TAPS = 16


def active_rms(signal: Signal) -> float:
    """RMS of the speech itself: chunks of 20 ms within 30 dB of the loudest; 0 for silence."""
    chunks = signal[: len(signal) // CHUNK_SAMPLES * CHUNK_SAMPLES].reshape(-1, CHUNK_SAMPLES)
    if not len(chunks):
        return 0.0
    power = np.mean(np.square(chunks, dtype=np.float64), axis=1)
    return float(np.sqrt(power[power >= power.max() * _ACTIVE_BELOW_PEAK].mean()))


def impulse_response(rt60_s: float, seed: int) -> Signal:
    """From loudspeaker to microphone, float32[rt60_s * 8000], unit energy, direct path first."""
    length = max(1, round(rt60_s * SAMPLE_RATE_HZ))
    rng = np.random.default_rng(seed)
    # 60 dB of energy are ln(1000) of amplitude.
    tail: NDArray[np.float64] = rng.standard_normal(length) * np.exp(
        -np.log(1000) * np.arange(length) / length
    )
    tail[0] = 0.0
    energy = float(np.sum(tail**2))
    if energy > 0:
        tail *= np.sqrt(10 ** (-DIRECT_TO_REVERBERANT_DB / 10) / energy)
    tail[0] = 1.0
    return np.asarray(tail / np.sqrt(np.sum(tail**2)), np.float32)


def saturate(signal: Signal) -> Signal:
    """A small loudspeaker driven too hard: soft clipping without memory, odd harmonics."""
    return np.asarray(SATURATION * np.tanh(signal / SATURATION), np.float32)


def through_mulaw(signal: Signal) -> Signal:
    """Coded and decoded once."""
    return to_float(mulaw.decode(mulaw.encode(to_int16(signal))))


def through_gsm(signal: Signal) -> Signal:
    """GSM 06.10 full rate there and back (libsndfile's coder), as a cell phone gets our voice."""
    if not len(signal):
        return signal
    padded = np.concatenate([signal, np.zeros(-len(signal) % GSM_BLOCK, np.float32)])
    file = io.BytesIO()
    soundfile.write(file, padded, SAMPLE_RATE_HZ, format="WAV", subtype="GSM610")
    file.seek(0)
    decoded, _ = soundfile.read(file, dtype="float32")
    return np.asarray(decoded[: len(signal)], np.float32)


class EchoPath:
    """One caller's telephone; every call of `echo` starts anew.

    `erl_db`: how far the echo lies below what we sent, active speech levels. `steps`: (sample
    of the far end, ms): from there on the delay is longer by so much (negative: shorter).
    `gaps`: (sample, samples) of the far end that the phone never got. `drift_ppm`: how much
    slower the phone's clock plays our voice. ValueError where no phone is like that.
    """

    def __init__(
        self,
        *,
        erl_db: float,
        delay_ms: float,
        rt60_s: float = 0.25,
        loudspeaker: Loudspeaker = "linear",
        codec: Codec = "mulaw",
        steps: Sequence[tuple[int, float]] = (),
        drift_ppm: float = 0.0,
        gaps: Sequence[tuple[int, int]] = (),
        seed: int = 0,
    ) -> None:
        self.steps = tuple(sorted(steps))
        delays = delay_ms + np.cumsum([0.0, *(delta for _, delta in self.steps)])
        if delays.min() < 0:
            raise ValueError(f"the delay may not become negative: {delays.min()} ms")
        if loudspeaker not in {"linear", "saturated"} or codec not in {"mulaw", "gsm"}:
            raise ValueError(f"no such loudspeaker or codec: {loudspeaker}, {codec}")
        self.erl_db, self.delay_ms, self.drift_ppm = erl_db, delay_ms, drift_ppm
        self.loudspeaker, self.codec, self.gaps = loudspeaker, codec, tuple(gaps)
        self.room = impulse_response(rt60_s, seed)
        self._starts = np.array([0, *(at for at, _ in self.steps)])
        self._delays = np.rint(delays * SAMPLE_RATE_HZ / 1000).astype(int)

    def echo(self, far: Signal) -> Signal:
        """What comes back of `far`, float32[samples] of the same length, on the same clock."""
        arrived = self.arrive(self.code(far))
        radiated = self.radiate(arrived)
        echo = convolve(radiated, self.room)[: len(far)]
        return np.asarray(echo * self._gain(far, convolve(radiated, self.room)), np.float32)

    def mix(self, echo: Signal, near: Signal | None = None, noise: Signal | None = None) -> bytes:
        """What the phone sends: mu-law of the sum, clipped; all of the same length."""
        total = np.array(echo, np.float32)
        for part in (near, noise):
            if part is not None:
                total += part
        return mulaw.encode(to_int16(total))

    # ------------------------------------------------------------ the stages

    def code(self, far: Signal) -> Signal:
        """What the far end's codec leaves of a whole signal."""
        return through_gsm(far) if self.codec == "gsm" else through_mulaw(far)

    def delay_at(self, at: int) -> int:
        """Samples by which the far end's sample `at` is late."""
        return int(self._delays[np.searchsorted(self._starts, at, side="right") - 1])

    def arrive(self, coded: Signal) -> Signal:
        """What the loudspeaker is given when; the same length."""
        line = Line(self, len(coded))
        bounds = [*self._starts.tolist(), len(coded)]
        for begin, end in itertools.pairwise(bounds):
            line.put(begin, coded[begin : max(begin, end)])
        return line.take(0, len(coded))

    def radiate(self, arrived: Signal) -> Signal:
        """What the loudspeaker makes of it."""
        return saturate(arrived) if self.loudspeaker == "saturated" else arrived

    def gain(self, voice: Signal) -> float:
        """The factor behind the room with which the echo of `voice` has `erl_db`."""
        return self._gain(voice, convolve(self.radiate(self.code(voice)), self.room))

    def _gain(self, far: Signal, echo: Signal) -> float:
        level = active_rms(echo)
        return active_rms(far) * 10 ** (-self.erl_db / 20) / level if level > 0 else 0.0


class Line:
    """The way to the loudspeaker, written by the far end's clock and read by the inbound one."""

    def __init__(self, path: EchoPath, samples: int) -> None:
        """`samples`: how long it can be read."""
        self._path = path
        drift = int(abs(path.drift_ppm) * 1e-6 * samples) + _SINC_TAPS
        self._audio = np.zeros(samples + drift, np.float32)

    def put(self, at: int, coded: Signal) -> None:
        """The far end's samples from `at` on; where a shorter delay makes two fall together
        the later ones are heard. A step of the delay takes effect with the next `put`."""
        coded = coded.copy()
        for begin, length in self._path.gaps:
            coded[max(0, begin - at) : max(0, begin + length - at)] = 0.0
        start = at + self._path.delay_at(at)
        room = max(0, len(self._audio) - start)
        self._audio[start : start + len(coded)] = coded[:room]

    def take(self, at: int, samples: int) -> Signal:
        """What the loudspeaker is given from `at` on, float32[samples]."""
        if not self._path.drift_ppm:
            return self._audio[at : at + samples].copy()
        return interpolate(self._audio, at, samples, 1.0 - self._path.drift_ppm * 1e-6)


class EchoStream:
    """`EchoPath.echo` chunk by chunk, for calls in which what is heard depends on the caller.

    `voice`: speech by which the level is set, since the whole far end is not known yet.
    """

    def __init__(self, path: EchoPath, samples: int, voice: Signal) -> None:
        """`samples`: the longest that the call may last."""
        self._path = path
        self._line = Line(path, samples)
        self._size = 1 << (len(path.room) + CHUNK_SAMPLES - 1).bit_length()
        self._room = np.fft.rfft(path.room * path.gain(voice), self._size).astype(np.complex64)
        self._tail = np.zeros(self._size, np.float32)
        self._context = np.zeros(0, np.float32)
        self._at = 0

    def receive(self, message: Signal) -> Signal:
        """What the codec leaves of a message as it gets to the phone, in the order sent."""
        if self._path.codec == "mulaw":
            return message
        joined = np.concatenate([self._context, message])
        spare = max(0, len(joined) - GSM_CONTEXT) // GSM_BLOCK * GSM_BLOCK
        self._context = joined[spare:]  # begins where a block of the codec does
        return through_gsm(joined)[len(joined) - len(message) :]

    def process(self, heard: Signal) -> Signal:
        """The next chunk of what the phone has to play (after `receive`) to the chunk of echo
        that leaves the microphone at the same time, float32[CHUNK_SAMPLES] both."""
        if np.any(heard):
            self._line.put(self._at, heard)
        radiated = self._path.radiate(self._line.take(self._at, CHUNK_SAMPLES))
        self._at += CHUNK_SAMPLES
        if np.any(radiated):
            spectrum = np.fft.rfft(radiated, self._size) * self._room
            self._tail += np.fft.irfft(spectrum, self._size)
        echo = self._tail[:CHUNK_SAMPLES].copy()
        self._tail[:-CHUNK_SAMPLES] = self._tail[CHUNK_SAMPLES:]
        self._tail[-CHUNK_SAMPLES:] = 0.0
        return echo


def convolve(signal: Signal, response: Signal) -> Signal:
    """The whole linear convolution, by FFT."""
    length = len(signal) + len(response) - 1
    size = 1 << max(1, length - 1).bit_length()
    product = np.fft.rfft(signal, size) * np.fft.rfft(response, size)
    return np.asarray(np.fft.irfft(product, size)[:length], np.float32)


def interpolate(signal: Signal, at: int, samples: int, rate: float) -> Signal:
    """`signal` at the times (at + n) * rate: a Hann-windowed sinc of 16 taps, flat to 3 kHz."""
    times = (at + np.arange(samples)) * rate
    first = np.floor(times).astype(int) - _SINC_TAPS // 2 + 1
    index = first[:, None] + np.arange(_SINC_TAPS)
    distance = times[:, None] - index
    window = np.cos(np.pi * distance / (_SINC_TAPS + 1)) ** 2
    is_inside = (index >= 0) & (index < len(signal))
    values = np.where(is_inside, signal[np.clip(index, 0, len(signal) - 1)], 0.0)
    return np.asarray(np.sum(values * np.sinc(distance) * window, axis=1), np.float32)
