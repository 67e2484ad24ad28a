"""Twilio's media stream as a Pipecat transport: marks, clear and DTMF included.

The stock serializer knows no marks, so what the caller heard would be a guess.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from pipecat.frames.frames import CancelFrame, EndFrame, Frame, StartFrame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.transports.base_input import BaseInputTransport
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import BaseTransport, TransportParams

from voicebot.audio.playout import Playout, SendMark
from voicebot.events import (
    SAMPLE_RATE_HZ,
    BargeIn,
    BargeInCandidate,
    BargeInRejected,
    CallerHungUp,
    Digit,
    Disconnect,
    PromptEnded,
    PromptHeard,
    PromptStarted,
    TakeMessage,
    Transfer,
)
from voicebot.pipeline.clock import CallClock
from voicebot.pipeline.failure import watched
from voicebot.pipeline.frames import (
    AfterPromptsFrame,
    CallerAudio,
    CallerAudioFrame,
    EventFrame,
    PromptFrame,
)
from voicebot.telephony.media_stream import (
    DtmfReceived,
    Fault,
    MarkReturned,
    Media,
    MediaStream,
    Stopped,
)

Observe = Callable[[object], None]
OUTBOX_MESSAGES = 512
"""Messages waiting for a peer that does not read; then the call counts as lost."""
LOOK_SAMPLES = SAMPLE_RATE_HZ // 50
"""While something waits for a mark that is late: how often to look whether to go on without."""


class Socket(Protocol):
    """The WebSocket as the transport sees it."""

    async def receive(self) -> str | bytes | None:
        """The next message; None when the peer is gone."""

    def tap(self, take: Callable[[str, float], bool] | None) -> None:
        """Texts may come to `take`, with the time when they came, while `receive` waits; what it
        refuses `receive` returns."""

    async def send(self, text: str) -> None:
        """Send a text message; a closed socket is not an error."""


class Line:
    """What both halves of the transport share: socket, protocol state, clock, playout."""

    def __init__(
        self, socket: Socket, stream: MediaStream, clock: CallClock, playout: Playout
    ) -> None:
        """`stream` has seen `start`; nothing of it was sent yet."""
        self.socket = socket
        self.stream = stream
        self.clock = clock
        self.playout = playout
        self.outbox: asyncio.Queue[str] = asyncio.Queue(OUTBOX_MESSAGES)
        self.wake = asyncio.Event()  # the pacer looks again
        self.take_audio: Callable[[CallerAudio], None] | None = None
        """Where the caller's audio goes; None: down the pipeline."""
        self.is_lost = False
        self.unheard = 0  # prompts of which the caller's ear is not yet reported

    def report(self, heard: list[PromptHeard], observe: Observe) -> list[EventFrame]:
        """The caller heard these prompts to their end; what to tell the dialogue."""
        self.unheard -= len(heard)
        for prompt in heard:
            observe(prompt)
        return [EventFrame(prompt) for prompt in heard]

    def send(self, message: str) -> None:
        """Queue a message in order; a peer that stopped reading loses the call."""
        try:
            self.outbox.put_nowait(message)
        except asyncio.QueueFull:
            self.is_lost = True


