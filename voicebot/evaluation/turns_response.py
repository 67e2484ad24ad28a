"""From the end of a caller's speech to the dialogue's turn, with what recognising really takes.

The call runs in virtual time; what the recogniser computes is computed for one call alone, and
its answers come as much later as that took on this machine, one after the other. So the figure
is that of a machine with one call and nothing else to do. What the prompt costs is not in it:
prompts that are known are rendered beforehand.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from voicebot.evaluation import turns_expectations as expectations
from voicebot.evaluation.turns_corpus import Clip, Corpus
from voicebot.evaluation.turns_trace import ROUND_TRIP, TracedCall, TracedTelephone
from voicebot.evaluation.turns_track import line_noise, say, seconds, whole_chunks
from voicebot.evaluation.virtual_call import BotTurn, VirtualCall, VirtualCalls
from voicebot.events import SAMPLE_RATE_HZ, CallerTurn, Expectation, Hypothesis

if TYPE_CHECKING:
    from voicebot.engine.runner import Runner
    from voicebot.turns.listener import Recognise

FIRST_S, AFTER_S = 0.5, 3.5
ANSWERS_AFTER_S = (0.3, 1.0)


@dataclass(frozen=True, slots=True)
class Response:
    """`ms` None: the turn came before the caller had finished, or never."""

    clip: Clip
    ms: float | None
    is_cut: bool
    heard: str


class TimedCalls(VirtualCalls):
    """Calls each with a recogniser of its own that takes as long as it takes."""

    def __init__(self, runner: Runner, calls: Sequence[VirtualCall]) -> None:
        """As VirtualCalls."""
        super().__init__(runner, calls)
        self._busy_until = [0] * len(calls)
        self._answers: list[tuple[int, Recognise, int, Hypothesis]] = []
        self.compute_s: list[float] = []

    def _ask(self, slot: int, requests: Iterable[Recognise], now: int) -> None:
        for request in requests:
            if request.kind == "hotword":
                continue
            job = self.calls[slot].job(slot, request)
            began = time.perf_counter()
            heard = self.runner.recognise([job])[0]
            took_s = time.perf_counter() - began
            self.compute_s.append(took_s)
            done = max(now, self._busy_until[slot]) + seconds(took_s)
            self._busy_until[slot] = done
            self._answers.append((done, request, slot, replace(heard)))

    def _answer(self, now: int) -> None:
        ready = [answer for answer in self._answers if answer[0] <= now]
        self._answers = [answer for answer in self._answers if answer[0] > now]
        for done, request, slot, heard in ready:
            call = self.calls[slot]
            of = (request.utterance, request.kind, request.end_at, heard)
            self._ask(slot, call.take(call.listener.recognised(*of, done), now), now)


def measure(
    runner: Runner,
    slots: int,
    corpus: Corpus,
    *,
    seed: int,
    quick: bool,
    tell: Callable[[str], None],
) -> tuple[list[Response], list[float]]:
    """Responses, and what each recognition took in seconds."""
    rng = np.random.default_rng(seed)
    tell("responses")
    share = 3 if quick else 1
    prompt = expectations.short_prompt("Yes?")
    said: list[tuple[Clip, Expectation]] = []
    for pool, expectation, wanted in (
        (corpus.orders, expectations.order(corpus), 30),
        (corpus.keywords, expectations.keyword(), 24),
        (corpus.answers, expectations.yes_no(), 12),
    ):
        said += [(pool[int(i)], expectation) for i in rng.permutation(len(pool))[: wanted // share]]
    shares = [said[slot::slots] for slot in range(min(slots, len(said)))]
    plans: list[list[tuple[BotTurn, Clip, int, int]]] = []
    for of in shares:
        at, plan = seconds(FIRST_S), []
        for clip, expectation in of:
            heard = at + ROUND_TRIP + len(prompt.mulaw)
            onset = heard + seconds(rng.uniform(*ANSWERS_AFTER_S))
            end = onset - clip.onset + clip.end
            plan.append((BotTurn(at, (prompt,), expectation), clip, onset, end))
            at = end + seconds(AFTER_S)
        plans.append(plan)
    samples = whole_chunks(max(plan[-1][3] for plan in plans) + seconds(AFTER_S))
    calls: list[TracedCall] = []
    for plan in plans:
        track = line_noise(samples, None, rng)
        for _, clip, onset, _ in plan:
            say(track, onset, clip)
        calls.append(TracedCall(TracedTelephone(track), [turn for turn, *_ in plan]))
    timed = TimedCalls(runner, calls)
    timed.run(samples)
    responses = [
        _judge(call, clip, onset, end)
        for call, plan in zip(calls, plans, strict=True)
        for _, clip, onset, end in plan
    ]
    return responses, timed.compute_s


def _judge(call: TracedCall, clip: Clip, onset: int, end: int) -> Response:
    for note in call.notes:
        if isinstance(note.event, CallerTurn) and onset <= note.now < end + seconds(AFTER_S):
            heard = note.event.hypothesis.text
            if note.event.ended.at < end:
                return Response(clip, None, True, heard)
            return Response(clip, (note.now - end) * 1000 / SAMPLE_RATE_HZ, False, heard)
    return Response(clip, None, False, "")
