"""Calls in virtual time, of the product's own parts, without sockets and without Pipecat.

    prompts -> Playout -> Playback (Twilio's buffer) -> EchoPath -\\
    dialogue <- Listener <- Runner <- mu-law <- caller + noise + <-+

All calls advance together in steps of 20 ms, as slots of one Runner. Times are samples of the
inbound clock: what is sent at `now` is played at `now` plus the round trip, where its echo
leaves the telephone at once. The recogniser answers after a fixed time, whatever it took.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from voicebot.audio.playout import Playout, SendMedia
from voicebot.engine.dips import Dips
from voicebot.engine.runner import WINDOW, HearingLost, InbandKey, Result, Runner
from voicebot.engine.scheduler import Job, JobKind
from voicebot.evaluation.telephone import NETWORK_MS, Telephone
from voicebot.events import (
    CHUNK_SAMPLES,
    SAMPLE_RATE_HZ,
    BargeIn,
    BargeInCandidate,
    BargeInRejected,
    Digit,
    Expectation,
    Hypothesis,
    PromptEnded,
    SpokenPrompt,
)
from voicebot.turns.listener import Kind, Listener, Recognise

__all__ = ["NETWORK_MS", "BotTurn", "Noted", "Telephone", "VirtualCall", "VirtualCalls"]

RECOGNITION_MS = 200
"""From a request to its answer: what a busy CPU takes for a short utterance."""
RECOGNITION_BATCH = 8
KINDS: dict[Kind, JobKind] = {
    "hotword": JobKind.HOTWORD,
    "partial": JobKind.PARTIAL,
    "speculative": JobKind.SPECULATIVE,
    "final": JobKind.FINAL,
}


@dataclass(frozen=True, slots=True)
class BotTurn:
    """What the bot says at `at` (or once it has said what came before), and what it waits for."""

    at: int
    prompts: tuple[SpokenPrompt, ...]
    expectation: Expectation = field(default_factory=Expectation)


@dataclass(frozen=True, slots=True)
class Noted:
    """Something that happened, and when it was known."""

    now: int
    event: object


class VirtualCall:
    """One call: its listener, playout and telephone; `notes` is what happened."""

    def __init__(
        self,
        make_listener: Callable[[Playout], Listener],
        telephone: Telephone,
        turns: Iterable[BotTurn] = (),
        *,
        playout: Playout | None = None,
        react: Callable[[VirtualCall, object, int], None] | None = None,
    ) -> None:
        """`react(call, event, now)` sees every event of the listener: a dialogue may `say`."""
        self.playout = playout or Playout()
        self.listener, self.telephone = make_listener(self.playout), telephone
        self.notes: list[Noted] = []
        self.expectation: Expectation | None = None
        self._turns = deque(sorted(turns, key=lambda turn: turn.at))
        self._react = react
        self._waits_for_end = False
        self._marks = 0
        self._dips = Dips()

    def say(self, prompts: Iterable[SpokenPrompt], expectation: Expectation, now: int) -> None:
        """Play these prompts and wait for what is expected."""
        for prompt in prompts:
            self.playout.enqueue(prompt, expectation.barge_in)
        self._waits_for_end = True
        self.expectation = expectation
        self.take(self.listener.expect(expectation, now), now)

    @property
    def is_silent(self) -> bool:
        """Nothing is being said, nor will be of what was enqueued."""
        return not self._waits_for_end

    def hear(self, result: Result, now: int) -> list[Recognise]:
        """One window of the Runner, or a key that it heard."""
        if isinstance(result, InbandKey):
            return self.key(result.key, result.at)
        if isinstance(result, HearingLost):
            return []  # here there is always time
        events = self.listener.hear(
            result.at,
            result.probability,
            is_audible=self.playout.is_audible(now),
            echo=result.echo,
            of_prompt=self.playout.barge_in_mode(now),
            speech=result.speech,
        )
        asked = self.take(events, now) + self.take(self.listener.tick(result.at + WINDOW), now)
        return asked + self._dips.heard(result.at, result.level_db)

    def key(self, key: str, now: int) -> list[Recognise]:
        """A DTMF key was pressed."""
        self.notes.append(Noted(now, digit := Digit(key, now)))
        return self.take(self.listener.key(digit), now)

    def take(self, events: Iterable[object], now: int) -> list[Recognise]:
        """Carry out what the listener decided; requests are left to the caller."""
        asked: list[Recognise] = []
        for event in self._dips.taken(events):
            self.notes.append(Noted(now, event))
            match event:
                case Recognise():
                    asked.append(event)
                case BargeInCandidate():
                    self.playout.pause(now)
                    self.telephone.send("clear", "", now)
                case BargeInRejected():
                    self.playout.resume()
                case BargeIn():
                    if not self.playout.is_paused:
                        self.telephone.send("clear", "", now)
                    self.playout.clear(now)
                    self._waits_for_end = False
            if self._react is not None:
                self._react(self, event, now)
        return asked

    def job(self, slot: int, request: Recognise) -> Job:
        """The request as the engine would take it, with what the dialogue waits for."""
        span = (request.start_at, request.end_at)
        kind = KINDS[request.kind]
        return Job(slot, 0, request.utterance, kind, *span, expectation=self.expectation)

    def returned(self, marks: Iterable[tuple[int, str, bool]]) -> None:
        """Marks came back."""
        for at, name, was_cleared in marks:
            heard = self.playout.mark_returned(name, was_cleared, at)
            self.notes += [Noted(at, prompt) for prompt in heard]

    def speak(self, now: int) -> list[Recognise]:
        """Begin the next turn when it is time, send what is due, notice the end of prompts."""
        if self._turns and now >= self._turns[0].at and self.is_silent:
            turn = self._turns.popleft()
            self.say(turn.prompts, turn.expectation, now)
        for item in self.playout.due(now):
            if isinstance(item, SendMedia):
                self.telephone.send("media", item.mulaw, now)
            else:
                self._marks += 1
                name = f"m{self._marks}"
                self.playout.mark_sent(name, item.label)
                self.telephone.send("mark", name, now)
        self.notes += [Noted(now, prompt) for prompt in self.playout.settle(now)]
        is_over = self.playout.is_done and not self.playout.is_paused
        if not self._waits_for_end or not is_over or self.playout.is_audible(now):
            return []
        self._waits_for_end = False
        self.notes.append(Noted(now, PromptEnded(now)))
        return self.take(self.listener.prompt_ended(now), now)


Recogniser = Callable[[Sequence[Job]], Sequence[Hypothesis | None]]


class VirtualCalls:
    """Calls as the slots 0..n-1 of one Runner, all as long as the longest."""

    def __init__(
        self,
        runner: Runner,
        calls: Sequence[VirtualCall],
        *,
        recognise: Recogniser | None = None,
        recognition_ms: int = RECOGNITION_MS,
        is_reference_true: bool = False,
        after_step: Callable[[int], None] | None = None,
    ) -> None:
        """`recognise` answers in the Runner's place. `is_reference_true`: the reference is what
        the caller really hears, not what the playout believes. `after_step(now)` may read the
        Runner's arrays."""
        self.runner, self.calls = runner, calls
        self._recognise = recognise or runner.recognise
        self._patience = recognition_ms * SAMPLE_RATE_HZ // 1000
        self._asked: deque[tuple[int, Job, Recognise]] = deque()  # in order of the answer's time
        self._after_step = after_step
        self._is_reference_true = is_reference_true
        for slot in range(len(calls)):
            runner.reset(slot)

    def run(self, samples: int, tell: Callable[[int], None] | None = None) -> None:
        """Advance every call to `samples`; `tell(seconds)` once a virtual second."""
        slots = range(len(self.calls))
        for at in range(0, samples, CHUNK_SAMPLES):
            now = at + CHUNK_SAMPLES
            for slot in slots:
                self._exchange(slot, at, now)
            for result in self.runner.advance(slots):
                call = self.calls[result.slot]
                self._ask(result.slot, call.hear(result, now), now)
            self._answer(now)
            for slot in slots:
                self._ask(slot, self.calls[slot].speak(now), now)
            if self._after_step is not None:
                self._after_step(now)
            if tell is not None and now % SAMPLE_RATE_HZ == 0:
                tell(now // SAMPLE_RATE_HZ)

    def _exchange(self, slot: int, at: int, now: int) -> None:
        call = self.calls[slot]
        payload, marks = call.telephone.step(at)
        call.returned(marks)
        reference = call.playout.reference(at, now)
        if self._is_reference_true:
            reference = call.telephone.heard_in(at, now)
        self.runner.write(slot, at, payload, reference)

    def _ask(self, slot: int, requests: Iterable[Recognise], now: int) -> None:
        for request in requests:
            job = self.calls[slot].job(slot, request)
            self._asked.append((now + self._patience, job, request))

    def _answer(self, now: int) -> None:
        ready: list[tuple[int, Job, Recognise]] = []
        while self._asked and self._asked[0][0] <= now:
            ready.append(self._asked.popleft())
        for kind in KINDS.values():  # a batch is of one kind
            of_kind = [item for item in ready if item[1].kind is kind]
            for begin in range(0, len(of_kind), RECOGNITION_BATCH):
                self._recognise_batch(of_kind[begin : begin + RECOGNITION_BATCH], now)

    def _recognise_batch(self, batch: list[tuple[int, Job, Recognise]], now: int) -> None:
        heard = self._recognise([job for _, job, _ in batch])
        for (_, job, request), hypothesis in zip(batch, heard, strict=True):
            if hypothesis is not None:
                hypothesis = replace(hypothesis, start_at=job.start_at, end_at=job.end_at)
            call = self.calls[job.slot]
            events = call.listener.recognised(
                request.utterance, request.kind, job.end_at, hypothesis, now
            )
            self._ask(job.slot, call.take(events, now), now)
