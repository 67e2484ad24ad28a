"""Runs scenarios over the wire: a caller who speaks, the real engine, the real server."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from voicebot.audio.files import read_mulaw
from voicebot.config import Settings, load_settings
from voicebot.dialogue.plan import Plan
from voicebot.errors import VoicebotError
from voicebot.events import CallerTurn, Interpretation, Listen, Play, Transfer
from voicebot.server.placing import (
    CALLER_VOICE,
    CALLER_WORDS_PER_MINUTE,
    Report,
    place,
)
from voicebot.server.scenario_runs import Mismatch, Run, judge
from voicebot.server.scenarios import Scenario, Suite, Turn
from voicebot.server.typed_call import Answer, stand_in
from voicebot.speech.telephone import to_telephone
from voicebot.speech.verbalise import join
from voicebot.speech.voices import EspeakVoice
from voicebot.telephony.call_events import CallerSpeaks, CallEvent, KeySent
from voicebot.telephony.simulator import CallerTurn as ScriptedTurn

ATTEMPTS = 3
"""Calls for a scenario in which only times were missed."""
_SILENCE = b"\xff" * 4000
"""Half a second: the caller then waits until the bot has spoken again."""


async def run_spoken(
    scenarios: Sequence[tuple[Suite, Scenario]], done: Callable[[Run], None]
) -> None:
    """One call after the other; `done` is told each.

    Where nothing is wrong but that an answer came late, the call is placed again: other programs
    may have kept this machine busy, and how soon it answers is a matter of real time.
    """
    settings = load_settings()
    for suite, scenario in scenarios:
        for attempt in range(1, ATTEMPTS + 1):
            run = await _run(settings, suite.plan, scenario)
            if not _is_only_late(run) or attempt == ATTEMPTS:
                break
        run.mismatches = [_explained(one, attempt) for one in run.mismatches]
        done(run)


def _is_only_late(run: Run) -> bool:
    late = [one.what == "within_ms" for one in run.mismatches]
    return bool(late) and all(late) and not run.problem


def _explained(mismatch: Mismatch, calls: int) -> Mismatch:
    """A late answer with how often it came late, and how busy this machine is."""
    if mismatch.what != "within_ms":
        return mismatch
    cores = os.cpu_count() or 1
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    busy = f"; this machine is busy: load {load:.1f} on {cores} cores" if load > cores else ""
    times = f" in the last of {calls} calls" if calls > 1 else ""
    return replace(mismatch, came=f"{mismatch.came}{times}{busy}")


async def _run(settings: Settings, plan: Plan, scenario: Scenario) -> Run:
    run = Run(scenario, is_spoken=True)
    began_s = time.perf_counter()
    spoken = [turn for turn in scenario.turns if turn.kind not in {"", "hangup"}]
    watch = _Watch([len(turn.value) if turn.kind == "keys" else 1 for turn in spoken], plan)
    try:
        with tempfile.TemporaryDirectory() as folder:
            store = settings.store.model_copy(
                update={
                    "journal": Path(folder) / "journal.sqlite",
                    "recordings_dir": Path(folder) / "recordings",
                }
            )
            report = await place(
                settings.model_copy(update={"store": store}),
                plan=plan.path,
                turns=[_caller_turn(turn, scenario) for turn in spoken],
                on_event=watch.wire,
                tap=watch.inside,
                now=scenario.now,
                stand_ins={name: stand_in(one) for name, one in scenario.services.items()},
            )
    except VoicebotError as error:
        run.problem = " ".join(str(error).split())
        return run
    run.answers = _per_turn(scenario, watch.answers(report))
    for index, (turn, answer) in enumerate(zip(scenario.turns, run.answers, strict=True)):
        run.mismatches += judge(index, turn, answer)
    if not report.is_answered:
        run.problem = f"the call broke: {report.end_reason} {'; '.join(report.errors)}".strip()
    run.seconds = time.perf_counter() - began_s
    return run


def _caller_turn(turn: Turn, scenario: Scenario) -> ScriptedTurn:
    over_s = None if turn.over_ms is None else turn.over_ms / 1000
    if turn.kind == "keys":
        return ScriptedTurn(keys=turn.value, over_s=over_s, label=turn.title)
    if turn.kind == "silence":
        return ScriptedTurn(audio=_SILENCE, label=turn.title)
    if turn.kind == "audio":
        audio = read_mulaw(scenario.path.parent / turn.value)
    else:
        voice = EspeakVoice(scenario.voice or CALLER_VOICE, CALLER_WORDS_PER_MINUTE)
        audio = to_telephone(turn.value, voice.render(turn.value)).mulaw
    return ScriptedTurn(audio=audio, over_s=over_s, label=turn.title)


def _per_turn(scenario: Scenario, answers: list[Answer]) -> list[Answer]:
    """Answer by turn of the scenario: one without input, and a hang-up, add none."""
    found: list[Answer] = []
    at = 0
    for turn in scenario.turns:
        at += turn.kind not in {"", "hangup"}
        found.append(answers[min(at, len(answers) - 1)])
    return found


@dataclass
class _Watch:
    """Sorts what happens inside by the caller's turns; both come in the order of time."""

    sizes: list[int]  # keys (or one utterance) of each turn
    plan: Plan
    parts: list[Answer] = field(default_factory=lambda: [Answer()])
    _slots: dict[str, str] = field(default_factory=dict)
    _begun: int = 0

    def wire(self, event: CallEvent) -> None:
        """The caller begins another turn."""
        if isinstance(event, CallerSpeaks | KeySent):
            self._begun += 1
            if self._begun > sum(self.sizes[: len(self.parts) - 1]):
                self.parts.append(Answer(slots=dict(self._slots)))

    def inside(self, event: object) -> None:
        """What the server does."""
        answer = self.parts[-1]
        match event:
            case Play():
                text = join(event.parts, event.language or self.plan.language)
                answer.said += [text] if text else []
            case CallerTurn(hypothesis=said):
                answer.heard = f"{answer.heard or ''} {said.text}".strip()
            case Listen():
                answer.state = event.expectation.state
            case Interpretation():
                answer.intent = event.intent
                self._slots |= {slot.name: slot.value for slot in event.slots}
                answer.slots = dict(self._slots)
            case Transfer():
                answer.transfer = event.destination or event.queue

    def answers(self, report: Report) -> list[Answer]:
        """All of them, with what is known when the call is over."""
        times: Mapping[int, float | None] = {}
        if report.record is not None:
            times = dict(enumerate((turn.response_ms for turn in report.record.turns), 1))
        for number, answer in enumerate(self.parts):
            answer.response_ms = times.get(number)
            answer.is_goal = report.is_goal
        last = self.parts[-1]
        last.slots = dict(report.slots)
        last.outcome = report.outcome
        if report.outcome is not None and last.outcome != "hung_up":
            last.state = None
        return self.parts
