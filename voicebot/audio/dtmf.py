"""DTMF keys heard in the caller's audio, for trunks that do not signal them; all calls at once.

Requirements are those of ITU-T Q.23 (frequencies) and Q.24 (receivers; its column of AT&T where
administrations differ). Every 10 ms a Hann window of 30 ms is correlated with the eight
frequencies. Two successive windows make a key when both hold hardly anything but one frequency
of each group, in balance, at a steady level; the advance of the phases between them gives the
frequencies themselves to within a few hertz.

Feed it the echo-cancelled signal: the bot's own voice then presses no keys.
"""

from __future__ import annotations

import cmath
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from voicebot.events import CHUNK_SAMPLES, SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from numpy.typing import NDArray

LOW_HZ = (697.0, 770.0, 852.0, 941.0)
HIGH_HZ = (1209.0, 1336.0, 1477.0, 1633.0)
KEYPAD = ("123A", "456B", "789C", "*0#D")
"""KEYPAD[low][high], ITU-T Q.23."""
FULL_SCALE_DBM0 = 3.17
"""Level of a sine that just fills mu-law's range (ITU-T G.711)."""

HOP = CHUNK_SAMPLES // 2
WINDOW = 3 * HOP
"""Two such windows, 10 ms apart, are good for tones of 32 ms wherever they begin, and never for
tones below 20 ms: a window tolerates that its outer 30 % are missing."""
HISTORY = 2 * WINDOW
"""Samples before the block that are kept: for the windows, and to look for a tone's onset."""

HUM_HZ = 70.0
"""Below this nothing counts: an offset, the hum of the mains. Voices begin above it."""
MIN_PURITY = 0.88
"""Part of a window's power that lies in the two tones; noise 15 dB below them leaves 0.97, a
tone of 40 ms that begins between two windows 0.94. Voices reach 0.9 now and then."""
BEST_PURITY = 0.93
"""The same in one of two successive windows, which every tone of 40 ms fills."""
SCREEN_PURITY = 0.3
"""The same at the nominal frequencies: tones 1.5 % off lose up to 3.2 dB there."""
MAX_DETUNE = 0.015
DETUNE_MARGIN_HZ = 4.0
"""Q.24 accepts 1.5 % and 2 Hz and rejects 3.5 %; noise may cost the other 2 Hz."""
MAX_HIGH_OVER_LOW = 10 ** (5.5 / 10)
MAX_LOW_OVER_HIGH = 10 ** (9.5 / 10)
"""Q.24 accepts twists from +4 dB (high above low) to -8 dB."""
MIN_POWER = 10 ** ((-38.0 - FULL_SCALE_DBM0) / 10) / 2
"""Of the stronger tone, mean square: -36 dBm0 is accepted (Q.24: at least down to -25)."""
MAX_STEP = 10 ** (3.0 / 10)
"""A tone's power in two successive windows differs less: keys are steady, voices are not."""

GONE = 10 ** (-6.0 / 10)
"""A key is gone once one of its tones has fallen below this part of the power it had, ..."""
HELD_PURITY = 0.35
"""... or both together below this part of all power, ..."""
GONE_WINDOWS = 3
"""... so many windows in a row: pauses of 30 ms end a key, a lost packet of 20 ms does not."""

_ONSET_SAMPLES = 64
"""Moving average by which the beginning of a tone is found: 8 ms part the two groups."""

Detection = tuple[int, str, int]
"""Row of the batch, key, first sample of the tone relative to the block's first (mostly < 0)."""


@dataclass(frozen=True, slots=True)
class _Pair:
    """A tone of each group: indices, and mean squares in the window."""

    low: int
    high: int
    low_power: float
    high_power: float

    @property
    def key(self) -> str:
        return KEYPAD[self.low][self.high]


@dataclass(slots=True)
class _Held:
    """A key that has been told and goes on; `gone` counts windows without it."""

    pair: _Pair
    gone: int = 0


