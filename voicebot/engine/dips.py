"""Where a caller's voice falls he may have finished: what was said is read there and then. Pure.

Voice activity goes on hearing speech for 140 ms after it is over and waits for another 128; the
level falls at once. A partial asked for where it falls has mostly heard all, and the final that
follows finds the same words with one pass of the decoder. It stands in for the partials by the
clock: words end where the voice falls, too.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from voicebot.engine.hearing import WINDOW
from voicebot.events import SAMPLE_RATE_HZ, BargeInRejected, SpeechEnded, TurnEnded
from voicebot.turns.utterance import Recognise

FALL_DB = 30.0
"""Below the loudest of the last two seconds. Sooner known is paid for by falls within sentences:
each costs a partial (asr/LOG.md)."""
LOUD_SHARE = 0.95
"""Of the windows are no louder than what counts as loudest: beside a slam a quiet caller's words
are 30 dB down, too."""
ABOVE_FLOOR_DB = 3.0
"""In noise that is louder: so near to the quietest window."""
STEADY_DB = 6.0
"""A sound that keeps its level, a hum, has not fallen, however near its quietest moment it is."""
WINDOWS = 1
"""How many there must be, of 32 ms."""
MEMORY_SAMPLES = 2 * SAMPLE_RATE_HZ
MEMORY = MEMORY_SAMPLES // WINDOW
LEAST_LOUD = 2
"""Windows since the last partial: a click after the last word adds none."""
APART_SAMPLES = SAMPLE_RATE_HZ
"""So soon after a partial another by the clock is not worth its cost."""
WORDLESS_SAMPLES = 3 * SAMPLE_RATE_HZ // 8
"""The listener asks again as soon as this only where there was no word yet."""
GROWTH = 0.1
"""Of what was said since its beginning must be new: a partial reads all of it again."""
RISE_DB = 3.0
"""Above the quiet that was read: what begins there may be a faint consonant."""
EARLIEST_SAMPLES = 8 * WINDOW
"""Voice activity sees silence no later than that after the voice has fallen, nearly always."""
ENDS = (SpeechEnded, BargeInRejected, TurnEnded)


class Dips:
    """Those of one call."""

    def __init__(self) -> None:
        """Nobody speaks."""
        self._levels: deque[float] = deque(maxlen=MEMORY)
        self._ordered: list[float] = []  # the same by loudness
        self._open: Recognise | None = None  # the last partial of what is being said
        self._quiet = 0  # windows
        self._is_dip = False  # whether it was asked for here
        self._loud = 0  # windows since the last partial was asked for

    def taken(self, events: Iterable[object]) -> list[object]:
        """The listener's events without partials that would tell nothing new."""
        found: list[object] = []
        for event in events:
            if isinstance(event, Recognise):
                if event.kind == "partial":
                    if not self._is_worth(event):
                        continue
                    self._open, self._is_dip, self._loud = event, False, 0
                elif event.kind != "hotword":
                    self._open = None
            elif isinstance(event, ENDS):
                self._open = None
            found.append(event)
        return found

    def heard(self, at: int, level_db: float) -> list[Recognise]:
        """One window that begins at `at`, after what the listener made of it."""
        if len(self._levels) == MEMORY:
            del self._ordered[bisect_left(self._ordered, self._levels[0])]
        self._levels.append(level_db)
        insort(self._ordered, level_db)
        loudest, floor = _loud(self._ordered), self._ordered[0]
        if level_db >= max(loudest - FALL_DB, min(floor + ABOVE_FLOOR_DB, loudest - STEADY_DB)):
            self._quiet = 0
            self._loud += 1
            return []
        self._quiet += 1
        last = self._open
        if last is None or self._loud < LEAST_LOUD or self._quiet < WINDOWS:
            return []
        if at + WINDOW - last.end_at < GROWTH * (at + WINDOW - last.start_at):
            return []
        self._open = Recognise(last.utterance, "partial", last.start_at, at + WINDOW)
        self._is_dip, self._loud = True, 0
        return [self._open]

    def _is_worth(self, request: Recognise) -> bool:
        last = self._open
        if last is None or last.utterance != request.utterance:
            return True
        if not self._loud:
            return False  # nothing was said since
        since = request.end_at - last.end_at
        return since >= APART_SAMPLES or (not self._is_dip and since < WORDLESS_SAMPLES)


def is_over(samples: NDArray[np.float32], since: int) -> bool:
    """Whether nothing was said in the last `since` samples, after a quiet that WINDOWS show.

    `samples`: the last two seconds, full scale 1. What was read up to there is the whole then.
    """
    levels = _levels(samples)
    after = -(-since // WINDOW)
    if len(levels) < after + WINDOWS:
        return False
    quiet = levels[-after - WINDOWS :]
    bound = max(_loudest(levels.tolist()) - FALL_DB, levels.min() + ABOVE_FLOOR_DB)
    rise = quiet[WINDOWS:].max(initial=-np.inf) - quiet[:WINDOWS].max()
    return bool(quiet.max() < bound and rise <= RISE_DB)


def fallen_at(samples: NDArray[np.float32], asked_at: int) -> int:
    """Up to where a final that is asked for at `asked_at` may have been read, at the earliest.

    `samples`: of the call, full scale 1. `asked_at` itself, where something was said till then.
    """
    heard = samples[max(0, asked_at - MEMORY_SAMPLES) : asked_at]
    earlier = range(EARLIEST_SAMPLES, 0, -WINDOW)
    return asked_at - next((since for since in earlier if is_over(heard, since)), 0)


def _loudest(levels: Iterable[float]) -> float:
    return _loud(sorted(levels))


def _loud(ordered: Sequence[float]) -> float:
    return ordered[int(LOUD_SHARE * (len(ordered) - 1))]


def _levels(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """dBFS of each window, the last ending with them."""
    windows = samples[len(samples) % WINDOW :].reshape(-1, WINDOW)
    return np.asarray(10 * np.log10(np.mean(windows**2, axis=1) + 1e-10), np.float32)
