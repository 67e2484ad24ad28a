"""Callers who talk over prompts: does the bot yield to those who want the floor, and only to them?

One run with the same settings for all. In every call long prompts of the product's own voice are
played one after the other, and over each the caller says one thing: what takes the floor
(sentences, orders, keywords that the dialogue knows as commands or does not, digits of the number
asked for, "yes" and "no" to a yes/no question) or what does not (nods, "um", a click before a
word). Every other call is made on a speakerphone with an echo (ERL 20 or 10 dB, 60 to 300 ms
late), the others on a handset; the noise of the line is shaped after real ones. Times count from
the caller's onset as it gets to us; what we send is heard `ONE_WAY` later.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from voicebot.audio import mulaw
from voicebot.audio.echo_path import EchoPath
from voicebot.audio.pcm import to_float
from voicebot.evaluation.turns_corpus import Clip, Corpus
from voicebot.evaluation.turns_expectations import Question, questions
from voicebot.evaluation.turns_trace import (
    ONE_WAY,
    ROUND_TRIP,
    Ears,
    Recognised,
    TracedCall,
    TracedTelephone,
    heard_pieces,
    words_lost,
    words_until,
)
from voicebot.evaluation.turns_track import line_noise, say, seconds, whole_chunks
from voicebot.evaluation.virtual_call import BotTurn, VirtualCalls
from voicebot.events import (
    SAMPLE_RATE_HZ,
    BargeIn,
    BargeInCandidate,
    BargeInRejected,
    SpokenPrompt,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voicebot.engine.runner import Runner

FIRST_S = 0.5
ONSET_S = (1.0, 3.5)
"""After the prompt's first sample."""
AFTER_FLOOR_S, AFTER_NOD_S, AFTER_CALLER_S = 2.0, 4.0, 3.0
EARLY_S = 0.2
"""A candidate so long before the onset by energy heard the breath before the word."""
ECHOES = ((20.0, 60.0), (10.0, 120.0), (20.0, 300.0), (10.0, 200.0))  # ERL in dB, delay in ms
QUESTION_OF = {
    "sentence": ("open",),
    "keyword": ("open", "commands"),
    "order": ("order",),
    "digit": ("digits",),
    "answer": ("yes_no",),
}
FLOOR_KINDS = tuple(QUESTION_OF)
NOD_QUESTIONS = ("open", "menu", "digits", "order", "commands")


@dataclass(frozen=True, slots=True)
class Trial:
    """One prompt and what the caller says over it: speech in [onset, end) of the call."""

    clip: Clip
    question: Question
    at: int
    onset: int
    end: int
    until: int  # when the next one may begin
    is_speakerphone: bool

    @property
    def wants_floor(self) -> bool:
        """Whether the bot is to yield."""
        return self.clip.kind in FLOOR_KINDS


@dataclass(slots=True)
class Outcome:
    """What became of a trial; times in ms from the caller's onset."""

    trial: Trial
    is_spoiled: bool = False  # the echo alone had raised a candidate before
    candidate_ms: float | None = None
    took_floor: bool = False
    yield_ms: float | None = None  # until the last sample of the bot at the caller's ear
    words_off: int | None = None  # recorded as heard minus really heard
    is_finished: bool = False  # the prompt was heard to its end
    lost_words: int = 0
    delay_ms: float | None = None  # by which the end of the prompt came later
    verdicts: list[str] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, object]:
        """For the list of failures."""
        clip = self.trial.clip
        return {
            "kind": clip.kind,
            "text": clip.text,
            "speaker": clip.speaker,
            "phone": clip.phone,
            "synthetic": clip.is_synthetic,
            "question": self.trial.question.name,
            "speakerphone_echo": self.trial.is_speakerphone,
            "speech_ms": round((clip.end - clip.onset) * 1000 / SAMPLE_RATE_HZ),
            "candidate_ms": self.candidate_ms,
            "took_floor": self.took_floor,
            "yield_ms": self.yield_ms,
            "verdicts": self.verdicts,
            "heard": self.heard,
        }


def trials_of(corpus: Corpus, rng: np.random.Generator, *, quick: bool) -> list[Clip]:
    """What will be said, in a random order; `quick`: a fifth of it."""
    counts = {"sentence": 110, "keyword": 100, "order": 40, "digit": 36, "answer": 24}
    digits = [
        Clip("digit", digit, speaker, "made", takes[0], 0, len(takes[0]))
        for speaker, of in corpus.digits.items()
        for digit, takes in of.items()
    ]
    pools = {
        "sentence": corpus.sentences,
        "keyword": corpus.keywords,
        "order": corpus.orders,
        "digit": digits,
        "answer": corpus.answers,
    }
    clips: list[Clip] = []
    for kind, pool in pools.items():
        wanted = counts[kind] // (5 if quick else 1)
        clips += [pool[int(i)] for i in rng.permutation(len(pool))[:wanted]]
    others = [*corpus.nods, *corpus.fillers, *corpus.bursts]
    others = others if quick else [*others, *corpus.nods, *corpus.fillers]
    wanted = len(others) // (3 if quick else 1)
    clips += [others[int(i)] for i in rng.permutation(len(others))[:wanted]]
    return [clips[int(i)] for i in rng.permutation(len(clips))]