class TransportIn(BaseInputTransport):
    """Socket messages to frames."""

    def __init__(self, line: Line, params: TransportParams, observe: Observe) -> None:
        """`observe` sees every fault and key."""
        super().__init__(params, enable_direct_mode=True)
        self._line = line
        self._observe = observe
        self._reader: asyncio.Task[None] | None = None
        self._failure: Exception | None = None

    async def start(self, frame: StartFrame) -> None:
        """Begin to read the socket."""
        await super().start(frame)
        self._reader = self.create_task(watched(self, self._read()))
        if self._line.take_audio is not None:
            self._line.socket.tap(self._take_at_once)

    async def stop(self, frame: EndFrame) -> None:
        """Stop reading."""
        await super().stop(frame)
        await self._stop_reading()

    async def cancel(self, frame: CancelFrame) -> None:
        """Stop reading."""
        await super().cancel(frame)
        await self._stop_reading()

    async def _stop_reading(self) -> None:
        self._line.socket.tap(None)
        if self._reader is not None:
            reader, self._reader = self._reader, None
            await self.cancel_task(reader)

    async def _read(self) -> None:
        line = self._line
        while not line.is_lost and (message := await line.socket.receive()) is not None:
            if self._failure is not None:
                raise self._failure
            for event in line.stream.receive(message):
                await self._take(event)
            if line.stream.is_stopped:
                break
        await self.push_frame(EventFrame(CallerHungUp(line.clock.received)))

    def _take_at_once(self, message: str, came_s: float) -> bool:
        """The caller's audio while nothing else is under way, without waking the reader for it.

        What fails here is the reader's to tell.
        """
        line = self._line
        if line.is_lost or line.take_audio is None or line.clock.is_outrun:
            return False
        media = line.stream.usual_media(message)
        if media is None:
            return False
        try:
            line.take_audio(self._placed(media, came_s))
        except Exception as error:
            self._failure = error
            return False
        return True

    def _placed(self, media: Media, came_s: float | None = None) -> CallerAudio:
        at = self._line.clock.place(len(media.payload), media.timestamp_ms, came_s)
        return CallerAudio(at, media.payload)

    async def _take(self, event: object) -> None:
        line = self._line
        match event:
            case Media() if line.clock.is_outrun:
                self._observe(Fault("audio_ahead"))
            case Media():
                audio = self._placed(event)
                if line.take_audio is None:
                    await self.push_frame(CallerAudioFrame(audio))
                else:
                    line.take_audio(audio)
            case DtmfReceived():
                await self.push_frame(EventFrame(Digit(event.digit, line.clock.latest)))
            case MarkReturned():
                ends_at = line.playout.ends_at
                heard = line.playout.mark_returned(event.name, event.was_cleared, line.clock.now())
                for frame in line.report(heard, self._observe):
                    await self.push_frame(frame)
                if heard or line.playout.ends_at != ends_at:
                    line.wake.set()  # what waits for the prompts' end may go on, or longer
            case Fault() | Stopped():
                self._observe(event)


