"""What the bot sent around the moment whose echo is heard now: is it what is heard? Pure.

After a step of the delay the echo comes sooner or later than the canceller believes. What it is an
echo of was sent by then, so it can be compared at once, sooner ones included.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from voicebot.compiled import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

BANDS = 16
LATER_LAGS, EARLIER_LAGS = 9, 6
"""Windows by which the echo may come later (0 to 256 ms) or earlier (32 to 192 ms) than the delay
that the canceller believes: steps of the delay between prompts are no larger."""
LAGS = LATER_LAGS + EARLIER_LAGS
FLOOR_DB = np.float32(-90.0)  # below mu-law's smallest step; keeps log finite for silence

_WINDOW_SAMPLES = 256
_WINDOWS = 80
"""Kept of what was sent: 2.5 s, the longest delay (audio.delay.MAX_DELAY_MS) and the later lags."""
_LEAK = np.float32(0.8)  # of the sums: about 160 ms
_MEAN_LEAK = np.float32(0.05)  # of the slow mean of each band, 0.6 s of sound
_START_MEANS_DB = (-50.0, -40.0)
_RANGE_DB = np.float32(20.0)
_SOUND_DB = np.float32(-70.0)  # a band below this holds nothing that a mean should follow


class SentMatch:
    """What each call was sent of late, and how well what it says matches that; a slot each."""

    def __init__(self, slots: int) -> None:
        self.mean = np.empty((slots, 2, BANDS), np.float32)
        """Slow means of clean and of what was sent, dBFS."""
        self.sent = np.empty((slots, _WINDOWS, BANDS), np.float32)
        """A ring, dBFS."""
        self.next = np.zeros(slots, np.int64)
        """Place in the ring of the window that comes."""
        self.sums = np.empty((slots, 3, LAGS), np.float32)
        """Leaky: product, energy of what was sent, energy of clean."""
        self.reset(slice(None))

    def reset(self, slot: int | slice) -> None:
        """Forget the call in `slot`."""
        self.mean[slot, 0], self.mean[slot, 1] = _START_MEANS_DB
        self.sent[slot] = FLOOR_DB
        self.sums[slot] = 0.0


@compiled("float32(float32, float32)")
def _deviation(level: np.float32, mean: np.float32) -> np.float32:
    return min(max(max(level, _SOUND_DB) - mean, -_RANGE_DB), _RANGE_DB)


@compiled(
    "void(float32[::1], float32[::1], int64, int64, float32[:,::1], float32[:,::1],"
    "float32[:,::1], float32[::1], float32[::1], float32[::1])"
)
def match(
    clean_db: Floats,
    sent_db: Floats,
    delay: int,
    at: int,
    mean: Floats,
    ring: Floats,
    sums: Floats,
    matched: Floats,
    ahead: Floats,
    above: Floats,
) -> None:
    """The next window of a call, of which SentMatch keeps `mean`, `ring`, `sums` and `at`.

    Into `matched`, [LAGS]: correlation of clean with what was sent, over all bands and the last
    160 ms, both as deviation in dB from the band's slow mean. Into `ahead`, [EARLIER_LAGS]: the
    loudest band of what was sent so much after that whose echo is due now; into `above`, [BANDS]:
    clean above the loudest of these. `sent_db` as it is sent now. `delay`: samples, negative while
    it is not known; then nothing matches.
    """
    ring[at] = sent_db
    due = (delay + _WINDOW_SAMPLES // 2) // _WINDOW_SAMPLES
    clean = np.empty(BANDS, np.float32)
    of_clean = np.float32(0)
    for band in range(BANDS):
        clean[band] = _deviation(clean_db[band], mean[0, band])
        of_clean += clean[band] * clean[band]
        above[band] = FLOOR_DB
    for lag in range(LAGS):
        back = due + lag if lag < LATER_LAGS else due + LATER_LAGS - 1 - lag
        is_known = delay >= 0 and 0 <= back < _WINDOWS
        product = of_sent = np.float32(0)
        loudest = FLOOR_DB
        if is_known:
            then = ring[(at - back) % _WINDOWS]
            for band in range(BANDS):
                sent = _deviation(then[band], mean[1, band])
                product += clean[band] * sent
                of_sent += sent * sent
                loudest = max(loudest, then[band])
                if lag >= LATER_LAGS:
                    above[band] = max(above[band], then[band])
        if lag >= LATER_LAGS:
            ahead[lag - LATER_LAGS] = loudest
        sums[0, lag] = _LEAK * sums[0, lag] + product
        sums[1, lag] = _LEAK * sums[1, lag] + of_sent
        sums[2, lag] = _LEAK * sums[2, lag] + of_clean
        matched[lag] = sums[0, lag] / np.sqrt(sums[1, lag] * sums[2, lag] + np.float32(1))
    for band in range(BANDS):
        above[band] = clean_db[band] - above[band]
        if clean_db[band] > _SOUND_DB:
            mean[0, band] += _MEAN_LEAK * (clean_db[band] - mean[0, band])
        if sent_db[band] > _SOUND_DB:
            mean[1, band] += _MEAN_LEAK * (sent_db[band] - mean[1, band])
