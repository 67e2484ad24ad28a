"""When the bot answered, yielded or cut in, measured from what the caller hears."""

from __future__ import annotations

from dataclasses import dataclass

from voicebot.telephony.call_events import BotSpeaks, BotStops, CallEvent, Cleared
from voicebot.telephony.playback import Clearing, Playback, Stretch


@dataclass(slots=True)
class TurnRecord:
    """When a turn was spoken and how the bot took it; seconds from stream start.

    Onset and end are of the speech in the turn's audio (of the audio itself when it holds
    no speech; the first and last key when it is keys). None where it does not apply.

    `response_ms`: from the end to the first bot audio heard after it that is not the rest
    of an older prompt; below zero when the bot cut in before the end and talked on.
    `barge_in_ms`: from an onset during a prompt to the last bot sample before the `clear`.
    `cut_in_s`: when the bot first began to speak between onset and end.
    `bot_prompt_before_s`: start and end of the prompt that the turn answers or interrupts.
    """

    label: str
    started_s: float
    speech_onset_s: float
    speech_end_s: float
    keys: str = ""
    was_over_prompt: bool = False
    response_ms: float | None = None
    barge_in_ms: float | None = None
    cut_in_s: float | None = None
    bot_prompt_before_s: tuple[float, float] | None = None


class TurnTimer:
    """Follows the bot's playback and fills in the record of the latest turn.

    Stretches of bot audio less than `listen_gap_s` apart form one prompt, unless a `clear`
    or the end of a turn lies between them.
    """

    def __init__(self, listen_gap_s: float) -> None:
        self.records: list[TurnRecord] = []
        self.prompt_s: tuple[float, float] | None = None
        """Start and (so far) end of the bot's latest prompt."""
        self._listen_gap_s = listen_gap_s
        self._seen_stretches = 0
        self._seen_clearings = 0
        self._current: Stretch | None = None
        self._is_told_over = True

    @property
    def last_turn(self) -> TurnRecord | None:
        """The turn that runs or ran last."""
        return self.records[-1] if self.records else None

    def begin(self, record: TurnRecord) -> None:
        """A new turn: what the bot does from now on belongs to it."""
        record.bot_prompt_before_s = self.prompt_s
        self.records.append(record)

    def watch(self, playback: Playback, now_s: float) -> list[CallEvent]:
        """Takes in what the bot did since the last time; returns it as events."""
        events: list[CallEvent] = []
        for stretch in playback.stretches[self._seen_stretches :]:
            events += self._tell_over(stretch.start_s, is_certain=True)
            events.append(self._on_stretch(stretch))
        self._seen_stretches = len(playback.stretches)
        self._follow_prompt(playback)
        for clearing in playback.clearings[self._seen_clearings :]:
            events.append(self._on_clearing(clearing))
        self._seen_clearings = len(playback.clearings)
        self._note_cut_in(now_s)
        return sorted([*events, *self._tell_over(now_s)], key=lambda event: event.at_s)

    def _on_stretch(self, stretch: Stretch) -> CallEvent:
        if self.prompt_s is None or self._is_new_prompt(stretch):
            self.prompt_s = (stretch.start_s, stretch.end_s)
        self._current, self._is_told_over = stretch, False
        turn, start_s = self.last_turn, stretch.start_s
        if turn is None or turn.response_ms is not None or start_s < turn.speech_onset_s:
            return BotSpeaks(start_s)
        if start_s < turn.speech_end_s:
            turn.cut_in_s = start_s if turn.cut_in_s is None else turn.cut_in_s
            return BotSpeaks(start_s)
        turn.response_ms = (start_s - turn.speech_end_s) * 1000
        return BotSpeaks(start_s, turn.response_ms, turn.label)

    def _is_new_prompt(self, stretch: Stretch) -> bool:
        assert self.prompt_s is not None
        assert self._current is not None
        start_s, end_s = self.prompt_s
        turn = self.last_turn
        return (
            self._current.was_cleared
            or stretch.start_s - end_s >= self._listen_gap_s
            or (turn is not None and start_s < turn.speech_end_s <= stretch.start_s)
        )

    def _follow_prompt(self, playback: Playback) -> None:
        until_s = playback.audible_until_s
        if self.prompt_s is None or until_s is None:
            return
        turn, prompt = self.last_turn, (self.prompt_s[0], until_s)
        self.prompt_s = prompt
        if turn is None:
            return
        if turn.bot_prompt_before_s is not None and turn.bot_prompt_before_s[0] == prompt[0]:
            turn.bot_prompt_before_s = prompt
        onset_s = turn.speech_onset_s
        turn.was_over_prompt = turn.was_over_prompt or any(
            stretch.start_s <= onset_s < stretch.end_s for stretch in playback.stretches[-3:]
        )

    def _on_clearing(self, clearing: Clearing) -> CallEvent:
        turn, until_s = self.last_turn, clearing.audible_until_s
        if turn is None or until_s is None or clearing.at_s < turn.speech_onset_s:
            return Cleared(clearing.at_s)
        if turn.response_ms is not None and turn.response_ms < 0:
            turn.response_ms = None  # the bot took back what it said into the turn
        if turn.barge_in_ms is None and turn.response_ms is None and turn.was_over_prompt:
            turn.barge_in_ms = max(0.0, until_s - turn.speech_onset_s) * 1000
            return Cleared(clearing.at_s, turn.barge_in_ms)
        return Cleared(clearing.at_s)

    def _note_cut_in(self, now_s: float) -> None:
        """A bot that began within the turn and still talks at its end has answered early."""
        turn, current = self.last_turn, self._current
        if turn is None or current is None or turn.response_ms is not None:
            return
        began_within = turn.speech_onset_s < current.start_s < turn.speech_end_s
        talked_on = current.end_s >= turn.speech_end_s and not current.was_cleared
        if began_within and talked_on and now_s >= turn.speech_end_s:
            turn.response_ms = (current.start_s - turn.speech_end_s) * 1000

    def _tell_over(self, now_s: float, *, is_certain: bool = False) -> list[CallEvent]:
        current = self._current
        if self._is_told_over or current is None:
            return []
        if not is_certain and not current.is_over(now_s):
            return []
        self._is_told_over = True
        return [BotStops(current.end_s, current.was_cleared)]
