"""How soon words are known, and what they cost, while ten callers talk at once.

Calls of the product's own parts (voice activity, endpointer, scheduler, recogniser) in virtual
time, in steps of 20 ms. One recogniser answers them all, a batch after the other; a batch takes
as long as it really computes, in CPU time of this process, so that other programs on the machine
do not count. Voice activity has a core of its own, as in the server. As many calls run as let ten
callers talk at the same time on average: each waits for two seconds between utterances.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from voicebot.audio.echo_path import through_mulaw
from voicebot.engine.scheduler import Job, JobKind, Scheduler
from voicebot.evaluation.asr_corpus import Item
from voicebot.evaluation.asr_score import normalised
from voicebot.evaluation.echo_corpus import speech_onset
from voicebot.evaluation.turns_corpus import Clip
from voicebot.evaluation.turns_files import read_telephone
from voicebot.evaluation.turns_trace import TracedCall, TracedTelephone
from voicebot.evaluation.turns_track import line_noise, say, seconds, whole_chunks
from voicebot.evaluation.virtual_call import BotTurn, VirtualCall, VirtualCalls
from voicebot.events import (
    CHUNK_SAMPLES,
    SAMPLE_RATE_HZ,
    CallerTurn,
    Expectation,
    Hypothesis,
    SlotSpec,
    SlotType,
)

if TYPE_CHECKING:
    from voicebot.engine.runner import Runner
    from voicebot.turns.listener import Recognise

TALKING = 10
GAP_S = 2.0
"""Between the end of an utterance and the next: longer than the endpointer waits."""
FIRST_S = 1.0
UTTERANCES, QUICK_UTTERANCES = 6, 2
"""Of each caller."""
MARGIN = 3 * SAMPLE_RATE_HZ // 10
KINDS = {"partial": JobKind.PARTIAL, "speculative": JobKind.SPECULATIVE, "final": JobKind.FINAL}
OPEN = Expectation(state="evaluation", slots=(SlotSpec("request", SlotType.TEXT),), focus="request")


@dataclass(frozen=True, slots=True)
class Timing:
    """Of one utterance, in ms: `partial_ms` from the onset to the first words, `final_ms` from the
    end of speech until the words are known that become the turn's (an answer has heard all speech
    and says them, and no later one says anything else; that they are final is known with the
    turn), `turn_ms` until the turn is handed to the dialogue. None where that never came, or came
    before the caller had ended."""

    partial_ms: float | None
    final_ms: float | None
    turn_ms: float | None
    is_cut: bool


@dataclass(frozen=True, slots=True)
class Load:
    """All utterances; `talking`: callers at once, on average; `cpu_s` of recognition for
    `speech_s`."""

    timings: Sequence[Timing]
    calls: int
    talking: float
    cpu_s: float
    speech_s: float

    @property
    def cpu_ms_per_s(self) -> float:
        """CPU of recognition, partials and all, per second of callers' speech."""
        return 1000 * self.cpu_s / max(self.speech_s, 1e-9)


@dataclass(frozen=True, slots=True)
class _Answer:
    done: int
    job: Job
    request: Recognise
    heard: Hypothesis


