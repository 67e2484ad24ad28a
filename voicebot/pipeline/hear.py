"""The caller's audio to the engine, the engine's results to the listener, its events onwards."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from pipecat.frames.frames import CancelFrame, EndFrame, Frame, InputAudioRawFrame, StartFrame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from voicebot.audio import mulaw
from voicebot.engine.dips import Dips
from voicebot.engine.engine import Engine, Recognised
from voicebot.engine.runner import WINDOW, HearingLost, InbandKey, Result
from voicebot.engine.scheduler import JobKind
from voicebot.events import (
    SAMPLE_RATE_HZ,
    BargeIn,
    BargeInCandidate,
    BargeInMode,
    BargeInRejected,
    CallerHungUp,
    CallerTurn,
    Digit,
    Expectation,
    Hypothesis,
    KeysEntered,
    Listen,
    NoInput,
    PromptEnded,
    TakeMessage,
)
from voicebot.pipeline.clock import CallClock
from voicebot.pipeline.failure import watched
from voicebot.pipeline.frames import CallerAudio, CallerAudioFrame, EventFrame
from voicebot.pipeline.message import EndedBy, Keep, MessageRecorder
from voicebot.turns.listener import Kind, Listener, Recognise

KINDS: dict[Kind, JobKind] = {
    "partial": JobKind.PARTIAL,
    "speculative": JobKind.SPECULATIVE,
    "final": JobKind.FINAL,
    "hotword": JobKind.HOTWORD,
}
DEAF_SAMPLES = SAMPLE_RATE_HZ
"""When the engine lags by this much, timers go on without it: the call must not stand still."""
STALL_SAMPLES = SAMPLE_RATE_HZ // 2
"""When no audio has come for so long, time goes on by the clock."""
WATCH_S = 0.25
LOST_SAMPLES = 5 * SAMPLE_RATE_HZ
"""When none has come for so long, a message is over."""
BACKLOG_EVENTS = 32
"""Beyond this partials are shed; what else a caller can cause is a few events a second."""
WANTED = (BargeInCandidate, BargeInRejected, BargeIn, CallerTurn, KeysEntered, NoInput)
"""What somebody down the pipeline waits for; a recognition service wants to know the rest, too."""
NAMES = {job: kind for kind, job in KINDS.items()}


KEY_TWICE_SAMPLES = SAMPLE_RATE_HZ // 2
"""A trunk may both signal a key and let its tone through: the same key within this is one."""


class Audible(Protocol):
    """What the caller hears (audio.playout.Playout)."""

    def is_audible(self, now: int) -> bool:
        """Whether the caller hears the bot now."""

    def barge_in_mode(self, now: int) -> BargeInMode | None:
        """What may interrupt the prompt that he hears now."""

    def plays_after(self, at: int) -> bool:
        """Whether he heard or will hear anything after that."""

    def reference(self, from_at: int, to_at: int) -> bytes:
        """mu-law of what he heard in that time."""


class Hear(FrameProcessor):
    """Engine results come as callbacks; a task of its own turns them into frames."""

    def __init__(
        self,
        engine: Engine,
        listener: Listener,
        clock: CallClock,
        playout: Audible,
        observe: Callable[[object], None],
        *,
        is_local: bool,
        keep: Keep | None = None,
    ) -> None:
        """`is_local`: the engine recognises; otherwise audio goes on to a Pipecat STT service.

        `keep` stores a message of the caller's; None: there is no room for messages.
        """
        super().__init__(enable_direct_mode=True)
        self._engine = engine
        self._listener = listener
        self._clock = clock
        self._playout = playout
        self._observe = observe
        self._is_local = is_local
        self._keep = keep
        self._message: MessageRecorder | None = None
        self._expectation: Expectation | None = None
        self._dips = Dips()
        self._handle = engine.open_call(self)
        self._heard_at = 0
        self._taken_until = 0
        self._paused = 0  # as the clock's, when audio came last
        self._progress_at = 0  # when the engine last heard something, or had nothing to hear
        self._of_prompt: BargeInMode | None = None  # the mode of the prompt heard last
        self._watcher: asyncio.TimerHandle | None = None
        self._keys: deque[tuple[Digit, bool]] = deque(maxlen=8)  # and whether heard in the audio
        self._is_unheard = False  # and the dialogue is to be told so
        self._events: asyncio.Queue[object] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Audio and keys are taken here; what the dialogue waits for comes from downstream."""
        await super().process_frame(frame, direction)
        match frame:
            case CallerAudioFrame():
                await self._pass_audio(frame.audio)
                return
            case EventFrame(event=Digit() as digit):
                self._take_key(digit, is_inband=False)
            case EventFrame(event=Listen() as listen):
                self._expectation = listen.expectation
                self._emit(
                    self._listener.expect(
                        listen.expectation,
                        self._clock.received,
                        must_be_heard=listen.must_be_heard,
                    )
                )
                self._tell_unheard()
            case EventFrame(event=PromptEnded() as ended):
                self._observe(ended)
                # While audio is held up on its way the prompts end in time nevertheless.
                ended_at = max(self._clock.received, ended.at - self._clock.paused)
                self._emit(self._listener.prompt_ended(ended_at))
            case EventFrame(event=TakeMessage() as take):
                self._message = MessageRecorder(take, self._clock.latest)
            case EventFrame(event=CallerHungUp()):
                if self._message is not None:
                    await self._give_message("hangup")
                await self.push_frame(frame, direction)
            case EventFrame(event=Hypothesis() as hypothesis):
                self._emit(self._listener.transcribed(hypothesis, self._clock.received))
            case StartFrame():
                self._task = self.create_task(watched(self, self._forward()))
                self._watch()
                await self.push_frame(frame, direction)
            case EndFrame() | CancelFrame():
                self._leave()
                await self.push_frame(frame, direction)
                if self._task is not None:
                    await self.cancel_task(self._task)
            case _:
                await self.push_frame(frame, direction)

    async def cleanup(self) -> None:
        """However the pipeline ended, also before it began: the engine's slot is free."""
        await super().cleanup()  # type: ignore[no-untyped-call]  # Pipecat gives it no type
        self._leave()

    def _leave(self) -> None:
        self._engine.release(self._handle)
        if self._watcher is not None:
            self._watcher.cancel()
            self._watcher = None

    def _watch(self) -> None:
        """Look now and then whether audio still comes: nothing else would tell that it does not."""
        self._watcher = asyncio.get_running_loop().call_later(WATCH_S, self._watch)
        if self._clock.stalled <= STALL_SAMPLES:
            return
        now = self._clock.latest
        self._look(now)
        if self._is_behind and now - self._progress_at <= DEAF_SAMPLES:
            return  # the engine is still at what came before
        if self._message is not None and self._clock.stalled > LOST_SAMPLES:
            self._message.heard(now, 0.0)
            self._look_for_end()
        self._emit(self._listener.overdue(now))

    def take_audio(self, audio: CallerAudio) -> None:
        """The caller's audio, straight from the line: a pipeline's hop for each 20 ms would be
        the largest part of what a call costs."""
        self._observe(audio)
        end, now = audio.at + len(audio.mulaw), self._clock.now()
        if not self._is_behind:
            self._progress_at = now
        if self._clock.paused != self._paused:
            self._follow_clock()
        since, self._taken_until = self._taken_until, end
        playout, paused = self._playout, self._paused
        is_played = playout.plays_after(since + paused)
        reference = playout.reference(since + paused, end + paused) if is_played else b""
        self._engine.push(self._handle, audio.at, audio.mulaw, reference)
        if self._message is not None:
            self._message.audio(audio.at, audio.mulaw)
            self._look_for_end()
        # Not so of a burst that it has only just got.
        if min(end - self._heard_at, now - self._progress_at) > DEAF_SAMPLES:
            self._emit(self._listener.tick(end))

    def _follow_clock(self) -> None:
        """The sender may turn out to have paused: what waits for audio from then waits in vain."""
        by, self._paused = self._clock.paused - self._paused, self._clock.paused
        if self._message is not None:
            self._message.sooner(by)
        self._emit(self._listener.sooner(by))

    @property
    def _is_behind(self) -> bool:
        """Whether the engine has yet to hear audio that came."""
        return self._taken_until - self._heard_at > 2 * WINDOW

    async def _pass_audio(self, audio: CallerAudio) -> None:
        """The same where a Pipecat service, further down the pipeline, recognises it."""
        self.take_audio(audio)
        pcm = mulaw.decode(audio.mulaw).tobytes()
        await self.push_frame(InputAudioRawFrame(pcm, SAMPLE_RATE_HZ, 1))

    def _take_key(self, digit: Digit, *, is_inband: bool) -> None:
        for taken in self._keys:
            other, was_inband = taken
            is_near = abs(digit.at - other.at) < KEY_TWICE_SAMPLES
            if digit.key == other.key and is_inband is not was_inband and is_near:
                self._keys.remove(taken)  # one key, told twice
                return
        self._keys.append((digit, is_inband))
        self._observe(digit)
        if self._message is not None:
            self._message.key(digit.key)
            self._look_for_end()
            return
        self._emit(self._listener.key(digit))

    def on_heard(self, results: Sequence[Result]) -> None:
        """From the engine: windows of this call, and keys heard in its audio."""
        now = self._progress_at = self._clock.now()
        is_audible = self._look(now)
        of_prompt = self._of_prompt if is_audible else self._playout.barge_in_mode(now)
        for result in results:
            if isinstance(result, InbandKey):
                self._take_key(Digit(result.key, result.at), is_inband=True)
                continue
            if isinstance(result, HearingLost):
                self._is_unheard = not result.is_back
                self._tell_unheard()
                continue
            if self._message is not None:
                self._message.heard(result.at + WINDOW, result.probability)
            was_audible = not is_audible and self._was_audible(result.at, now)
            self._emit(
                self._listener.hear(
                    result.at,
                    result.probability,
                    is_audible=is_audible or was_audible,
                    echo=result.echo,
                    of_prompt=self._of_prompt if was_audible else of_prompt,
                    speech=result.speech,
                )
            )
            if self._is_local and (asked := self._dips.heard(result.at, result.level_db)):
                self._ask(asked)
            # Silence counts as far as the VAD has heard: what is on its way to it may be speech.
            self._heard_at = result.at + WINDOW
            self._emit(self._listener.tick(self._heard_at))

    def _tell_unheard(self) -> None:
        """Once the dialogue waits for the caller: only keys can answer it."""
        if self._is_unheard and self._message is None:
            told = self._listener.unheard(self._clock.received)
            self._is_unheard = not told
            self._emit(told)

    def _look(self, now: int) -> bool:
        """Whether the caller hears the bot now."""
        is_audible = self._playout.is_audible(now)
        if is_audible:
            self._of_prompt = self._playout.barge_in_mode(now)
        return is_audible

    def _was_audible(self, at: int, now: int) -> bool:
        """Whether the bot was heard, or had yet to be, when audio that came late was spoken."""
        spoken_at = at + self._paused
        return now - spoken_at > STALL_SAMPLES and self._playout.plays_after(spoken_at)

    def _look_for_end(self) -> None:
        if self._message is not None and (ended_by := self._message.ended_by) is not None:
            self.create_task(watched(self, self._give_message(ended_by)))

    async def _give_message(self, ended_by: EndedBy) -> None:
        """The message is over: keep it, and tell the dialogue."""
        message, self._message = self._message, None
        if message is None:
            return
        taken = await message.taken(ended_by, self._keep)
        self._observe(taken)
        await self.push_frame(EventFrame(taken))

    def on_recognised(self, result: Recognised) -> None:
        """From the engine: an answer to a request of the listener."""
        job, heard = result.job, result.hypothesis
        if not self._is_local and job.kind is not JobKind.HOTWORD:
            if heard is not None and heard.end_probability is not None:
                ended = heard.end_probability
                now = self._clock.received
                self._emit(self._listener.end_judged(job.utterance, job.end_at, ended, now))
            return
        self._observe(result)
        self._emit(
            self._listener.recognised(
                job.utterance, NAMES[job.kind], job.end_at, heard, self._clock.received
            )
        )

    def _emit(self, events: Sequence[object]) -> None:
        if not events:
            return
        for event in self._dips.taken(events):
            if isinstance(event, Recognise):
                # Of what a service recognises, the engine judges whether it is finished, and
                # looks for the hot word.
                if self._is_local or event.kind in {"speculative", "hotword"}:
                    self._ask([event])
            elif self._events.qsize() < BACKLOG_EVENTS or not _is_partial(event):
                self._events.put_nowait(event)

    def _ask(self, requests: Sequence[Recognise]) -> None:
        for request in requests:
            self._engine.recognise(
                self._handle,
                request.utterance,
                KINDS[request.kind],
                request.start_at,
                request.end_at,
                expectation=self._expectation,
            )

    async def _forward(self) -> None:
        while True:
            event = await self._events.get()
            # Observed here, not when it was noticed: what one event sets off (a cut prompt)
            # is on record before the next.
            self._observe(event)
            if not self._is_local or isinstance(event, WANTED):
                await self.push_frame(EventFrame(event))


def _is_partial(event: object) -> bool:
    return isinstance(event, Hypothesis) and not event.is_final
