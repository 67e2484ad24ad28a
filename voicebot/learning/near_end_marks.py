"""How good a near-end detector is, by the marks of the design page (docs of `Marks`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voicebot.events import SAMPLE_RATE_HZ, SpeechStarted
from voicebot.learning.near_end_hearing import Heard, spoken
from voicebot.turns.near_end_features import BANDS, WINDOW_SAMPLES

Floats = NDArray[np.float32]
Gate = Callable[[Heard], Floats]
"""From a call as heard to a probability for each window shown, f32[K]."""

_EARLY_MS = 64
_LATE_MS = 1000
_PAUSE_WINDOWS = 10


@dataclass(frozen=True, slots=True)
class Marks:
    """`false_static`, `false_steps`: speech started per minute of the bot's voice in calls in
    which nobody speaks. The rest: the caller's onset while the bot's echo is heard (Silero on the
    caller alone) until speech started; missed when that takes more than a second.
    """

    false_static: float
    false_steps: float
    bot_minutes: float
    p50_ms: float
    p95_ms: float
    missed: float
    onsets: int

    def __str__(self) -> str:
        return (
            f"false/min static {self.false_static:.3f}, with steps {self.false_steps:.3f} "
            f"({self.bot_minutes:.0f} min); onset p50 {self.p50_ms:.0f}, p95 {self.p95_ms:.0f} ms, "
            f"missed {100 * self.missed:.1f} % of {self.onsets}"
        )


def measure(calls: Sequence[Heard], gate: Gate) -> Marks:
    """Marks of `gate` on calls, through the product's SpeechDetector."""
    alone = [call for call in calls if not call.call.circumstances.has_caller]
    static = [call for call in alone if not call.call.steps_at]
    stepping = [call for call in alone if call.call.steps_at]
    late = [ms for call in calls for ms in onset_delays(call, gate)]
    known = [ms for ms in late if ms is not None]
    return Marks(
        _false_rate(static, gate),
        _false_rate(stepping, gate),
        _bot_minutes(alone),
        float(np.percentile(known, 50)) if known else float("nan"),
        float(np.percentile(known, 95)) if known else float("nan"),
        1 - len(known) / max(1, len(late)),
        len(late),
    )


def _bot_minutes(calls: Sequence[Heard]) -> float:
    windows = sum(int(call.bot.sum()) for call in calls)
    return windows * WINDOW_SAMPLES / SAMPLE_RATE_HZ / 60


def starts(call: Heard, gate: Gate) -> list[SpeechStarted]:
    """Every time the product would believe that the caller speaks."""
    events = spoken(call.gated(gate(call)))
    return [event for event in events if isinstance(event, SpeechStarted)]


def _false_rate(calls: Sequence[Heard], gate: Gate) -> float:
    false = sum(len(starts(call, gate)) for call in calls)
    return false / max(1e-9, _bot_minutes(calls))


def onset_delays(call: Heard, gate: Gate) -> list[float | None]:
    """For each onset of the caller in the bot's echo: ms until speech started, None if missed.

    Left out: onsets at which the product believes already that somebody speaks (a false start, or
    a pause too short to end what the caller said before).
    """
    if not call.call.circumstances.has_caller:
        return []
    events = spoken(call.gated(gate(call)))
    delays: list[float | None] = []
    for onset in _onsets(call):
        if not _is_echoing(call, onset):
            continue
        early = onset - _EARLY_MS * SAMPLE_RATE_HZ // 1000
        before = [event for event in events if event.detected_at <= early]
        if before and isinstance(before[-1], SpeechStarted):
            continue
        late = next(
            (
                (event.detected_at - onset) * 1000 / SAMPLE_RATE_HZ
                for event in events
                if isinstance(event, SpeechStarted) and event.detected_at > early
            ),
            float("inf"),
        )
        delays.append(late if late <= _LATE_MS else None)
    return delays


def _onsets(call: Heard) -> list[int]:
    """Samples at which the caller begins to speak, at least 96 ms, after at least 0.3 s."""
    edges = np.flatnonzero(np.diff(call.truth, prepend=0.0, append=0.0))
    begins, ends = edges[::2], edges[1::2]
    quiet = begins - np.concatenate(([-_PAUSE_WINDOWS], ends[:-1]))
    wanted = (quiet >= _PAUSE_WINDOWS) & (ends - begins >= 3)
    return [int(begin) * WINDOW_SAMPLES for begin in begins[wanted]]


def _is_echoing(call: Heard, at: int) -> bool:
    """Whether what the bot sent a delay ago is speech at this moment."""
    window = (at - int(call.call.circumstances.delay_ms * SAMPLE_RATE_HZ / 1000)) // WINDOW_SAMPLES
    return bool(call.bot[max(0, window - 3) : max(0, window + 4)].all()) and window >= 3


def silero_alone(call: Heard) -> Floats:
    """No gate: speech in the cleaned signal counts as the caller's."""
    return call.speech[call.shown]


def rules(call: Heard) -> Floats:
    """The gate without learning: Silero, unless what is left is no louder than an echo may be.

    Louder by 9 dB is even odds. The echo to be expected is the canceller's estimate or, where it
    is more, the reverberating reference less what has leaked so far; unlocked, the loudest of the
    last seconds.
    """
    features = call.features
    speech, _, residual, _, locked, _, clean, _, above_peak, _, _ = features[:, -11:].T
    excess_bands = features[:, 5 * BANDS : 6 * BANDS]
    excess = np.minimum(clean - residual, np.partition(excess_bands, -5, axis=1)[:, -5])
    margin = np.where(locked > 0.5, excess - 9, above_peak - 3)
    return np.asarray(speech / (1 + np.exp(-np.clip(margin, -30, 30) / 2)), np.float32)