class QueuedCalls(VirtualCalls):
    """Calls that share one recogniser, which does one batch at a time."""

    def __init__(self, runner: Runner, calls: Sequence[VirtualCall]) -> None:
        """As VirtualCalls."""
        super().__init__(runner, calls)
        self._line = Scheduler()
        self._requests: dict[tuple[int, JobKind, int], Recognise] = {}
        self._running: list[_Answer] = []
        self._free_at = 0
        self._asked_now: list[Job] = []
        self.answers: list[_Answer] = []
        self.cpu_s = 0.0

    def _ask(self, slot: int, requests: Iterable[Recognise], now: int) -> None:
        for request in requests:
            if request.kind not in KINDS:
                continue
            kind, span = KINDS[request.kind], (request.start_at, request.end_at)
            job = Job(slot, 0, request.utterance, kind, *span, expectation=OPEN)
            self._asked_now.append(job)
            self._requests[slot, kind, request.end_at] = request

    def _answer(self, now: int) -> None:
        """What was done by `now`. The next batch begins when one is done, with what waited then;
        requests of this step come at its end."""
        before = max(self._free_at, now - CHUNK_SAMPLES)
        while self._running and self._free_at <= now:
            self._deliver(now)
            before = max(before, self._free_at)
            if len(self._line):
                self._begin(before)
        for job in self._asked_now:
            self._line.submit(job)
        self._asked_now = []
        if not self._running and len(self._line):
            self._begin(now)

    def _deliver(self, now: int) -> None:
        ready, self._running = self._running, []
        for answer in ready:
            self.answers.append(answer)
            call, of = self.calls[answer.job.slot], answer.request
            told = (of.utterance, of.kind, of.end_at, answer.heard)
            asked = call.take(call.listener.recognised(*told, answer.done), now)
            self._ask(answer.job.slot, asked, now)

    def _begin(self, at: int) -> None:
        batch = self._line.next_batch()
        began = time.process_time()
        found = self.runner.recognise(batch)
        took_s = time.process_time() - began
        self.cpu_s += took_s
        self._free_at = at + seconds(took_s)
        self._running = [
            _Answer(self._free_at, job, self._requests[job.slot, job.kind, job.end_at], heard)
            for job, heard in zip(batch, found, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class _Said:
    onset: int
    end: int


def clips(items: Sequence[Item], count: int, seed: int = 4) -> list[Clip]:
    """`count` utterances of `items` as they come over the telephone, repeated if they are few."""
    rng = np.random.default_rng(seed)
    found: list[Clip] = []
    for index in rng.permutation(len(items)):
        item = items[int(index)]
        samples = through_mulaw(read_telephone(item.path))
        if (span := speech_onset(samples)) is not None:
            begin, end = max(0, span[0] - MARGIN), span[1] + MARGIN
            of = (item.set_name, item.text, item.group, "recorded")
            found.append(Clip(*of, samples[begin:end], span[0] - begin, span[1] - begin))
        if len(found) == count:
            break
    return [found[index % len(found)] for index in range(count)] if found else []


def measure(
    make: Callable[[int], Runner],
    items: Sequence[Item],
    *,
    quick: bool = False,
    talking: int = TALKING,
    tell: Callable[[str], None] = lambda _: None,
) -> Load | None:
    """None where no item holds speech. `make(slots)` builds what hears and recognises."""
    each = QUICK_UTTERANCES if quick else UTTERANCES
    said = clips(items, each * 2 * talking)
    if not said:
        return None
    lengths = [(clip.end - clip.onset) / SAMPLE_RATE_HZ for clip in said]
    share = np.mean(lengths) / (np.mean(lengths) + GAP_S)
    count = min(2 * talking, max(1, math.ceil(talking / float(share))))
    rng = np.random.default_rng(5)
    calls = [_plan(said[slot::count][:each], rng) for slot in range(count)]
    plans = [
        [_Said(onset, onset + clip.end - clip.onset) for clip, onset in plan] for plan, _ in calls
    ]
    until = max(plan[-1].end for plan in plans) + seconds(GAP_S)
    samples = whole_chunks(until)
    queued = QueuedCalls(make(count), [_call(*call, samples, rng) for call in calls])
    queued.run(samples, lambda at: tell(f"{count} calls: {at} of {samples // SAMPLE_RATE_HZ} s"))
    timings = [_timing(queued, slot, one) for slot, plan in enumerate(plans) for one in plan]
    speech = sum(one.end - one.onset for plan in plans for one in plan) / SAMPLE_RATE_HZ
    return Load(timings, count, _talking(plans), queued.cpu_s, speech)


def _talking(plans: Sequence[Sequence[_Said]]) -> float:
    """Callers talking at once, on average, while all calls are under way."""
    begin, end = max(plan[0].onset for plan in plans), min(plan[-1].end for plan in plans)
    if end <= begin:
        return 0.0
    spans = [(max(begin, one.onset), min(end, one.end)) for plan in plans for one in plan]
    return sum(max(0, last - first) for first, last in spans) / (end - begin)


def _plan(
    said: Sequence[Clip], rng: np.random.Generator
) -> tuple[list[tuple[Clip, int]], list[BotTurn]]:
    """(utterance, onset) of one caller, and the bot's turns: it listens before each of them."""
    at = seconds(FIRST_S + rng.uniform(0, GAP_S))
    plan, turns = [], []
    for clip in said:
        turns.append(BotTurn(at - seconds(0.4), (), OPEN))
        plan.append((clip, at))
        at += clip.end - clip.onset + seconds(GAP_S + rng.uniform(-0.1, 0.1))
    return plan, turns


def _call(
    plan: Sequence[tuple[Clip, int]], turns: Sequence[BotTurn], samples: int,
    rng: np.random.Generator,
) -> TracedCall:  # fmt: skip
    track = line_noise(samples, None, rng)
    for clip, onset in plan:
        say(track, onset, clip)
    return TracedCall(TracedTelephone(track), turns)


def _timing(queued: QueuedCalls, slot: int, said: _Said) -> Timing:
    until = said.end + seconds(GAP_S - 0.4)
    notes = [n for n in queued.calls[slot].notes if said.onset <= n.now < until]
    partial = next(
        (
            answer.done
            for answer in queued.answers
            if answer.job.slot == slot and said.onset < answer.done < until and answer.heard.text
        ),
        None,
    )
    turn = next((n for n in notes if isinstance(n.event, CallerTurn)), None)
    partial_ms = None if partial is None else _ms(partial - said.onset)
    if turn is None or not isinstance(turn.event, CallerTurn):
        return Timing(partial_ms, None, None, is_cut=False)
    if turn.event.ended.at < said.end:
        return Timing(partial_ms, None, None, is_cut=True)
    known = _known_at(queued, slot, turn.event.hypothesis.end_at, said)
    known = turn.now if known is None else known
    return Timing(partial_ms, _ms(known - said.end), _ms(turn.now - said.end), is_cut=False)


def _known_at(queued: QueuedCalls, slot: int, end_at: int, said: _Said) -> int | None:
    """When it was first known what the final that ends at `end_at` says: by the first answer that
    had heard all speech, and after which none said anything else."""
    answers = [a for a in queued.answers if a.job.slot == slot and a.job.end_at >= said.end]
    final = next((a for a in answers if a.job.end_at == end_at), None)
    final = next(
        (a for a in answers if a.job.end_at == end_at and a.job.kind is not JobKind.PARTIAL), final
    )
    if final is None:
        return None
    known = final.done
    for answer in reversed(answers[: answers.index(final)]):
        of_another = answer.job.utterance != final.job.utterance
        if of_another or normalised(answer.heard.text) != normalised(final.heard.text):
            break
        known = answer.done
    return known


def _ms(samples: int) -> float:
    return samples * 1000 / SAMPLE_RATE_HZ
