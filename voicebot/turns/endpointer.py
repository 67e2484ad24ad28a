"""When the caller's turn is over: a small state machine with VoiceXML's timeouts. Pure.

How long a silence ends a turn is told by `patience`. Time is the sample clock of the call; `tick`
decides, everything else only takes note.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from voicebot.events import (
    SAMPLE_RATE_HZ,
    Completeness,
    Digit,
    Expectation,
    NoInput,
    SpeechEnded,
    SpeechStarted,
    TurnEnded,
    TurnEndReason,
)
from voicebot.turns.digit_collector import DigitCollector
from voicebot.turns.patience import patience

SPECULATIVE_MS = 200
"""Silence after which the final hypothesis is worth decoding early."""

HUM_MS, HUM_KNOWN_MS = 6000, 4000
"""Whoever makes a sound for so long, without a word in the first part of it, says nothing: of
sentences read out on the telephone the first words are known within a second."""


@dataclass(slots=True)
class _Utterance:
    """Speech of the open turn. `ended_at` is None while the caller speaks."""

    started_at: int
    counts_from: int  # max_speech_ms counts from here: the onset, but not before listen
    known_at: int  # when its latest stretch of speech was detected
    ended_at: int | None = None
    completeness: Completeness | None = None  # None: nothing recognised since speech resumed
    confidence: float | None = None  # in that; None: not told
    end_probability: float | None = None  # of this pause; None: not judged (yet)
    is_speculated: bool = False


class Endpointer:
    """One call's turns: `listen`, then `tick` until it returns TurnEnded or NoInput.

    A decision closes the turn; the next `listen` opens another. Keys and speech may come at any
    time: keys before `listen` are typed ahead, speech before it belongs to the turn if it still
    goes on. Speech that outlasts a decision is forgotten: whoever listens again while it goes on
    tells of it again. Events out of order and ticks that go back change nothing.
    """

    def __init__(self) -> None:
        """Nothing is decided until `listen`."""
        self._expectation: Expectation | None = None
        self._listen_at = self._silent_at = 0
        self._now = 0
        self._utterance: _Utterance | None = None
        self._speech: SpeechStarted | None = None  # begun while nobody listened, goes on
        self._digits = DigitCollector()

    @property
    def is_listening(self) -> bool:
        """True between `listen` and the decision."""
        return self._expectation is not None

    # ------------------------------------------------------------ the dialogue's side

    def listen(self, expectation: Expectation, at: int, *, silent_since: int | None = None) -> None:
        """The prompt has ended or was interrupted: the caller's time to answer begins at `at`.

        `silent_since`: it began before, and nothing was said since: the caller is still silent.
        """
        self._now = max(self._now, at)
        self._expectation, self._listen_at = expectation, at
        self._silent_at = at if silent_since is None else silent_since
        self._utterance = None
        self._digits.open(expectation.digits, at)
        speech, self._speech = self._speech, None
        if speech is not None:
            self._open_utterance(speech)

    def sooner(self, by: int, after: int) -> None:
        """What was said to have been later than `after` was `by` samples earlier."""
        times = (self._now, self._listen_at, self._silent_at)
        self._now, self._listen_at, self._silent_at = (at - by * (at > after) for at in times)

    def stop_listening(self) -> None:
        """The dialogue waits for nothing any more; no decision follows. Keys are typed ahead."""
        self._expectation, self._utterance = None, None
        self._digits.drop()
        self._digits.close()

    def take_keys(self) -> str:
        """The keys of a turn that ended by DTMF, without terminator; once."""
        return self._digits.take()

    @property
    def has_typed_ahead(self) -> bool:
        """Whether keys wait that nobody has asked for yet."""
        return self._digits.has_typed_ahead

    def forget_keys(self) -> None:
        """Drop keys typed ahead, for a dialogue that goes elsewhere than the caller thinks."""
        self._digits.forget()

    # ------------------------------------------------------------ what is heard

    def on_speech_started(self, event: SpeechStarted) -> None:
        """The caller speaks (again). Told anew, a different onset replaces the one known."""
        utterance = self._utterance
        if self._expectation is None:
            self._speech = event
        elif utterance is None:
            self._open_utterance(event)
        elif utterance.ended_at is None:
            utterance.started_at = event.at
            utterance.known_at = max(utterance.known_at, event.detected_at)
        elif event.detected_at > utterance.ended_at:
            utterance.ended_at = utterance.completeness = utterance.end_probability = None
            utterance.known_at = event.detected_at
            utterance.is_speculated = False

    def _open_utterance(self, speech: SpeechStarted) -> None:
        counts_from = max(speech.at, self._listen_at)
        self._utterance = _Utterance(speech.at, counts_from, speech.detected_at)

    def on_speech_ended(self, event: SpeechEnded) -> None:
        """The caller pauses or has finished: silence counts from `event.at`."""
        self._speech = None
        if self._expectation is None:
            return
        if self._utterance is None:
            if event.at <= self._listen_at:
                return
            # Its beginning was not told: the caller spoke when the prompt ended.
            self._open_utterance(SpeechStarted(self._listen_at, self._listen_at))
        utterance = self._utterance
        if utterance is None or utterance.ended_at is not None:
            return
        if event.detected_at >= utterance.known_at:  # else the end of something earlier
            utterance.ended_at = max(event.at, utterance.started_at)

    def on_resumed(self) -> None:
        """Silence that might have ended the speech going on did not: what was judged of all that
        was said until then holds no more."""
        if self._utterance is not None and self._utterance.ended_at is None:
            self._utterance.completeness = self._utterance.confidence = None

    def on_completeness(
        self, completeness: Completeness, at: int, confidence: float | None = None
    ) -> None:
        """How far what was recognised answers the dialogue, known at `at`; the latest counts.

        `confidence`: the recogniser's in it; None where it tells none.
        """
        if self._utterance is not None and at >= self._utterance.known_at:
            self._utterance.completeness = completeness
            self._utterance.confidence = confidence

    def on_end_probability(self, probability: float, at: int) -> None:
        """That the caller has finished (0..1), judged in this pause; the latest counts.

        One that comes while the caller speaks again, or is no number, changes nothing.
        """
        utterance = self._utterance
        if utterance is None or utterance.ended_at is None or at < utterance.known_at:
            return
        if math.isfinite(probability):
            utterance.end_probability = min(max(probability, 0.0), 1.0)

    def on_digit(self, digit: Digit) -> None:
        """A key. From the first one on keys make the turn; see `tick` for a single slip."""
        self._digits.add(digit)

    # ------------------------------------------------------------ decisions

    def wants_speculative(self, at: int) -> bool:
        """True once at each pause: decode the final hypothesis now, it may well be the last."""
        utterance = self._utterance
        if utterance is None or utterance.ended_at is None or utterance.is_speculated:
            return False
        utterance.is_speculated = at - utterance.ended_at >= _samples(SPECULATIVE_MS)
        return utterance.is_speculated

    def tick(self, at: int) -> TurnEnded | NoInput | None:
        """Whether the turn ends now; call it at least with every chunk.

        Keys come before speech: while some are collected only they end the turn. Fewer than
        `min_keys` after which the caller speaks count as a slip and are dropped.
        """
        self._now = at = max(at, self._now)
        if self._expectation is None:
            return None
        ended = self.tick_keys(at)
        if ended is not None or not self._digits.is_empty:
            return ended
        if self._utterance is not None:
            return self._judge(self._utterance, self._expectation, at)
        if at - self._silent_at >= _samples(self._expectation.timeouts.noinput_ms):
            return self._nothing(at)
        return None

    def tick_keys(self, at: int) -> TurnEnded | None:
        """Whether keys end the turn now: they need no audio, which may have been heard only until
        some time before `at`."""
        if self._expectation is None or self._digits.is_empty or not self._digits.is_due(at):
            return None
        if not self._is_slip():
            return self._end(at, TurnEndReason.DTMF)
        self._digits.drop()
        return None

    def hums(self, at: int, hummed_until: int | None) -> NoInput | None:
        """The caller makes a sound since HUM_MS, and what was recognised until `hummed_until` is no
        word: as if he were silent. None: not so, or keys are being entered."""
        utterance = self._utterance
        if hummed_until is None or utterance is None or utterance.ended_at is not None:
            return None
        is_long = at - utterance.counts_from >= _samples(HUM_MS)
        is_known = hummed_until - utterance.counts_from >= _samples(HUM_KNOWN_MS)
        if not (is_long and is_known and self._digits.is_empty):
            return None
        return self._nothing(at)

    def _nothing(self, at: int) -> NoInput:
        self._expectation = self._utterance = None
        self._digits.close()
        return NoInput(at)

    def _is_slip(self) -> bool:
        spoke = self._utterance is not None and self._utterance.known_at > self._digits.last_at
        return spoke and not self._digits.has_enough

    def _judge(self, utterance: _Utterance, expectation: Expectation, at: int) -> TurnEnded | None:
        if at - utterance.counts_from >= _samples(expectation.timeouts.max_speech_ms):
            return self._end(at, TurnEndReason.MAX_SPEECH)
        if utterance.ended_at is None:
            return None
        pause_ms, reason = patience(
            expectation,
            utterance.completeness,
            utterance.end_probability,
            confidence=utterance.confidence,
        )
        if at - utterance.ended_at < _samples(pause_ms):
            return None
        return self._end(at, reason)

    def _end(self, at: int, reason: TurnEndReason) -> TurnEnded:
        utterance = self._utterance
        self._expectation, self._utterance = None, None
        self._digits.close()
        if utterance is None or reason is TurnEndReason.DTMF:
            return TurnEnded(at, reason)
        ended_at = at if utterance.ended_at is None else utterance.ended_at
        return TurnEnded(at, reason, utterance.started_at, ended_at)


def _samples(ms: int) -> int:
    return ms * SAMPLE_RATE_HZ // 1000
