"""Sees what happens on one call and has it kept: journal, timeline, recording, metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from voicebot.asr.record_text import RecordText
from voicebot.audio.playout import Playout
from voicebot.dialogue.machine import Machine
from voicebot.engine.engine import Recognised
from voicebot.engine.scheduler import JobKind
from voicebot.events import (
    SAMPLE_RATE_HZ,
    CallerHungUp,
    CallService,
    Disconnect,
    Note,
    Say,
    ServiceReply,
    Transfer,
)
from voicebot.monitoring.metrics import Metrics
from voicebot.pipeline.clock import CallClock
from voicebot.pipeline.frames import CallerAudio
from voicebot.server.call_record import AS_RECOGNISED, CallRecord, Turn
from voicebot.store.journal import Journal
from voicebot.store.recordings import StereoRecording
from voicebot.store.records import CallEnd, CallStart, NoteRecord, ServiceRecord, TurnRecord
from voicebot.store.timeline import Timeline
from voicebot.store.visits import LEFT, NOMATCH
from voicebot.telephony.media_stream import Fault

log = structlog.get_logger(__name__)

LATE_MS = 200.0
"""A chunk handled later than this is counted."""
BEHIND_SAMPLES = SAMPLE_RATE_HZ
"""The bot's side of the recording is written this far behind: marks may still move it."""


@dataclass(frozen=True, slots=True)
class Keeping:
    """Where a call is kept; recording and timeline only when switched on."""

    journal: Journal
    metrics: Metrics
    recording: StereoRecording | None = None
    timeline: Timeline | None = None


