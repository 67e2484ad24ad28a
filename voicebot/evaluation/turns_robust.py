"""Disturbances over prompts: is the floor taken for nothing, does a call get stuck, does it raise?

Each disturbance is met in calls of its own, every other one on a speakerphone with an echo. Three
prompts are played while it lasts; then a keyword is asked for and said, and the next time nothing
is said. As in any call the caller answers what was asked (pauses may have delayed the question),
and the dialogue says nothing while the caller has the floor. A call is stuck when the dialogue is
told nothing (neither a turn nor that there was none) within `DECIDES_S` after the keyword, or as
long after the time of `Timeouts.noinput_ms`, or when a question comes more than `SLACK_S` late.

Recorded: kitchen noise, two callers at once (held-out sentences, the second 6 dB below). Made:
humming, music, mains hum (turns_noise), and what a line does to the signal.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from voicebot.audio import mulaw
from voicebot.audio.echo_path import EchoPath
from voicebot.audio.pcm import to_float
from voicebot.engine.runner import Runner
from voicebot.evaluation import turns_noise
from voicebot.evaluation.turns_corpus import Clip, Corpus, levelled
from voicebot.evaluation.turns_expectations import Question, keyword, questions, short_prompt
from voicebot.evaluation.turns_lines import LINES, PACKETS, FaultyTelephone, FlakyRunner
from voicebot.evaluation.turns_trace import ROUND_TRIP, Ears, TracedCall
from voicebot.evaluation.turns_track import add, line_noise, say, seconds, whole_chunks
from voicebot.evaluation.virtual_call import BotTurn, Noted, VirtualCalls
from voicebot.events import (
    SAMPLE_RATE_HZ,
    BargeIn,
    BargeInCandidate,
    CallerTurn,
    KeysEntered,
    NoInput,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from voicebot.turns.listener import Recognise

    Signal = NDArray[np.float32]

PROMPTS, QUICK_PROMPTS, PAUSE_S = 3, 2, 2.0
BEGIN_S = 1.0
CLEAR_S = 1.5
"""The disturbance ends so long before the keyword is asked for."""
DECIDES_S = 5.0
ANSWERS_S = 0.6
"""From the end of the question to the keyword."""
SLACK_S = 12.0
"""By which pauses and what took the floor may delay a call."""
ERL_DB, DELAY_MS = 14.0, 120.0
NOISES = {
    "kitchen noise, -40 dBFS": -40.0,
    "kitchen noise, -28 dBFS": -28.0,
    "humming, -28 dBFS": -28.0,
    "music on hold, -34 dBFS": -34.0,
    "music on hold, -24 dBFS": -24.0,
    "mains hum, -34 dBFS": -34.0,
}
TALKERS = "two callers at once"
ROWS = (*LINES, *NOISES, *PACKETS, TALKERS)


@dataclass(slots=True)
class Row:
    """What one disturbance did. `false_barge_ins` of two callers at once are none: both talk."""

    name: str
    bot_s: float = 0.0
    barge_ins: int = 0
    pauses: int = 0
    calls: int = 0
    stuck: int = 0
    understood: int = 0  # calls whose keyword was recognised as something
    error: str = ""
    heard: list[str] = field(default_factory=list)  # what took the floor

    @property
    def is_speech(self) -> bool:
        """Whether the bot is to yield to it."""
        return self.name == TALKERS

    def as_dict(self) -> dict[str, object]:
        """For JSON; rates per minute of bot speech."""
        minutes = self.bot_s / 60
        return {
            "name": self.name,
            "bot_minutes": round(minutes, 2),
            "barge_ins_per_min": round(self.barge_ins / minutes, 2) if minutes else None,
            "pauses_per_min": round(self.pauses / minutes, 2) if minutes else None,
            "calls": self.calls,
            "stuck": self.stuck,
            "understood": self.understood,
            "error": self.error,
            "heard": self.heard,
        }


def measure(
    runner: Runner,
    slots: int,
    corpus: Corpus,
    *,
    seed: int,
    quick: bool,
    tell: Callable[[str], None],
) -> list[Row]:
    """Every disturbance, in four calls each, three prompts long; `quick`: two and two.

    All at once; where that raises, one by one, to know which it was.
    """
    asked = questions(corpus)
    each = max(1, min(slots // len(ROWS), 2 if quick else 4))
    prompts = QUICK_PROMPTS if quick else PROMPTS

    def run(names: Sequence[str]) -> list[Row]:
        return _run(names, each, prompts, runner, corpus, asked, seed, tell)

    try:
        return run(ROWS)
    except Exception:  # whatever it is, it is what is looked for
        rows: list[Row] = []
        for name in ROWS:
            try:
                rows += run([name])
            except Exception as error:
                rows.append(Row(name, error=f"{type(error).__name__}: {error}"))
        return rows


@dataclass(frozen=True, slots=True)
class _Plan:
    turns: tuple[BotTurn, ...]
    until: int  # the disturbance
    clip: Clip  # the keyword
    samples: int


class _Call(TracedCall):
    """One whose caller answers the question before the last."""

    def __init__(self, phone: FaultyTelephone, plan: _Plan, track: Signal) -> None:
        """`track`: what `phone` hears; the keyword is laid on it when it is time."""
        super().__init__(phone, plan.turns)
        self._plan, self._track = plan, track
        self.onset: int | None = None
        """Of the keyword, once it was asked for."""
        self._busy_until = 0

    @property
    def is_silent(self) -> bool:
        """As VirtualCall.is_silent; but nothing is begun while the caller has the floor."""
        return super().is_silent and not self.is_awaited and self.now >= self._busy_until

    @property
    def is_awaited(self) -> bool:
        """Whether the caller took the floor and nothing has come of it yet."""
        decided = (BargeIn, CallerTurn, NoInput, KeysEntered)
        last = next((n.event for n in reversed(self.notes) if isinstance(n.event, decided)), None)
        return isinstance(last, BargeIn)

    @property
    def now(self) -> int:
        """Samples of the call that have passed."""
        return len(self.phone.sent)

    def speak(self, now: int) -> list[Recognise]:
        """As VirtualCall.speak; and the caller answers."""
        asked = super().speak(now)
        is_question = len(self.begun) == len(self._plan.turns) - 1
        if is_question and self.onset is None and super().is_silent:
            clip = self._plan.clip
            self.onset = max(now, now + seconds(ANSWERS_S) - clip.onset) + clip.onset
            say(self._track, self.onset, clip)
            self._busy_until = self.onset + clip.end - clip.onset + seconds(DECIDES_S)
        return asked


def _run(
    names: Sequence[str],
    each: int,
    prompts: int,
    runner: Runner,
    corpus: Corpus,
    asked: dict[str, Question],
    seed: int,
    tell: Callable[[str], None],
) -> list[Row]:
    rows = [Row(name, calls=each) for name in names]
    plans: list[_Plan] = []
    makers: list[Callable[[int], _Call]] = []
    for name in names:
        rng = np.random.default_rng([seed, ROWS.index(name)])
        chosen = [corpus.keywords[int(i)] for i in rng.permutation(len(corpus.keywords))]
        for number in range(each):
            clip = chosen[number % len(chosen)]
            plan = _plan(clip, prompts, asked, rng)
            plans.append(plan)
            makers.append(partial(_call, name, number, plan, corpus, asked, rng))
    samples = whole_chunks(max(plan.samples for plan in plans))
    calls = [make(samples) for make in makers]
    of_slot = [row for row in rows for _ in range(each)]
    faults = {slot: row.name for slot, row in enumerate(of_slot) if row.name in PACKETS}
    ears = Ears(runner, calls)

    def progress(second: int) -> None:
        if second % 10 == 0:
            tell(f"disturbances, {second} of {samples // SAMPLE_RATE_HZ} s")

    flaky = FlakyRunner(runner, faults, seed)
    VirtualCalls(flaky, calls, recognise=ears.recognise).run(samples, progress)
    for slot, (row, call, plan) in enumerate(zip(of_slot, calls, plans, strict=True)):
        heard = [h.text for h in ears.heard if h.slot == slot and h.end_at < plan.until]
        _count(row, call, plan, heard)
    return rows


def _call(
    name: str,
    number: int,
    plan: _Plan,
    corpus: Corpus,
    asked: dict[str, Question],
    rng: np.random.Generator,
    samples: int,
) -> _Call:
    is_silent = name == "digital silence"
    track = np.zeros(samples, np.float32) if is_silent else line_noise(samples, None, rng)
    _disturb(track, name, plan, corpus, rng)
    path, voice = None, None
    if number % 2 == 1:  # a speakerphone
        path = EchoPath(erl_db=ERL_DB, delay_ms=DELAY_MS, seed=number)
        voice = to_float(mulaw.decode(asked["open"].prompt.mulaw))
    bend = LINES.get(name, LINES["quiet line"])
    return _Call(FaultyTelephone(track, bend, path, voice), plan, track)


def _plan(clip: Clip, prompts: int, asked: dict[str, Question], rng: np.random.Generator) -> _Plan:
    turns = []
    at = seconds(0.5)
    names = rng.permutation(["open", "menu", "order", "digits"])[:prompts]
    for name in names:
        question = asked[str(name)]
        turns.append(BotTurn(at, (question.prompt,), question.expectation))
        at += ROUND_TRIP + len(question.prompt.mulaw) + seconds(PAUSE_S)
    until = at
    at += seconds(CLEAR_S)
    prompt = short_prompt("Which one?")
    turns.append(BotTurn(at, (prompt,), keyword()))
    at += ROUND_TRIP + len(prompt.mulaw) + seconds(ANSWERS_S) + clip.end + seconds(DECIDES_S)
    turns.append(BotTurn(at, (prompt,), keyword()))
    noinput = turns[-1].expectation.timeouts.noinput_ms / 1000
    samples = at + ROUND_TRIP + len(prompt.mulaw) + seconds(noinput + DECIDES_S + SLACK_S)
    return _Plan(tuple(turns), until, clip, samples)


def _disturb(
    track: Signal, name: str, plan: _Plan, corpus: Corpus, rng: np.random.Generator
) -> None:
    begin, length_s = seconds(BEGIN_S), plan.until / SAMPLE_RATE_HZ - BEGIN_S
    if name == TALKERS:
        for turn in plan.turns[:-2]:
            at = turn.at + ROUND_TRIP + seconds(rng.uniform(1.0, 3.0))
            for gain in (1.0, 0.5):
                clip = corpus.sentences[int(rng.integers(len(corpus.sentences)))]
                samples = clip.samples[: clip.onset + seconds(4.0)] * np.float32(gain)
                add(track, at - clip.onset, samples, clip.onset // 2, clip.onset // 2)
        return
    if name not in NOISES:
        return
    seed = int(rng.integers(1 << 31))
    if name.startswith("kitchen"):
        start = int(rng.integers(max(1, len(corpus.kitchen) - seconds(length_s))))
        sound = np.resize(corpus.kitchen[start:], seconds(length_s))
    elif name.startswith("humming"):
        sound = turns_noise.humming(length_s, seed)
    elif name.startswith("music"):
        sound = turns_noise.music(length_s, seed)
    else:
        sound = turns_noise.mains_hum(length_s)
    add(track, begin, levelled(sound, NOISES[name]), seconds(0.1), seconds(0.1))


def _count(row: Row, call: _Call, plan: _Plan, heard: list[str]) -> None:
    row.bot_s += call.telephone.bot_seconds
    meanwhile = [note.event for note in call.notes if note.now < plan.until]
    taken = sum(isinstance(event, BargeIn) for event in meanwhile)
    row.barge_ins += taken
    row.pauses += sum(isinstance(event, BargeInCandidate) for event in meanwhile)
    if taken:
        row.heard += [text for text in heard if text]
    row.understood += any(
        isinstance(event, CallerTurn) and event.hypothesis.text for event in _answers(call)
    )
    is_asked_twice = len(call.begun) == len(plan.turns)
    row.stuck += not (is_asked_twice and _answers(call) and _decided(call, call.begun[-1]))


def _answers(call: _Call) -> list[object]:
    """What the dialogue was told of the keyword."""
    if call.onset is None:
        return []
    after = call.begun[-1] if call.begun[-1] > call.onset else call.now
    return [note.event for note in _decided(call, call.onset) if note.now <= after]


def _decided(call: _Call, since: int) -> list[Noted]:
    return [
        note
        for note in call.notes
        if note.now > since and isinstance(note.event, CallerTurn | NoInput)
    ]
