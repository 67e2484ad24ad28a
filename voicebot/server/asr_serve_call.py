"""One call of a server whose calls are recognised elsewhere: what a replica knows of it.

Audio is told in chunks as it is heard, requests with what they wait for. Nothing is queued: what
is to be told is read from the ring of heard audio when the connection can take it. After a loss
the stream begins anew where the oldest unanswered request begins, so no word is lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import structlog

from voicebot.engine.engine import CallHandle, CallSink, Recognised
from voicebot.engine.runner import RING_S, WINDOW, Result, VadResult
from voicebot.engine.scheduler import Job, JobKind
from voicebot.engine.wire import (
    MAX_AUDIO_BYTES,
    MAX_MESSAGE_BYTES,
    Answer,
    Ask,
    Audio,
    Close,
    Expect,
    Open,
    Reason,
    encode,
    write_expectation,
)
from voicebot.events import SAMPLE_RATE_HZ, Expectation
from voicebot.monitoring.recogniser_metrics import FrontEndMetrics
from voicebot.server.asr_serve_link import Link

log = structlog.get_logger(__name__)

CHUNK_SAMPLES = 1024
"""128 ms: four windows of the VAD."""
LEAD_SAMPLES = 5 * SAMPLE_RATE_HZ // 2
"""Sent before the oldest request: hot word models look 2.1 s back."""
KEPT_SAMPLES = (RING_S - 2) * SAMPLE_RATE_HZ
FALLBACK_S = 1.5
"""A call waits so long for a replica; less than the listener's patience, and within 2 s."""
ANSWER_S = 3.0
"""A final or speculative request that takes longer is asked of another replica."""
MOST_LATE = 2
"""After so many the caller has waited long enough: it is answered without a replica."""
MAX_EXPECTATION_BYTES = MAX_MESSAGE_BYTES // 4


@dataclass(slots=True)
class _Asked:
    job: Job
    is_sent: bool = False
    number: int = 0  # of the request, once sent
    sent_at: float = 0.0
    lates: int = 0  # replicas that took too long for it


class Calls(Protocol):
    """What a call needs of the engine that it belongs to; see asr_serve_client."""

    counts: FrontEndMetrics

    def now(self) -> float:
        """Seconds on the engine's clock."""

    def audio(self, call: RemoteCall, start: int, end: int) -> bytes:
        """mu-law of what the caller said there, as far as it is known (and still kept)."""

    def place(self, call: RemoteCall) -> None:
        """Let it `join` a replica, if any takes it."""

    def deliver(self, result: Recognised) -> None:
        """To the call's sink, if the call is still there."""

    def fall_back(self, job: Job) -> None:
        """Answer without a replica."""