class CallObserver:
    """One call's observer. `observe` is called on the event loop and never waits."""

    def __init__(
        self,
        keeping: Keeping,
        start: CallStart,
        text_of: Callable[[tuple[str | Say, ...], str], str],
        tap: Callable[[object], None] | None = None,
        shown: RecordText = AS_RECOGNISED,
    ) -> None:
        """`tap` sees the events too: the live print of `voicebot demo`. `shown`: how the
        journal keeps what the caller said."""
        self._keeping = keeping
        self._start = start
        self._record = CallRecord(text_of, shown)
        self._tap = tap
        self._writes: asyncio.Queue[TurnRecord | ServiceRecord | NoteRecord | CallEnd] = (
            asyncio.Queue()
        )
        self._called: dict[str, tuple[str, int]] = {}  # call-outs under way: name, at
        self._clock: CallClock | None = None
        self._playout: Playout | None = None
        self._machine: Machine | None = None
        self._written_at = 0
        self._end: tuple[str, bool, str] = ("failed", False, "failed")

    def attach(self, clock: CallClock, playout: Playout, machine: Machine) -> None:
        """The call's parts exist now."""
        self._clock, self._playout, self._machine = clock, playout, machine

    async def run(self) -> None:
        """Write turns to the journal until `close`."""
        await self._keeping.journal.call_started(self._start)
        journal = self._keeping.journal
        while True:
            match record := await self._writes.get():
                case TurnRecord():
                    await journal.turn(record)
                case ServiceRecord():
                    await journal.service(record)
                case NoteRecord():
                    await journal.note(record)
                case CallEnd():
                    await journal.call_ended(record)
                    return

    # ------------------------------------------------------------ what happens

    def observe(self, event: object) -> None:
        """Anything: an event of voicebot.events, a chunk of audio, a fault of the peer."""
        if isinstance(event, CallerAudio):
            self._audio(event)
            return
        if isinstance(event, Recognised):
            if event.job.kind is not JobKind.PARTIAL:
                self._record.recognised(event.seconds)
            return
        if isinstance(event, Fault):
            self._keeping.metrics.fault(event.kind)
            log.warning("peer fault", kind=event.kind)
            return
        done = self._record.observe(event)
        if done is not None:
            self._complete(done)
        if isinstance(event, CallService):
            self._called[event.id] = (event.name, self._at)
        elif isinstance(event, ServiceReply):
            self._service_replied(event)
        elif isinstance(event, Note):
            # What it says may quote the caller: it is in the journal, not in the log.
            log.info("note", kind=event.kind)
            is_of_turn = event.kind == NOMATCH  # visits counts by turns
            data = {**event.data, "turn": self._record.number} if is_of_turn else event.data
            self._writes.put_nowait(NoteRecord(self._start.call_sid, event.kind, self._at, data))
        if self._keeping.timeline is not None:
            self._keeping.timeline.record(event, at=self._at)
        if self._tap is not None:
            self._tap(event)

    def decided(self, decision: Transfer | Disconnect | CallerHungUp, left: str) -> None:
        """The dialogue ended the call, or it was `left`: by the caller, by a limit, by a fault."""
        machine = self._machine
        goal = machine is not None and machine.is_goal
        if isinstance(decision, CallerHungUp):
            outcome = (machine.outcome if machine else None) or "hung_up"
            self._end = (outcome, goal, left)
        else:
            reason = "transferred" if isinstance(decision, Transfer) else "disconnected"
            self._end = (decision.outcome, goal or decision.is_goal, reason)

    def close(self) -> None:
        """Complete the record; what is known is kept even when the call failed."""
        self._complete(self._record.close())
        self._write_bot(0)
        if self._keeping.recording is not None:
            self._keeping.recording.close()
        outcome, is_goal, reason = self._end
        slots = self._machine.slots if self._machine is not None else {}
        if self._keeping.timeline is not None:
            self._keeping.timeline.append(self._at, "call_ended", outcome=outcome, reason=reason)
            self._keeping.timeline.close()
        if outcome == "hung_up" and self._record.state:
            where = {"state": self._record.state}
            self._writes.put_nowait(NoteRecord(self._start.call_sid, LEFT, self._at, where))
        end = CallEnd(self._start.call_sid, outcome, is_goal, _now(), slots, reason)
        self._writes.put_nowait(end)  # after the last turn: who sees the end sees all
        self._keeping.metrics.outcome(outcome, self._at / SAMPLE_RATE_HZ)
        log.info("call ended", outcome=outcome, is_goal=is_goal, reason=reason)

    # ------------------------------------------------------------ inside

    @property
    def _at(self) -> int:
        return self._clock.received if self._clock is not None else 0

    def _service_replied(self, reply: ServiceReply) -> None:
        name, at = self._called.pop(reply.id, ("", self._at))
        took_ms = (self._at - at) * 1000 / SAMPLE_RATE_HZ
        how = "failed" if reply.error else "answered"
        self._keeping.metrics.service(name, how, took_ms / 1000)
        if reply.error:
            # Its text may quote the caller: it is in the journal, not in the log.
            log.warning("service failed", service=name)
        self._writes.put_nowait(ServiceRecord(self._start.call_sid, name, at, took_ms, reply.error))

    def _audio(self, audio: CallerAudio) -> None:
        clock = self._clock
        if clock is not None and clock.lateness_ms() > LATE_MS:
            self._keeping.metrics.late_chunk()
        if self._keeping.recording is not None:
            self._keeping.recording.write("caller", audio.at, audio.mulaw)
            if audio.at - self._written_at >= 2 * BEHIND_SAMPLES:
                self._write_bot(BEHIND_SAMPLES)

    def _write_bot(self, behind: int) -> None:
        recording, playout, clock = self._keeping.recording, self._playout, self._clock
        if recording is None or playout is None or clock is None:
            return
        until = clock.received - behind
        if until > self._written_at:
            heard = playout.audio_heard(self._written_at, until)
            recording.write("bot", self._written_at, heard)
            self._written_at = until

    def _complete(self, turn: Turn) -> None:
        metrics = self._keeping.metrics
        if turn.response_ms is not None:
            metrics.response(turn.response_ms / 1000)
        if turn.barge_in_ms is not None:
            metrics.barge_in(turn.barge_in_ms / 1000)
        self._writes.put_nowait(_journal_turn(self._start.call_sid, turn))


def _journal_turn(call_sid: str, turn: Turn) -> TurnRecord:
    return TurnRecord(
        call_sid=call_sid,
        number=turn.number,
        state=turn.state,
        bot_text=turn.bot_text,
        bot_heard_text=" ".join(turn.heard),
        was_barged_in=turn.was_cut,
        caller_text=turn.caller_text,
        spoken_text=turn.spoken_text,
        confidence=turn.confidence,
        nbest=turn.nbest,
        intent=turn.intent,
        slots=turn.slots,
        by=turn.by,
        speech_start_at=turn.onset_at,
        speech_end_at=turn.speech_end_at,
        turn_end_at=turn.ended_at,
        end_reason=turn.end_reason,
        response_ms=turn.response_ms,
        barge_in_ms=turn.barge_in_ms,
        recognition_ms=turn.recognition_ms,
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