def measure(
    runner: Runner,
    slots: int,
    corpus: Corpus,
    *,
    seed: int,
    quick: bool,
    tell: Callable[[str], None],
) -> list[Outcome]:
    """All trials, as `slots` calls side by side."""
    rng = np.random.default_rng(seed)
    asked = questions(corpus)
    clips = trials_of(corpus, rng, quick=quick)
    shares = [clips[slot::slots] for slot in range(min(slots, len(clips)))]
    trials = [
        _trials(share, asked, rng, is_speakerphone=slot % 2 == 1)
        for slot, share in enumerate(shares)
    ]
    samples = whole_chunks(max(of[-1].until for of in trials))
    calls = [_call(of, samples, slot, corpus, rng) for slot, of in enumerate(trials)]
    ears = Ears(runner, calls, until_barge_in=True)

    def progress(second: int) -> None:
        if second % 10 == 0:
            tell(f"callers over prompts, {second} of {samples // SAMPLE_RATE_HZ} s")

    VirtualCalls(runner, calls, recognise=ears.recognise).run(samples, progress)
    return [
        judge(trial, call, number, [h for h in ears.heard if h.slot == slot])
        for slot, (call, of) in enumerate(zip(calls, trials, strict=True))
        for number, trial in enumerate(of)
        if number < len(call.begun)
    ]


def _trials(
    clips: Sequence[Clip],
    asked: dict[str, Question],
    rng: np.random.Generator,
    *,
    is_speakerphone: bool,
) -> list[Trial]:
    """One call's, one after the other."""
    trials: list[Trial] = []
    at = seconds(FIRST_S)
    for clip in clips:
        names = QUESTION_OF.get(clip.kind, NOD_QUESTIONS)
        question = asked[names[int(rng.integers(len(names)))]]
        prompt_end = at + ROUND_TRIP + len(question.prompt.mulaw)
        onset = at + ROUND_TRIP + seconds(rng.uniform(*ONSET_S))
        end = onset - clip.onset + clip.end
        after_s = AFTER_FLOOR_S if clip.kind in FLOOR_KINDS else AFTER_NOD_S
        until = max(prompt_end + seconds(after_s), end + seconds(AFTER_CALLER_S))
        trials.append(Trial(clip, question, at, onset, end, until, is_speakerphone))
        at = until
    return trials


def _call(
    trials: Sequence[Trial], samples: int, number: int, corpus: Corpus, rng: np.random.Generator
) -> TracedCall:
    line = corpus.line[number % len(corpus.line)] if corpus.line else None
    caller = line_noise(samples, line, rng)
    for trial in trials:
        say(caller, trial.onset, trial.clip)
    turns = [BotTurn(t.at, (t.question.prompt,), t.question.expectation) for t in trials]
    path, voice = None, None
    if trials[0].is_speakerphone:
        erl_db, delay_ms = ECHOES[number // 2 % len(ECHOES)]
        path = EchoPath(erl_db=erl_db, delay_ms=delay_ms, seed=number)
        voice = _sound(trials[0].question.prompt)
    return TracedCall(TracedTelephone(caller, path, voice), turns)


def _sound(prompt: SpokenPrompt) -> NDArray[np.float32]:
    return to_float(mulaw.decode(prompt.mulaw))


def judge(trial: Trial, call: TracedCall, number: int, heard: Sequence[Recognised]) -> Outcome:
    """The outcome of the call's turn `number`."""
    begin = call.begun[number]
    until = call.begun[number + 1] if number + 1 < len(call.begun) else trial.until
    early = trial.onset - seconds(EARLY_S)
    out = Outcome(trial)
    cut_at: int | None = None
    for note in call.notes:
        if not begin <= note.now < until:
            continue
        match note.event:
            case BargeInCandidate() | BargeIn() if note.now < early:
                out.is_spoiled = True
            case BargeInCandidate():
                out.candidate_ms = out.candidate_ms or _ms(note.now - trial.onset)
            case BargeInRejected(reason=reason):
                out.verdicts.append(f"{reason} after {_ms(note.now - trial.onset):.0f} ms")
            case BargeIn():
                out.took_floor, cut_at = True, note.now
                out.verdicts.append(f"floor after {_ms(note.now - trial.onset):.0f} ms")
    _hear(out, trial, begin, until, heard)
    _at_the_ear(out, trial, call, begin, until, cut_at)
    return out


def _hear(out: Outcome, trial: Trial, begin: int, until: int, heard: Sequence[Recognised]) -> None:
    for of in heard:
        if begin <= of.end_at < until:
            after = _ms(of.end_at - trial.onset)
            out.heard.append(f"{of.kind} {after:.0f} ms {of.confidence:.2f}: {of.text}")


def _at_the_ear(
    out: Outcome, trial: Trial, call: TracedCall, begin: int, until: int, cut_at: int | None
) -> None:
    prompt = trial.question.prompt
    pieces = heard_pieces(call.phone.log, prompt, begin, until)
    if not pieces:
        return
    last = pieces[-1]
    reached = last.place + last.end - last.begin
    out.is_finished = reached >= len(prompt.mulaw)
    out.lost_words = words_lost(prompt, pieces) if cut_at is None else 0
    if cut_at is None:
        out.delay_ms = _ms(last.end - pieces[0].begin - len(prompt.mulaw))
        return
    out.yield_ms = _ms(last.end - trial.onset - ONE_WAY)
    report = next((of for at, of in call.cutting.cuts if at == cut_at), None)
    if report is not None:
        out.words_off = len(report.text.split()) - words_until(prompt, reached)


def _ms(samples: int) -> float:
    return samples * 1000 / SAMPLE_RATE_HZ
