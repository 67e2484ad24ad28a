"""Callers who read numbers: is the turn kept open to the last digit, and closed soon after it?

Numbers are built of isolated digits of one speaker, in groups as cards (4-4-4-4), telephones
(3-3-4) and codes are read: 150 to 350 ms between digits, 450 to 900 ms between groups, with the
noise of a real line throughout. Their length is known to the dialogue, or it is not. The
recogniser's words decide whether a number is complete. A string is truncated when the turn ends
before its last digit does, or without it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np

from voicebot.evaluation.turns_corpus import Corpus
from voicebot.evaluation.turns_expectations import digits as expect_digits
from voicebot.evaluation.turns_expectations import short_prompt
from voicebot.evaluation.turns_trace import ROUND_TRIP, Ears, TracedCall, TracedTelephone
from voicebot.evaluation.turns_track import add, faded, line_noise, seconds, whole_chunks
from voicebot.evaluation.virtual_call import BotTurn, VirtualCalls
from voicebot.events import SAMPLE_RATE_HZ, CallerTurn, Expectation, SpokenPrompt, TurnEnded
from voicebot.nlu.interpreter import interpret

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voicebot.engine.runner import Runner

GROUPS = ((4,), (3, 3), (3, 3, 4), (4, 4, 4, 4))
BETWEEN_DIGITS_S, BETWEEN_GROUPS_S = (0.15, 0.35), (0.45, 0.9)
ANSWERS_AFTER_S = (0.3, 1.0)
AFTER_S = 3.5
FIRST_S = 0.5
TODAY = date(2026, 1, 5)
"""Whether digits were understood does not depend on it."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A number read out: its last digit is said in [last_onset, end) of the call."""

    digits: str
    speaker: str
    is_known_length: bool
    expectation: Expectation
    at: int
    onset: int
    last_onset: int
    end: int
    until: int


@dataclass(frozen=True, slots=True)
class DigitsOutcome:
    """`latency_ms`: from the end of the last digit to TurnEnded; None: truncated or never ended."""

    reading: Reading
    is_truncated: bool
    latency_ms: float | None
    reason: str
    heard: str
    understood: str

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {
            "digits": self.reading.digits,
            "speaker": self.reading.speaker,
            "known_length": self.reading.is_known_length,
            "truncated": self.is_truncated,
            "latency_ms": self.latency_ms,
            "reason": self.reason,
            "heard": self.heard,
            "understood": self.understood,
        }


def measure(
    runner: Runner,
    slots: int,
    corpus: Corpus,
    *,
    seed: int,
    quick: bool,
    tell: Callable[[str], None],
) -> list[DigitsOutcome]:
    """Two numbers of known length for one of unknown; `quick`: a sixth of the 72."""
    rng = np.random.default_rng(seed)
    prompt = short_prompt("Your number, please.")
    count = 12 if quick else 72
    calls_count = min(slots, count // 2)
    lines = [corpus.line[i % len(corpus.line)] if corpus.line else None for i in range(calls_count)]
    read = [
        _readings(corpus, prompt, rng, range(i, count, calls_count)) for i in range(calls_count)
    ]
    samples = whole_chunks(max(of[-1][0].until for of in read))
    calls: list[TracedCall] = []
    for line, of in zip(lines, read, strict=True):
        track = line_noise(samples, line, rng)
        for reading, voice in of:
            add(track, reading.onset, voice)
        turns = [BotTurn(reading.at, (prompt,), reading.expectation) for reading, _ in of]
        calls.append(TracedCall(TracedTelephone(track), turns))
    ears = Ears(runner, calls)

    def progress(second: int) -> None:
        if second % 10 == 0:
            tell(f"numbers read out, {second} of {samples // SAMPLE_RATE_HZ} s")

    VirtualCalls(runner, calls, recognise=ears.recognise).run(samples, progress)
    return [
        _judge(reading, call) for call, of in zip(calls, read, strict=True) for reading, _ in of
    ]


def _readings(
    corpus: Corpus, prompt: SpokenPrompt, rng: np.random.Generator, numbers: range
) -> list[tuple[Reading, NDArray[np.float32]]]:
    """One call's: the numbers with these indices, one after the other."""
    found = []
    at = seconds(FIRST_S)
    for number in numbers:
        groups = GROUPS[number % len(GROUPS)]
        speaker = sorted(corpus.digits)[number // len(GROUPS) % len(corpus.digits)]
        voice, digits, last = _read_out(corpus, speaker, groups, rng)
        is_known = number % 3 != 2
        expectation = expect_digits(len(digits) if is_known else None)
        spoken = at + ROUND_TRIP + len(prompt.mulaw)
        onset = spoken + seconds(rng.uniform(*ANSWERS_AFTER_S))
        end = onset + len(voice)
        until = end + seconds(AFTER_S)
        times = (at, onset, end - last, end, until)
        reading = Reading(digits, speaker, is_known, expectation, *times)
        found.append((reading, voice))
        at = until
    return found


def _read_out(
    corpus: Corpus, speaker: str, groups: tuple[int, ...], rng: np.random.Generator
) -> tuple[NDArray[np.float32], str, int]:
    """The voice, its digits, and the samples of the last one."""
    parts: list[NDArray[np.float32]] = []
    digits = ""
    for size in groups:
        for place in range(size):
            if parts:
                pause_s = rng.uniform(*(BETWEEN_DIGITS_S if place else BETWEEN_GROUPS_S))
                parts.append(np.zeros(seconds(pause_s), np.float32))
            digit = str(int(rng.integers(10)))
            takes = corpus.digits[speaker][digit]
            parts.append(faded(takes[int(rng.integers(len(takes)))]))
            digits += digit
    return np.concatenate(parts), digits, len(parts[-1])


def _judge(reading: Reading, call: TracedCall) -> DigitsOutcome:
    notes = [note for note in call.notes if reading.onset <= note.now < reading.until]
    ended = next((note for note in notes if isinstance(note.event, TurnEnded)), None)
    turn = next((note.event for note in notes if isinstance(note.event, CallerTurn)), None)
    text = turn.hypothesis.text if isinstance(turn, CallerTurn) else ""
    understood = ""
    if isinstance(turn, CallerTurn):
        slots = interpret(turn.hypothesis, reading.expectation, today=TODAY).slots
        understood = next((slot.value for slot in slots if slot.name == "number"), "")
    if ended is None or not isinstance(ended.event, TurnEnded):
        return DigitsOutcome(reading, False, None, "never ended", text, understood)
    reason = ended.event.reason.value
    last_heard = ended.event.speech_end_at or 0
    is_truncated = ended.now < reading.end or last_heard < reading.last_onset
    latency = None if is_truncated else (ended.now - reading.end) * 1000 / SAMPLE_RATE_HZ
    return DigitsOutcome(reading, is_truncated, latency, reason, text, understood)