class TransportOut(BaseOutputTransport):
    """Prompts to paced media and marks; `clear` at a barge-in; then whatever waits for silence."""

    def __init__(self, line: Line, params: TransportParams, observe: Observe) -> None:
        """`observe` sees what was played and heard."""
        super().__init__(params, enable_direct_mode=True)
        self._line = line
        self._observe = observe
        self._after: AfterPromptsFrame | None = None
        self._is_playing = False
        self._tasks: list[asyncio.Task[None]] = []
        self.decision: asyncio.Future[Transfer | Disconnect | CallerHungUp] = (
            asyncio.get_running_loop().create_future()
        )

    async def start(self, frame: StartFrame) -> None:
        """Begin to send."""
        await super().start(frame)
        self._tasks = [
            self.create_task(watched(self, work)) for work in (self._pace(), self._write())
        ]

    async def stop(self, frame: EndFrame) -> None:
        """Stop sending."""
        await super().stop(frame)
        await self._stop_sending()

    async def cancel(self, frame: CancelFrame) -> None:
        """Stop sending."""
        await super().cancel(frame)
        await self._stop_sending()

    async def _stop_sending(self) -> None:
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            await self.cancel_task(task)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Take our own frames; Pipecat's base class does the rest."""
        match frame:
            case PromptFrame():
                self._line.playout.enqueue(frame.prompt, frame.barge_in)
                self._line.unheard += 1
                self._line.wake.set()
            case AfterPromptsFrame():
                self._after = frame
                self._line.wake.set()
            case EventFrame(event=BargeInCandidate()):
                self._pause()
            case EventFrame(event=BargeInRejected()):
                self._line.playout.resume()
                self._line.wake.set()
            case EventFrame(event=BargeIn()):
                await self._cut()
            case EventFrame(event=CallerHungUp()):
                self._decide(frame.event)
            case EventFrame():
                pass  # the end of the line for what earlier processors told each other
            case _:
                await super().process_frame(frame, direction)

    def _pause(self) -> None:
        line = self._line
        line.playout.pause(line.clock.now())
        line.send(line.stream.clear())
        line.wake.set()

    async def _cut(self) -> None:
        line = self._line
        if not line.playout.is_paused:
            line.send(line.stream.clear())
        heard = line.playout.clear(line.clock.now())
        line.unheard = 0
        self._is_playing = False
        if self._after is not None and isinstance(self._after.event, PromptEnded):
            # It belongs to what was cut; told later it would pass for the end of the next prompt.
            self._after = None
        if heard is not None:
            self._observe(heard)
            await self.push_frame(EventFrame(heard), FrameDirection.UPSTREAM)
        line.wake.set()

    async def _pace(self) -> None:
        """Send what is due, sleep until more is; everything else happens in `_settle`."""
        line = self._line
        while True:
            now = line.clock.now()
            for item in line.playout.due(now):
                if isinstance(item, SendMark):
                    name, message = line.stream.mark(item.label)
                    line.playout.mark_sent(name, item.label)
                else:
                    message = line.stream.media(item.mulaw)
                    if not self._is_playing:
                        self._is_playing = True
                        self._observe(PromptStarted(now))
                line.send(message)
            await self._settle(now)
            line.wake.clear()
            await self._sleep(line.playout.next_due(now), now)

    async def _sleep(self, due: int | None, now: int) -> None:
        line = self._line
        if due is None and (self._after is not None or line.unheard):
            # The prompts' end is next; a mark that comes late or never is looked out for.
            ends_at = line.playout.ends_at
            due = ends_at if ends_at > now else now + LOOK_SAMPLES
        if due is None:
            await line.wake.wait()
            return
        delay_s = max(due - now, 40) / SAMPLE_RATE_HZ
        # A timer alone: wait_for would make a task's worth of objects at each look.
        timer = asyncio.get_running_loop().call_later(delay_s, line.wake.set)
        try:
            await line.wake.wait()
        finally:
            timer.cancel()

    async def _settle(self, now: int) -> None:
        """Carry out what waited for the end of the prompts."""
        line = self._line
        for frame in line.report(line.playout.settle(now), self._observe):
            await self.push_frame(frame, FrameDirection.UPSTREAM)
        if line.playout.is_audible(now) or not line.playout.is_done or line.playout.is_paused:
            return
        self._is_playing = False
        after = self._after
        if after is None:
            return
        if isinstance(after.event, PromptEnded):
            self._after = None
            await self.push_frame(EventFrame(PromptEnded(now)), FrameDirection.UPSTREAM)
        elif isinstance(after.event, TakeMessage):
            self._after = None
            await self.push_frame(EventFrame(after.event), FrameDirection.UPSTREAM)
        elif line.unheard <= 0:
            # A goodbye must not be cut: it waits for Twilio's own word that it was heard.
            self._after = None
            self._decide(after.event)

    def _decide(self, event: object) -> None:
        if not self.decision.done() and isinstance(event, Transfer | Disconnect | CallerHungUp):
            self.decision.set_result(event)

    def fail(self, error: Exception) -> None:
        """The call cannot go on."""
        if not self.decision.done():
            self.decision.set_exception(error)

    async def _write(self) -> None:
        while True:
            await self._line.socket.send(await self._line.outbox.get())


class TwilioTransport(BaseTransport):
    """Both halves over one line."""

    def __init__(self, line: Line, observe: Observe) -> None:
        """`observe` is called synchronously with every event worth recording."""
        super().__init__()
        params = TransportParams(
            audio_in_enabled=False,  # audio travels in CallerAudioFrame, without Pipecat's queue
            audio_out_enabled=False,  # playout is paced by marks and clock, not by chunks
            audio_in_sample_rate=SAMPLE_RATE_HZ,
            audio_out_sample_rate=SAMPLE_RATE_HZ,
        )
        self._in = TransportIn(line, params, observe)
        self._out = TransportOut(line, params, observe)

    def input(self) -> FrameProcessor:
        """What the caller sends."""
        return self._in

    def output(self) -> TransportOut:
        """What the caller hears."""
        return self._out
