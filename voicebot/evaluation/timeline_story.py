"""The lines of a call's timeline put in order for drawing: who spoke when, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from voicebot.events import SAMPLE_RATE_HZ

Line = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Span:
    """Something that lasts, in seconds; `text` is what was said, `was_cut` ended by barge-in."""

    begin_s: float
    end_s: float
    text: str = ""
    was_cut: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happens at a moment; `kind` is the event's name."""

    at_s: float
    kind: str
    text: str = ""


@dataclass(slots=True)
class Story:
    """One call. `responses`: from the end of the caller's speech to the bot's first audio."""

    duration_s: float = 0.0
    outcome: str = ""
    speech: list[Span] = field(default_factory=list)
    prompts: list[Span] = field(default_factory=list)
    responses: list[Span] = field(default_factory=list)
    partials: list[Mark] = field(default_factory=list)
    finals: list[Mark] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)


def tell(lines: Sequence[Line]) -> Story:
    """Any lines give a story; what a line lacks is left out. Ends where the last line is."""
    teller = _Teller()
    for line in sorted(lines, key=lambda line: line["at"]):  # stable: ties stay as written
        teller.take(line["event"], line["at"] / SAMPLE_RATE_HZ, line)
    return teller.finish()


class _Teller:
    def __init__(self) -> None:
        self._story = Story()
        self._speech_since: float | None = None
        self._prompt_since: float | None = None
        self._heard_until: float | None = None  # a queued prompt follows without a new start
        self._prompt_text = ""
        self._unanswered: float | None = None  # end of the caller's turn
        self._said = ""  # what the last partial of this utterance said

    def take(self, event: str, at_s: float, line: Line) -> None:
        self._story.duration_s = max(self._story.duration_s, at_s)
        handler = getattr(self, f"_on_{event}", None)
        if handler is not None:
            handler(at_s, line)

    def finish(self) -> Story:
        end_s = self._story.duration_s
        if self._speech_since is not None:
            self._on_speech_ended(end_s, {})
        if self._prompt_since is not None:
            self._end_prompt(end_s, self._prompt_text, was_cut=True)
        if not any(mark.kind == "caller_turn" for mark in self._story.finals):
            return self._story
        # A final hypothesis is repeated by the turn that it ended in.
        self._story.finals = [m for m in self._story.finals if m.kind == "caller_turn"]
        return self._story

    # ------------------------------------------------------------ the caller

    def _on_speech_started(self, at_s: float, line: Line) -> None:
        self._speech_since = at_s if self._speech_since is None else self._speech_since

    def _on_speech_ended(self, at_s: float, line: Line) -> None:
        if self._speech_since is not None:
            self._story.speech.append(Span(self._speech_since, at_s))
        self._speech_since = None

    def _on_hypothesis(self, at_s: float, line: Line) -> None:
        text = str(line.get("text", ""))
        if line.get("is_final"):
            self._said = ""
            if text:
                self._story.finals.append(Mark(at_s, "hypothesis", text))
        elif text and text != self._said:
            self._story.partials.append(Mark(at_s, "partial", _news(self._said, text)))
            self._said = text

    def _on_turn_ended(self, at_s: float, line: Line) -> None:
        speech_end = line.get("speech_end_at")
        self._unanswered = speech_end / SAMPLE_RATE_HZ if isinstance(speech_end, int) else None
        if not any(m.kind == "turn_ended" and m.at_s == at_s for m in self._story.marks):
            self._mark(at_s, "turn_ended", str(line.get("reason", "")).removesuffix("timeout"))

    def _on_caller_turn(self, at_s: float, line: Line) -> None:
        ended, heard = line.get("ended"), line.get("hypothesis")
        if not isinstance(ended, Mapping) or not isinstance(heard, Mapping):
            return
        self._said = ""
        self._on_turn_ended(at_s, ended)
        start = ended.get("speech_start_at")
        text = str(heard.get("text", "")) or "(nothing recognised)"
        confidence = heard.get("confidence")
        if isinstance(confidence, float):
            text += f"  {confidence:.2f}"
        begin = start / SAMPLE_RATE_HZ if isinstance(start, int) else at_s
        self._story.finals.append(Mark(begin, "caller_turn", text))

    def _on_interpretation(self, at_s: float, line: Line) -> None:
        slots = line.get("slots")
        parts = [str(line["intent"])] if line.get("intent") else []
        for slot in slots if isinstance(slots, list) else []:
            if isinstance(slot, Mapping):
                parts.append(f"{slot.get('name')}={slot.get('value')}")
        self._mark(at_s, "interpretation", " ".join(parts) or "nomatch")

    def _on_digit(self, at_s: float, line: Line) -> None:
        self._mark(at_s, "digit", str(line.get("key", "?")))

    def _on_keys_entered(self, at_s: float, line: Line) -> None:
        self._unanswered = at_s
        self._mark(at_s, "keys_entered", str(line.get("keys", "")))

    def _on_no_input(self, at_s: float, line: Line) -> None:
        self._mark(at_s, "no_input", "no input")

    def _on_barge_in(self, at_s: float, line: Line) -> None:
        self._mark(at_s, "barge_in", str(line.get("kind", "")))

    # ------------------------------------------------------------ the bot

    def _on_play(self, at_s: float, line: Line) -> None:
        parts = line.get("parts")
        texts = [
            str(part.get("value", "")) if isinstance(part, Mapping) else str(part)
            for part in (parts if isinstance(parts, list) else [])
        ]
        self._prompt_text = f"{self._prompt_text} {' '.join(texts)}".strip()

    def _on_prompt_started(self, at_s: float, line: Line) -> None:
        if self._prompt_since is not None:
            return
        self._prompt_since = at_s
        self._prompt_text = str(line.get("text", "")) or self._prompt_text
        if self._unanswered is not None and self._unanswered < at_s:
            self._story.responses.append(Span(self._unanswered, at_s))
        self._unanswered = None

    def _on_prompt_heard(self, at_s: float, line: Line) -> None:
        was_cut = bool(line.get("was_cut"))
        if self._prompt_since is None:
            self._prompt_since = self._heard_until
        self._end_prompt(at_s, str(line.get("text", "")), was_cut=was_cut)
        self._heard_until = None if was_cut else at_s

    def _on_prompt_ended(self, at_s: float, line: Line) -> None:
        self._end_prompt(at_s, self._prompt_text, was_cut=bool(line.get("was_cut")))
        self._heard_until = None

    def _end_prompt(self, at_s: float, text: str, *, was_cut: bool) -> None:
        if self._prompt_since is not None and at_s > self._prompt_since:
            self._story.prompts.append(Span(self._prompt_since, at_s, text, was_cut))
        self._prompt_since = None
        self._prompt_text = ""

    # ------------------------------------------------------------ the call

    def _on_transfer(self, at_s: float, line: Line) -> None:
        self._mark(at_s, "transfer", "transfer")

    def _on_service_reply(self, at_s: float, line: Line) -> None:
        self._mark(at_s, "service", "service failed" if line.get("error") else "service")

    def _on_call_ended(self, at_s: float, line: Line) -> None:
        self._story.outcome = str(line.get("outcome") or line.get("reason") or "")
        self._mark(at_s, "call_ended", "call ended")

    def _mark(self, at_s: float, kind: str, text: str) -> None:
        self._story.marks.append(Mark(at_s, kind, text))


def _news(before: str, after: str) -> str:
    """The words of `after` from the first that differs; the last one where words went away."""
    old, new = before.split(), after.split()
    same = 0
    while same < min(len(old), len(new)) and old[same] == new[same]:
        same += 1
    return " ".join(new[same:] or new[-1:])