class RemoteCall:
    """One call: what of it a replica knows, and what it was asked."""

    def __init__(self, engine: Calls, sink: CallSink) -> None:
        self._engine = engine
        self._sink = sink
        self.handle: CallHandle
        self.link: Link | None = None
        self.stream = 0
        self._is_open = False  # `open` was sent
        self._begun_at = 0  # the replica's audio begins there
        self._sent_until = 0
        self._heard_until = 0
        self._pending: dict[JobKind, _Asked] = {}
        self._requests = 0
        self._expected: Expectation | None = None
        self._expectation_number = 0
        self._known_as = 0  # the number of `_expected`; 0: it was not sent
        self._lost_at: float | None = None
        self._alone_since: float | None = engine.now()  # None: a replica has it

    @property
    def slot(self) -> int:
        """Its row."""
        return self.handle.slot

    @property
    def has_pending(self) -> bool:
        """Whether an answer is awaited."""
        return bool(self._pending)

    @property
    def is_urgent(self) -> bool:
        """Whether a caller waits."""
        return any(kind < JobKind.HOTWORD for kind in self._pending)

    # ------------------------------------------------------------ the local engine's side

    def on_heard(self, results: Sequence[Result]) -> None:
        """From the local engine: the call hears, and so may the replica."""
        for result in results:
            if isinstance(result, VadResult):
                self._heard_until = result.at + WINDOW
        if self.link is not None and self._heard_until - self._sent_until >= CHUNK_SAMPLES:
            self.link.wake(self)
        self._sink.on_heard(results)

    def on_recognised(self, result: Recognised) -> None:
        """From wherever it was recognised."""
        self._sink.on_recognised(result)

    def ask(self, job: Job) -> None:
        """A request; it replaces what the scheduler would let it replace."""
        if job.kind <= JobKind.SPECULATIVE:
            self._pending.pop(JobKind.PARTIAL, None)
        if job.kind is JobKind.FINAL:
            self._pending.pop(JobKind.SPECULATIVE, None)
        self._pending[job.kind] = _Asked(job)
        if self.link is None:
            self._engine.place(self)
        if self.link is not None:
            self.link.wake(self)
        else:
            self._do_without()

    def leave(self) -> None:
        """The call ended."""
        self._pending.clear()
        self._part()

    # ------------------------------------------------------------ the replica's side

    def join(self, link: Link) -> None:
        """Speak to this replica, from the oldest unanswered request on."""
        self.link = link
        self.stream = link.add(self)
        self._begin()
        link.wake(self)

    def bereaved(self) -> None:
        """Its replica is lost."""
        self._lost_at = self._lost_at or self._engine.now()
        self._alone_since = self._alone_since or self._engine.now()
        self.link = None
        self._engine.counts.moved()
        self._engine.place(self)

    def move(self) -> None:
        """To another replica, while this one lives."""
        self._part()
        self.bereaved()

    def closed(self, reason: Reason, why: str) -> None:
        """The replica will not have it, or not any more."""
        is_room = reason in {Reason.FULL, Reason.DRAINING, Reason.DEVICE_LOST}
        tell = log.info if is_room else log.warning
        tell("recogniser closed a stream", reason=reason.name.lower(), why=why)
        if reason is Reason.DEVICE_LOST:
            self._lost_at = self._lost_at or self._engine.now()
        self._alone_since = self._alone_since or self._engine.now()
        self.link = None
        # Anything but a lack of room would come again at once: the next look places it.
        if is_room:
            self._engine.place(self)

    def opened(self) -> None:
        """It has its place."""
        self._alone_since = None
        if self._lost_at is not None:
            self._engine.counts.resumed(self._engine.now() - self._lost_at)
            self._lost_at = None

    def answered(self, answer: Answer) -> None:
        """A request of this call was answered; one that was replaced meanwhile is nobody's."""
        for kind, asked in self._pending.items():
            if asked.is_sent and asked.number == answer.request:
                del self._pending[kind]
                self._deliver(asked.job, answer)
                return

    def _deliver(self, job: Job, answer: Answer) -> None:
        heard = answer.hypothesis
        if heard is not None:
            heard = replace(heard, start_at=job.start_at, end_at=job.end_at)
        result = Recognised(job, heard, self._engine.now() - job.asked_at)
        self._engine.deliver(result)

    def look(self) -> None:
        """A moment has passed: find a place, or do without."""
        now = self._engine.now()
        if self.link is None:
            self._engine.place(self)
        if self.link is None:
            self._do_without()
            return
        late = [
            (kind, asked)
            for kind, asked in self._pending.items()
            if kind < JobKind.HOTWORD and asked.is_sent and now - asked.sent_at > ANSWER_S
        ]
        if late:
            log.warning("recogniser is late", url=self.link.url)
            self.link.avoid()
            for kind, asked in late:
                asked.lates += 1
                if asked.lates >= MOST_LATE:
                    del self._pending[kind]
                    self._engine.fall_back(asked.job)
            self.move()
        elif self.link.is_leaving and not self._pending:
            self.move()
        elif any(not asked.is_sent for asked in self._pending.values()):
            self.link.wake(self)

    def _do_without(self) -> None:
        """No replica takes the call: after a while others must answer."""
        since = self._alone_since
        if since is None or self._engine.now() - since <= FALLBACK_S:
            return
        pending, self._pending = self._pending, {}
        for asked in pending.values():
            self._engine.fall_back(asked.job)

    # ------------------------------------------------------------ what it is told

    def frames(self) -> bytes:
        """Open, audio, expectation and requests that the replica does not know yet."""
        if self.link is None:
            return b""
        out: list[bytes] = []
        oldest = min((asked.job.start_at for asked in self._pending.values()), default=None)
        if self._is_open and self._must_begin_anew(oldest):
            out.append(encode(Close(self.stream)))
            self.link.remove(self.stream)
            self.stream = self.link.add(self)
            self._begin()
        if not self._is_open:
            self._open(out, oldest)
        new = [asked for asked in self._pending.values() if not asked.is_sent]
        until = max([asked.job.end_at for asked in new], default=self._heard_until)
        if new or until - self._sent_until >= CHUNK_SAMPLES:
            self._audio(out, until)
        for asked in new:
            self._request(out, asked)
        return b"".join(out)

    def _must_begin_anew(self, oldest: int | None) -> bool:
        """Asked for audio before the stream began, or audio not sent is not kept any more."""
        is_before = oldest is not None and oldest < self._begun_at and self._is_kept(oldest)
        return is_before or not self._is_kept(self._sent_until)

    def _is_kept(self, at: int) -> bool:
        return at >= self._heard_until - KEPT_SAMPLES

    def _begin(self) -> None:
        """Nothing of what was told counts any more."""
        self._is_open = False
        self._expected = None
        for asked in self._pending.values():
            asked.is_sent = False

    def _open(self, out: list[bytes], oldest: int | None) -> None:
        wanted = self._heard_until if oldest is None else oldest
        begin = max(0, wanted - LEAD_SAMPLES, self._heard_until - KEPT_SAMPLES)
        self._begun_at = self._sent_until = begin
        self._is_open = True
        out.append(encode(Open(self.stream, begin)))

    def _audio(self, out: list[bytes], until: int) -> None:
        while self._sent_until < until:
            end = min(until, self._sent_until + MAX_AUDIO_BYTES)
            said = self._engine.audio(self, self._sent_until, end)
            if not said:
                return  # not there yet
            out.append(encode(Audio(self.stream, self._sent_until, said)))
            self._sent_until += len(said)

    def _request(self, out: list[bytes], asked: _Asked) -> None:
        job = asked.job
        number = self._expectation(out, job.expectation)
        self._requests = self._requests % (2**32 - 1) + 1
        asked.number, asked.is_sent, asked.sent_at = self._requests, True, self._engine.now()
        end = min(job.end_at, self._sent_until)
        start = min(job.start_at, end)
        utterance = job.utterance % 2**32
        asking = Ask(self.stream, self._requests, utterance, job.kind, number, start, end)
        out.append(encode(asking))

    def _expectation(self, out: list[bytes], expectation: Expectation | None) -> int:
        """The number under which the replica knows it."""
        if expectation is None:
            return 0
        if expectation is not self._expected:
            self._expected = expectation
            body = fitting(expectation)
            if body is None:  # recognised without what it would help with
                self._known_as = 0
                log.warning("expectation too large to send", state=expectation.state)
                return 0
            self._expectation_number = self._expectation_number % (2**32 - 1) + 1
            self._known_as = self._expectation_number
            out.append(encode(Expect(self.stream, self._known_as, body)))
        return self._known_as

    def _part(self) -> None:
        if self.link is not None:
            self.link.remove(self.stream, encode(Close(self.stream)) if self._is_open else b"")
            self.link = None


def fitting(expectation: Expectation) -> bytes | None:
    """What is sent of it, within MAX_EXPECTATION_BYTES; None where it does not fit.

    Examples teach the classifier, not the recogniser: they are left out first, phrases of intents
    next, choices of slots never, as they are what an answer is made of.
    """
    plain = tuple(replace(intent, examples=()) for intent in expectation.intents)
    bare = tuple(replace(intent, phrases=()) for intent in plain)
    for intents in (expectation.intents, plain, bare):
        body = write_expectation(replace(expectation, intents=intents))
        if len(body) <= MAX_EXPECTATION_BYTES:
            return body
    return None
