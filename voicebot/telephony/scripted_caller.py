"""A caller with a script, who speaks each turn when the bot listens.

Pure and in virtual time. The caller's clock is what it has spoken: sample n is spoken
n/8000 s after stream start, and sent with the chunk that it completes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from voicebot.errors import UserMistake
from voicebot.telephony.call_events import CallerSpeaks, CallerStops, CallEvent, KeySent
from voicebot.telephony.loudness import speech_span
from voicebot.telephony.media_stream import DTMF_KEYS
from voicebot.telephony.playback import RATE_HZ, Playback
from voicebot.telephony.turn_timing import TurnRecord, TurnTimer

CHUNK_SAMPLES = 160
CHUNK_S = CHUNK_SAMPLES / RATE_HZ
SILENT_CHUNK = b"\xff" * CHUNK_SAMPLES
KEY_INTERVAL_S = 0.24
"""From key to key, as a person dials."""
UNANSWERED_GAP_S = 2.5
"""How long a caller who spoke over a prompt waits after its natural end: an answer may come."""


@dataclass(frozen=True)
class CallerTurn:
    """One turn: mu-law `audio` (8 kHz) or DTMF `keys`; raises UserMistake unless exactly one.

    It is played when the bot listens, or `over_s` into the bot's prompt if that comes first.
    Audio need not hold speech: callers send noise, too.
    """

    audio: bytes = b""
    keys: str = ""
    over_s: float | None = None
    label: str = ""
    span: tuple[int, int] | None = field(init=False, repr=False)
    """First and end sample of the speech in `audio` (see loudness.speech_span)."""

    def __post_init__(self) -> None:
        if bool(self.audio) == bool(self.keys):
            raise UserMistake(f"caller turn {self.label!r} needs either audio or keys")
        if wrong := "".join(sorted(set(self.keys) - DTMF_KEYS)):
            raise UserMistake(f"caller turn {self.label!r}: {wrong!r} are no keys; use 0-9 * # A-D")
        object.__setattr__(self, "span", speech_span(self.audio))


@dataclass(frozen=True, slots=True)
class Step:
    """What the caller does in one chunk of 20 ms; no chunk when it hangs up."""

    chunk: bytes
    keys: str = ""
    hangs_up: bool = False


class ScriptedCaller:
    """Plays `turns` in order; `step` is called once per chunk with the bot's Playback.

    The bot listens when its buffer has been empty (all marks returned, therefore) for
    `listen_gap_s` after it was heard since the caller's last turn; shorter gaps are pauses
    in its speech. The caller hangs up when `hang_up` was called, after `patience_s` of
    silence from both sides, or, with `hangs_up_after_last`, when the bot has answered the
    last turn and listens again.
    """

    def __init__(
        self,
        turns: Iterable[CallerTurn] = (),
        *,
        listen_gap_s: float = 0.7,
        patience_s: float = 15.0,
        hangs_up_after_last: bool = False,
    ) -> None:
        self.turns = tuple(turns)
        self._chunks = 0
        self._timer = TurnTimer(listen_gap_s)
        self._listen_gap_s = listen_gap_s
        self._patience_s = patience_s
        self._hangs_up_after_last = hangs_up_after_last
        self._is_told_to_hang_up = False
        self._audio = b""
        self._played = 0
        self._planned: list[tuple[float, str, CallEvent]] = []  # (when, key if any, event)
        self._busy_until_s = 0.0
        self._events: list[CallEvent] = []

    @property
    def records(self) -> list[TurnRecord]:
        """The turns begun so far."""
        return self._timer.records

    @property
    def now_s(self) -> float:
        """Start of the chunk that the next step returns."""
        return self._chunks * CHUNK_S

    def hang_up(self) -> None:
        """Makes the caller hang up with its next step."""
        self._is_told_to_hang_up = True

    def take_events(self) -> list[CallEvent]:
        """What happened since the last time."""
        events, self._events = self._events, []
        return events

    def step(self, playback: Playback) -> Step:
        """The next 20 ms; `playback` has been advanced to their end."""
        now_s = self.now_s
        self._events += self._timer.watch(playback, now_s)
        if self._is_told_to_hang_up:
            return Step(b"", hangs_up=True)
        if now_s >= self._busy_until_s:
            if self._may_speak(playback, now_s):
                self._begin(self.turns[len(self.records)], now_s)
            elif self._is_done(playback, now_s):
                return Step(b"", hangs_up=True)
        chunk = self._next_chunk()
        return Step(chunk, self._due_keys())

    def finish(self, playback: Playback) -> None:
        """The call is over: takes in what the bot did last."""
        self._events += self._timer.watch(playback, float("inf"))

    # ------------------------------------------------------------ when to speak

    def _may_speak(self, playback: Playback, now_s: float) -> bool:
        if len(self.records) == len(self.turns):
            return False
        if self._is_listened_to(playback, now_s):
            return True
        over_s, prompt_s = self.turns[len(self.records)].over_s, self._timer.prompt_s
        if over_s is None or prompt_s is None or not playback.is_bot_speaking(now_s):
            return False
        earliest_s = prompt_s[0] + over_s
        turn = self._timer.last_turn
        if turn is not None and prompt_s[0] < turn.speech_end_s:
            # Still the prompt that the last turn spoke over: give the bot time to yield.
            earliest_s = max(earliest_s, turn.speech_end_s + self._listen_gap_s)
        return now_s >= earliest_s

    def _is_listened_to(self, playback: Playback, now_s: float) -> bool:
        """The bot has spoken since the caller's last turn, and has finished."""
        if not playback.stretches or playback.buffered_samples:
            return False
        last, turn = playback.stretches[-1], self._timer.last_turn
        gap_s = self._listen_gap_s
        if turn is not None:
            if last.was_cleared or last.end_s <= turn.speech_end_s:
                return False
            if last.start_s < turn.speech_onset_s:
                gap_s = max(gap_s, UNANSWERED_GAP_S)
        return now_s - last.end_s >= gap_s

    def _is_done(self, playback: Playback, now_s: float) -> bool:
        is_last_spoken = len(self.records) == len(self.turns)
        if self._hangs_up_after_last and is_last_spoken and self._is_listened_to(playback, now_s):
            return True
        silent_since_s = max(self._busy_until_s, playback.audible_until_s or 0.0)
        return not playback.buffered_samples and now_s - silent_since_s >= self._patience_s

    # ------------------------------------------------------------ speaking

    def _begin(self, turn: CallerTurn, now_s: float) -> None:
        if turn.keys:
            at_s = [now_s + index * KEY_INTERVAL_S for index in range(len(turn.keys))]
            onset_s, end_s = at_s[0], at_s[-1]
            self._planned = [
                (when, key, KeySent(when, key)) for when, key in zip(at_s, turn.keys, strict=True)
            ]
            self._busy_until_s = end_s + CHUNK_S
        else:
            first, end = turn.span or (0, len(turn.audio))
            onset_s, end_s = now_s + first / RATE_HZ, now_s + end / RATE_HZ
            self._planned = [
                (onset_s, "", CallerSpeaks(onset_s, turn.label)),
                (end_s, "", CallerStops(end_s, turn.label)),
            ]
            self._audio, self._played = turn.audio, 0
            self._busy_until_s = now_s + len(turn.audio) / RATE_HZ
        self._timer.begin(TurnRecord(turn.label, now_s, onset_s, end_s, turn.keys))

    def _next_chunk(self) -> bytes:
        chunk = SILENT_CHUNK
        if self._played < len(self._audio):
            chunk = self._audio[self._played : self._played + CHUNK_SAMPLES]
            chunk = chunk.ljust(CHUNK_SAMPLES, b"\xff")
            self._played += CHUNK_SAMPLES
        self._chunks += 1
        return chunk

    def _due_keys(self) -> str:
        keys = ""
        while self._planned and self._planned[0][0] <= self.now_s:
            _, key, event = self._planned.pop(0)
            keys += key
            self._events.append(event)
        return keys
