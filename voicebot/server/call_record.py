"""What one call leaves behind: its turns for the journal, its times for the metrics.

Pure: it sees the call's events in order and gives a TurnRecord whenever a turn is complete,
which is when the next one begins or the call ends. Turn 0 is the greeting; turn n is what
the caller said and what the bot answered.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from voicebot.asr.record_text import RecordText
from voicebot.events import (
    SAMPLE_RATE_HZ,
    Alternative,
    BargeIn,
    CallerTurn,
    Interpretation,
    KeysEntered,
    Listen,
    NoInput,
    Play,
    PromptHeard,
    PromptStarted,
    Say,
    SlotValue,
)

AS_RECOGNISED = RecordText("spoken")


@dataclass(slots=True)
class Turn:
    """One exchange; times are sample positions on the inbound clock, None where none apply."""

    number: int
    state: str = ""
    caller_text: str = ""
    spoken_text: str = ""  # the words of caller_text as they were recognised
    confidence: float = 0.0
    nbest: tuple[Alternative, ...] = ()
    intent: str | None = None
    slots: tuple[SlotValue, ...] = ()
    by: str = ""  # speech, dtmf, noinput; "" for the greeting
    barge_in_ms: float | None = None  # onset to `clear`, where the caller cut a prompt
    onset_at: int | None = None
    speech_end_at: int | None = None
    ended_at: int | None = None
    end_reason: str = ""
    recognition_ms: float | None = None  # from asking for the final to having it
    answered_at: int | None = None  # first sample of the bot's answer
    bot_text: str = ""
    heard: list[str] = field(default_factory=list)
    was_cut: bool = False  # the caller interrupted this answer

    @property
    def response_ms(self) -> float | None:
        """From the end of the caller's speech (or last key) to the bot's first sample."""
        since = self.speech_end_at if self.speech_end_at is not None else self.ended_at
        if self.answered_at is None or since is None or self.by in {"", "noinput"}:
            return None
        return (self.answered_at - since) * 1000 / SAMPLE_RATE_HZ


class CallRecord:
    """Composes turns from events."""

    def __init__(
        self,
        text_of: Callable[[tuple[str | Say, ...], str], str],
        shown: RecordText = AS_RECOGNISED,
    ) -> None:
        """`text_of` says how a prompt's parts are spoken; `shown` how what the caller said is
        kept, in the language that the dialogue listens in."""
        self._text_of = text_of
        self._shown = shown
        self._language = "en"
        self._turn = Turn(0)
        self._barge_in: BargeIn | None = None
        self._cut_ms: float | None = None
        self._recognition_ms: float | None = None
        self._state = ""
        self.slots: dict[str, str] = {}

    def recognised(self, seconds: float) -> None:
        """A final, speculative or not, was computed; the latest is that of the next turn."""
        self._recognition_ms = seconds * 1000

    def observe(self, event: object) -> Turn | None:
        """Take an event; returns the turn that it completes, if any."""
        match event:
            case BargeIn():
                self._barge_in = event
            case CallerTurn():
                return self._caller_spoke(event)
            case KeysEntered():
                return self._begin(
                    by="dtmf", caller_text=event.keys, confidence=1.0, ended_at=event.at
                )
            case NoInput():
                return self._begin(by="noinput", ended_at=event.at)
            case Interpretation():
                self._understood(event)
            case Play():
                text = self._text_of(event.parts, event.language)
                self._turn.bot_text = f"{self._turn.bot_text} {text}".strip()
            case PromptStarted():
                if self._turn.answered_at is None:
                    self._turn.answered_at = event.at
            case PromptHeard():
                self._turn.heard.append(event.text)
                self._turn.was_cut = self._turn.was_cut or event.was_cut
                if event.was_cut and self._barge_in is not None:
                    self._cut_ms = (event.at - self._barge_in.at) * 1000 / SAMPLE_RATE_HZ
            case Listen():
                self._state = event.expectation.state
                self._language = event.expectation.language
        return None

    @property
    def number(self) -> int:
        """Of the turn that is open."""
        return self._turn.number

    @property
    def state(self) -> str:
        """Where the dialogue waits, or waited last."""
        return self._state

    def close(self) -> Turn:
        """The call is over: the turn that was open."""
        return self._turn

    def _begin(self, **values: object) -> Turn:
        done = self._turn
        self._turn = Turn(done.number + 1, state=self._state, **values)  # type: ignore[arg-type]
        self._turn.barge_in_ms, self._cut_ms, self._barge_in = self._cut_ms, None, None
        return done

    def _caller_spoke(self, event: CallerTurn) -> Turn:
        said, ended = event.hypothesis, event.ended
        shown, language = self._shown, self._language
        return self._begin(
            by="speech",
            caller_text=shown(said.text, language),
            spoken_text=shown.spoken(said.text, language),
            confidence=said.confidence,
            nbest=tuple(replace(other, text=shown(other.text, language)) for other in said.nbest),
            speech_end_at=ended.speech_end_at,
            ended_at=ended.at,
            end_reason=ended.reason.value,
            recognition_ms=self._recognition_ms,
            onset_at=ended.speech_start_at,
        )

    def _understood(self, event: Interpretation) -> None:
        self._turn.intent = event.intent
        self._turn.slots = event.slots
        self.slots |= {slot.name: slot.value for slot in event.slots}