class DtmfDetector:
    """Keys of `slots` calls; 2 KiB of state for each."""

    def __init__(self, slots: int) -> None:
        """All calls begin in silence."""
        self._window, self._basis = _correlators()
        self._hum = _hum()
        self._history = np.zeros((slots, HISTORY), np.float32)
        self._tones = np.zeros((slots, 8), np.complex64)  # of the last window
        self._power = np.zeros(slots, np.float32)
        self._held: dict[int, _Held] = {}

    def reset(self, slot: int) -> None:
        """Forget a call."""
        self._history[slot], self._tones[slot], self._power[slot] = 0, 0, 0
        self._held.pop(slot, None)

    def feed(self, slots: NDArray[np.intp], blocks: NDArray[np.float32]) -> list[Detection]:
        """The next 20 ms of each call in `slots` (distinct): the keys that this makes certain.

        blocks: float32[n, 160], full scale +-1, 8 kHz. A key is told once, when 25-45 ms of it
        have been heard; what is not a number counts as silence.
        """
        blocks = np.nan_to_num(np.clip(blocks, -1.0, 1.0))
        joined = np.concatenate((self._history[slots], blocks), axis=1)
        self._history[slots] = joined[:, CHUNK_SAMPLES:]
        steps = [(self._tones[slots], self._power[slots])]
        for end in (HISTORY + HOP, HISTORY + 2 * HOP):
            steps.append(self._correlate(joined[:, end - WINDOW : end]))
        self._tones[slots], self._power[slots] = steps[-1]
        found: list[Detection] = []
        for row in self._candidates(slots, steps[1:]):
            for step in (1, 2):
                held = self._advance(int(slots[row]), row, steps[step - 1], steps[step])
                if held is not None:
                    onset = _onset(joined[row, : HISTORY + step * HOP], held)
                    found.append((row, held.key, onset - HISTORY))
        return found

    def _correlate(self, windows: NDArray[np.float32]) -> _Correlated:
        """Tones complex64[n, 8], |.|^2 is a tone's mean square; power float32[n], without what
        lies below HUM_HZ."""
        hum = windows @ self._hum
        power = np.square(windows) @ self._window - np.einsum("nk,nk->n", hum, hum)
        return (windows @ self._basis).view(np.complex64), power

    def _candidates(self, slots: NDArray[np.intp], steps: list[_Correlated]) -> list[int]:
        """Rows in which there may be two tones, or in which a key is held."""
        is_candidate = np.fromiter((slot in self._held for slot in slots), np.bool_, len(slots))
        for tones, power in steps:
            powers = np.square(tones.real) + np.square(tones.imag)
            both = powers[:, :4].max(axis=1) + powers[:, 4:].max(axis=1)
            is_candidate |= (both > SCREEN_PURITY * power) & (power > MIN_POWER / 2)
        return [int(row) for row in np.flatnonzero(is_candidate)]

    def _advance(self, slot: int, row: int, old: _Correlated, new: _Correlated) -> _Pair | None:
        """One window on in one call; the key that begins, if one does."""
        held = self._held.get(slot)
        if held is not None:
            if _goes_on(held.pair, new[0][row], float(new[1][row])):
                held.gone = 0
                return None
            held.gone += 1
            if held.gone >= GONE_WINDOWS:
                held = None
                del self._held[slot]
        pair = _pair(old[0][row], float(old[1][row]), new[0][row], float(new[1][row]))
        if pair is None or (held is not None and held.pair.key == pair.key):
            return None
        self._held[slot] = _Held(pair)
        return pair


_Correlated = tuple["NDArray[np.complex64]", "NDArray[np.float32]"]


def _correlators() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Hann window of sum 1, float32[WINDOW], and its products, float32[WINDOW, 16].

    The columns: real and imaginary part for each of the eight frequencies.
    """
    at = np.arange(WINDOW)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * (at + 0.5) / WINDOW)
    window /= window.sum()
    angles = 2 * np.pi / SAMPLE_RATE_HZ * np.outer(at, (*LOW_HZ, *HIGH_HZ))
    waves = np.exp(-1j * angles) * math.sqrt(2.0) * window[:, None]
    columns = np.stack((waves.real, waves.imag), axis=-1).reshape(WINDOW, 16)
    return window.astype(np.float32), np.ascontiguousarray(columns, np.float32)


def _hum() -> NDArray[np.float32]:
    """float32[WINDOW, k]: the square of a window with these is its power below HUM_HZ.

    An orthonormal basis, under the Hann window, of what a sum of such frequencies can be.
    """
    at = (np.arange(WINDOW) - WINDOW / 2) / SAMPLE_RATE_HZ
    window, _ = _correlators()
    angles = 2 * np.pi * np.outer(at, np.linspace(0, HUM_HZ, 16))
    waves = np.concatenate((np.cos(angles), np.sin(angles)), axis=1)
    root = np.sqrt(window.astype(np.float64))[:, None]
    basis, size, _ = np.linalg.svd(root * waves, full_matrices=False)
    return np.ascontiguousarray(root * basis[:, size > 1e-3 * size[0]], np.float32)


def _pair(
    old: NDArray[np.complex64], old_power: float, new: NDArray[np.complex64], new_power: float
) -> _Pair | None:
    """The two tones that fill both windows, if these are a key's."""
    powers = np.abs(new) ** 2
    low, high = int(powers[:4].argmax()), int(powers[4:].argmax())
    before = after = 0.0
    found = []
    for hz, tone in ((LOW_HZ[low], low), (HIGH_HZ[high], 4 + high)):
        response = _response(hz, complex(old[tone]), complex(new[tone]))
        if response is None:
            return None
        was, now = abs(complex(old[tone]) / response) ** 2, float(powers[tone]) / response**2
        if not was / MAX_STEP < now < was * MAX_STEP:
            return None
        before, after = before + was, after + now
        found.append(now)
    low_power, high_power = found
    purities = before / max(old_power, 1e-12), after / max(new_power, 1e-12)
    is_pure = min(purities) > MIN_PURITY and max(purities) > BEST_PURITY
    is_balanced = low_power / MAX_LOW_OVER_HIGH < high_power < low_power * MAX_HIGH_OVER_LOW
    if not is_pure or not is_balanced or max(found) < MIN_POWER:
        return None
    return _Pair(low, high, float(powers[low]), float(powers[4 + high]))


