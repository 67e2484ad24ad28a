"""Keys over a prompt: how soon the line is cleared, and what becomes of keys pressed early.

Signalled keys are events of the media stream; in-band keys are tones in the caller's audio
(audio.dtmf.generate: 80 ms, -10 dBm0, or 45 ms, -20 dBm0), heard by the Runner.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from voicebot.audio import dtmf
from voicebot.audio.pcm import to_float
from voicebot.engine.runner import InbandKey, Result
from voicebot.evaluation.turns_corpus import Corpus
from voicebot.evaluation.turns_expectations import digits, questions
from voicebot.evaluation.turns_trace import TracedCall, TracedTelephone
from voicebot.evaluation.turns_track import add, line_noise, seconds, whole_chunks
from voicebot.evaluation.virtual_call import BotTurn, VirtualCalls
from voicebot.events import SAMPLE_RATE_HZ, Digit, DigitRule, KeysEntered

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from voicebot.engine.runner import Runner
    from voicebot.turns.listener import Recognise

KEYS = 4
KEY_GAP_S = 0.25
CALL_S = 20.0
SHORT_TONE_MS, LONG_TONE_MS = 45.0, 80.0
SOFT_DBM0, LOUD_DBM0 = -20.0, -10.0


@dataclass(frozen=True, slots=True)
class KeysOutcome:
    """One call in which four keys are pressed over a prompt, or before it begins."""

    kind: str  # "signalled", "ahead", "in-band"
    ms: float | None
    """From the first key (in-band: its tone's onset) to `clear` sent; for keys pressed before
    the question was asked, from its first word to the keys being taken."""
    pressed: str
    entered: str


class KeyCall(TracedCall):
    """Remembers when the first in-band key became known."""

    inband_at: int | None = None

    def hear(self, result: Result, now: int) -> list[Recognise]:
        """As VirtualCall.hear."""
        if isinstance(result, InbandKey) and self.inband_at is None:
            self.inband_at = now
        return super().hear(result, now)


def measure(runner: Runner, slots: int, corpus: Corpus, *, seed: int) -> list[KeysOutcome]:
    """As many calls of each kind as go into half of the slots."""
    rng = np.random.default_rng(seed)
    question = questions(corpus)["digits"]
    expectation = digits(16, DigitRule(max_keys=KEYS, terminator="#"))
    samples = whole_chunks(seconds(CALL_S))
    kinds = ("signalled", "ahead", "in-band", "in-band")
    calls: list[KeyCall] = []
    presses: list[list[tuple[int, str]]] = []
    for slot in range(min(slots, 32)):
        kind = kinds[slot % len(kinds)]
        keys = "".join(rng.choice(list("0123456789*"), KEYS))
        begin_s = 0.4 if kind == "ahead" else rng.uniform(2.0, 4.0)
        pressed = [(seconds(begin_s + KEY_GAP_S * i), key) for i, key in enumerate(keys)]
        line = corpus.line[slot % len(corpus.line)] if corpus.line else None
        track = line_noise(samples, line, rng)
        if kind == "in-band":
            is_long = slot % 8 < 4
            for at, key in pressed:
                add(track, at, _tone(key, is_long=is_long))
        turn = BotTurn(seconds(2.0 if kind == "ahead" else 0.5), (question.prompt,), expectation)
        calls.append(KeyCall(TracedTelephone(track), [turn]))
        presses.append(pressed)
    waiting = [iter(p) if kinds[i % 4] != "in-band" else iter(()) for i, p in enumerate(presses)]
    presser = _Presser(calls, waiting)
    VirtualCalls(runner, calls, after_step=presser.press).run(samples)
    return [
        _judge(kinds[slot % len(kinds)], call, pressed)
        for slot, (call, pressed) in enumerate(zip(calls, presses, strict=True))
    ]


def _tone(key: str, *, is_long: bool) -> NDArray[np.float32]:
    tone_ms, level = (LONG_TONE_MS, LOUD_DBM0) if is_long else (SHORT_TONE_MS, SOFT_DBM0)
    return to_float(dtmf.generate(key, tone_ms=tone_ms, gap_ms=0, level_dbm0=level))


class _Presser:
    """Presses the keys when it is time, at the end of a step of 20 ms."""

    def __init__(self, calls: list[KeyCall], presses: list[Iterator[tuple[int, str]]]) -> None:
        self._calls, self._presses = calls, presses
        self._next = [next(of, None) for of in presses]

    def press(self, now: int) -> None:
        """All that are due."""
        for slot, due in enumerate(self._next):
            if due is not None and due[0] <= now:
                self._calls[slot].key(due[1], now)
                self._next[slot] = next(self._presses[slot], None)


def _judge(kind: str, call: KeyCall, pressed: list[tuple[int, str]]) -> KeysOutcome:
    keys = "".join(key for _, key in pressed)
    events = [note.event for note in call.notes]
    entered = next((event.keys for event in events if isinstance(event, KeysEntered)), "")
    clear = next((sent.now for sent in call.phone.log if sent.what == "clear"), None)
    since, until = pressed[0][0], clear
    if kind == "ahead":
        entered_at = next((n.now for n in call.notes if isinstance(n.event, KeysEntered)), None)
        since, until = call.begun[0], entered_at
    elif kind == "in-band":
        until = None if clear is None else call.inband_at
    else:
        since = next((n.now for n in call.notes if isinstance(n.event, Digit)), since)
    ms = None if until is None else (until - since) * 1000 / SAMPLE_RATE_HZ
    return KeysOutcome(kind, ms, keys, entered)
