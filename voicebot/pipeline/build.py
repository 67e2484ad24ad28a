"""The pipeline of one call. Read `build` as the flow of a caller's voice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pipecat.frames.frames import EndFrame, ErrorFrame, Frame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.workers.runner import WorkerRunner

from voicebot.dialogue.session import Session
from voicebot.engine.engine import Engine
from voicebot.events import SAMPLE_RATE_HZ, CallerHungUp, CallStarted, Disconnect, Transfer
from voicebot.pipeline.converse import Ask, Converse, Service
from voicebot.pipeline.failure import failure_of
from voicebot.pipeline.frames import EventFrame
from voicebot.pipeline.hear import Hear
from voicebot.pipeline.message import Keep
from voicebot.pipeline.speak import Render, Speak
from voicebot.pipeline.transport import Line, TransportOut, TwilioTransport
from voicebot.turns.listener import Listener

Decision = Transfer | Disconnect | CallerHungUp


@dataclass(frozen=True, slots=True)
class Parts:
    """What one call is made of; `stt` and `tts` hold Pipecat services where configured.

    `ask` asks the language model, `keep` stores messages of callers, where there are any.
    """

    line: Line
    engine: Engine
    listener: Listener
    session: Session
    service: Service
    render: Render
    observe: Callable[[object], None]
    stt: Sequence[FrameProcessor] = ()
    tts: Sequence[FrameProcessor] = ()
    ask: Ask | None = None
    keep: Keep | None = None


class Call:
    """One live call."""

    def __init__(self, worker: PipelineWorker, out: TransportOut) -> None:
        """Made by `build`."""
        self._worker = worker
        self._out = out

    async def run(self, started: CallStarted) -> Decision:
        """Answer, converse, and say how the call ended; the socket is still open then.

        Raises what a processor raised: nothing of this call works any more then.
        """

        async def greet(worker: PipelineWorker, frame: Frame) -> None:
            await worker.queue_frame(EventFrame(started))

        async def fail(worker: PipelineWorker, frame: ErrorFrame) -> None:
            if (error := failure_of(frame)) is not None:
                self._out.fail(error)

        self._worker.add_event_handler("on_pipeline_started", greet)
        self._worker.add_event_handler("on_pipeline_error", fail)
        runner = WorkerRunner(handle_sigint=False, check_dangling_tasks=False)
        await runner.add_workers(self._worker)
        self._out.decision.add_done_callback(
            lambda _: runner.create_task(self._worker.queue_frame(EndFrame()))
        )
        await runner.run()
        if not self._out.decision.done():
            raise RuntimeError("the pipeline ended before the call was decided")
        return self._out.decision.result()


def build(parts: Parts) -> Call:
    """transport in -> hear -> [STT service] -> converse -> speak -> [TTS service] -> out."""
    transport = TwilioTransport(parts.line, parts.observe)
    hear = Hear(
        parts.engine,
        parts.listener,
        parts.line.clock,
        parts.line.playout,
        parts.observe,
        is_local=not parts.stt,
        keep=parts.keep,
    )
    if not parts.stt:
        parts.line.take_audio = hear.take_audio
    pipeline = Pipeline(
        [
            transport.input(),
            hear,
            *parts.stt,
            Converse(parts.session, parts.service, parts.observe, parts.ask),
            Speak(parts.render, parts.observe),
            *parts.tts,
            transport.output(),
        ]
    )
    worker = PipelineWorker(
        pipeline,
        params=PipelineParams(
            audio_in_sample_rate=SAMPLE_RATE_HZ, audio_out_sample_rate=SAMPLE_RATE_HZ
        ),
        # RTVI, turn tracking and idle timers look at every frame; the rooms do that work.
        enable_rtvi=False,
        enable_turn_tracking=False,
        idle_timeout_secs=None,
        cancel_on_idle_timeout=False,
        check_dangling_tasks=False,
    )
    return Call(worker, transport.output())