def _response(hz: float, old: complex, new: complex) -> float | None:
    """How much of a tone the correlator at `hz` sees; None where the tone is another's.

    The phase's advance in 10 ms tells frequencies apart that differ by less than 50 Hz; tones
    farther off leave next to nothing in the window. The response is that of a Hann window.
    """
    expected = cmath.exp(2j * math.pi * hz * HOP / SAMPLE_RATE_HZ)
    offset_hz = cmath.phase(new * (old * expected).conjugate()) * SAMPLE_RATE_HZ / HOP / math.tau
    if abs(offset_hz) > MAX_DETUNE * hz + DETUNE_MARGIN_HZ:
        return None
    bins = offset_hz * WINDOW / SAMPLE_RATE_HZ
    if abs(abs(bins) - 1) < 1e-3:
        return 0.5
    return float(np.sinc(bins)) / (1 - bins * bins)


def _goes_on(pair: _Pair, tones: NDArray[np.complex64], power: float) -> bool:
    low, high = abs(tones[pair.low]) ** 2, abs(tones[4 + pair.high]) ** 2
    is_loud = low > GONE * pair.low_power and high > GONE * pair.high_power
    return bool(is_loud and low + high > HELD_PURITY * power)


def _onset(samples: NDArray[np.float32], pair: _Pair) -> int:
    """Where in `samples`, which end with a key's first two windows, its tones begin.

    Backwards from the end to where a moving average has half the amplitude it has in the middle
    of these windows: its own middle lies on the edge.
    """
    at = np.arange(len(samples))
    total = np.zeros(len(samples) - _ONSET_SAMPLES)
    for hz in (LOW_HZ[pair.low], HIGH_HZ[pair.high]):
        turned = samples * np.exp(-2j * np.pi * hz / SAMPLE_RATE_HZ * at)
        sums = np.concatenate(([0.0], np.cumsum(turned)))
        total += np.abs(sums[_ONSET_SAMPLES:-1] - sums[: -_ONSET_SAMPLES - 1]) ** 2
    middle = len(samples) - (WINDOW + HOP) // 2 - _ONSET_SAMPLES // 2
    below = np.flatnonzero(total[:middle] < total[middle] / 4)
    return int(below[-1]) + 1 + _ONSET_SAMPLES // 2 if len(below) else 0


def generate(
    keys: str,
    *,
    tone_ms: float = 80,
    gap_ms: float = 80,
    level_dbm0: float = -10.0,
    twist_db: float = 0.0,
    detune: float = 0.0,
) -> NDArray[np.int16]:
    """Keys as audio, int16 at 8 kHz: each a tone, then a pause.

    `level_dbm0`: of the louder tone. `twist_db`: the high tone above the low one. `detune`: part
    by which both frequencies are too high. What is not a key is a ValueError.
    """
    tone, gap = (round(ms * SAMPLE_RATE_HZ / 1000) for ms in (tone_ms, gap_ms))
    peak = 10 ** ((level_dbm0 - FULL_SCALE_DBM0) / 20)
    low_peak = peak * 10 ** (min(0.0, -twist_db) / 20)
    high_peak = peak * 10 ** (min(0.0, twist_db) / 20)
    angles = 2 * np.pi * (1 + detune) / SAMPLE_RATE_HZ * np.arange(tone)
    parts = [np.zeros(0)]
    for key in keys:
        row = next((row for row, found in enumerate(KEYPAD) if key in found), None)
        if row is None:
            raise ValueError(f"{key!r} is not a DTMF key")
        column = KEYPAD[row].index(key)
        sound = low_peak * np.sin(angles * LOW_HZ[row])
        sound += high_peak * np.sin(angles * HIGH_HZ[column])
        parts += [sound, np.zeros(gap)]
    clipped = np.clip(np.concatenate(parts) * 32124, -32124, 32124)  # mu-law's largest value
    return np.round(clipped).astype(np.int16)
