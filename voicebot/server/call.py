"""Runs one admitted call: builds its parts, observes it, and turns its end into a decision."""

from __future__ import annotations

import asyncio
import wave
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from voicebot.audio import mulaw
from voicebot.audio.playout import Playout
from voicebot.config import NO_RECOGNISER, Settings
from voicebot.dialogue.expectations import expectation, places
from voicebot.dialogue.hours import local
from voicebot.dialogue.machine import Machine
from voicebot.dialogue.plan import Plan
from voicebot.dialogue.session import Session
from voicebot.engine.ears import make_listener
from voicebot.engine.engine import Engine
from voicebot.errors import ServiceFailed
from voicebot.events import (
    SAMPLE_RATE_HZ,
    CallService,
    CallStarted,
    Expectation,
    Hypothesis,
    Interpretation,
    Say,
    SlotValue,
    SpokenPrompt,
    Transfer,
)
from voicebot.nlu.interpreter import interpret, interpret_keys, prepare
from voicebot.pipeline.build import Decision, Parts, build
from voicebot.pipeline.clock import CallClock
from voicebot.pipeline.language_model import LanguageModel
from voicebot.pipeline.services import FromStt, FromTts, ToStt, ToTts
from voicebot.pipeline.transport import Line
from voicebot.server.admission import AdmittedCall
from voicebot.server.call_observer import CallObserver
from voicebot.server.directory import CallDecision
from voicebot.server.media_socket import MediaSocket, SocketEnd
from voicebot.server.services import Services
from voicebot.speech.prompts import Prompts
from voicebot.telephony.media_stream import MediaStream

if TYPE_CHECKING:
    from pipecat.processors.frame_processor import FrameProcessor

Spoken = tuple[str | Say, ...]
MESSAGE_SAMPLES = SAMPLE_RATE_HZ // 5
"""Longest media message, 200 ms: few messages, and little to take back."""


@dataclass(frozen=True, slots=True)
class CallParts:
    """What all calls of a process share.

    `stt`, `tts`: factories of Pipecat services, `model`: the language model, if any.
    """

    settings: Settings
    plan: Plan
    engine: Engine
    prompts: Prompts
    services: Services
    hot_word_threshold: float
    stt: Callable[[], FrameProcessor] | None = None
    tts: Callable[[], FrameProcessor] | None = None
    model: LanguageModel | None = None
    now: datetime | None = None
    """When calls begin, where that is not the present: scenarios say so."""


async def run_call(
    parts: CallParts,
    observer: CallObserver,
    socket: MediaSocket,
    stream: MediaStream,
    admitted: AdmittedCall,
) -> CallDecision:
    """Answer the caller and converse until the dialogue, or the caller, ends the call."""
    settings = parts.settings
    started_at = parts.now or datetime.now().astimezone()
    clock = CallClock(asyncio.get_running_loop().time)
    ahead = settings.speech.ahead_ms * SAMPLE_RATE_HZ // 1000
    playout = Playout(ahead_samples=ahead, message_samples=min(MESSAGE_SAMPLES, ahead // 2))
    line = Line(socket, stream, clock, playout)
    machine = Machine(parts.plan, started_at)
    observer.attach(clock, playout, machine)
    call = build(
        Parts(
            line=line,
            engine=parts.engine,
            listener=make_listener(
                playout.speaking,
                is_local=parts.stt is None,
                partial_interval_ms=settings.asr.partial_interval_ms,
                hot_word_threshold=parts.hot_word_threshold,
                has_own_hot_word=bool(settings.turns.hot_word_models),
                hears_words=settings.asr.service != NO_RECOGNISER,
            ),
            session=_session(machine, local(parts.plan.keys, started_at)),
            service=partial(_call_service, parts.services, stream.call_sid),
            ask=parts.model.ask if parts.model is not None else None,
            keep=partial(_keep_message, settings.store.recordings_dir / stream.call_sid),
            render=partial(_render, parts),
            observe=observer.observe,
            stt=[ToStt(), parts.stt(), FromStt()] if parts.stt else [],
            tts=[ToTts(), parts.tts(), FromTts()] if parts.tts else [],
        )
    )
    decision = await call.run(CallStarted(0, admitted.parameters))
    observer.decided(decision, left=_who_left(socket, stream))
    return _decision(decision, parts.prompts)


def _session(machine: Machine, begun: datetime) -> Session:
    """Reads what is said in the light of the caller's day, and of the time that it is by then."""
    seconds = asyncio.get_running_loop().time
    answered = seconds()

    def read(
        hypothesis: Hypothesis, expectation: Expectation, *, recent: Sequence[SlotValue]
    ) -> Interpretation:
        now = (begun + timedelta(seconds=seconds() - answered)).time()
        return interpret(hypothesis, expectation, today=begun.date(), now=now, recent=recent)

    return Session(machine, interpret=read, interpret_keys=interpret_keys)


async def _call_service(
    services: Services, call_sid: str, action: CallService
) -> Mapping[str, object]:
    return await services.call(action.name, action.arguments, call_sid=call_sid, call_id=action.id)


async def _keep_message(folder: Path, id: str, caller: bytes) -> str:
    """A message of the caller's as a WAV file of its own."""
    path = folder / f"{id}.wav"

    def write() -> None:
        folder.mkdir(parents=True, exist_ok=True)
        with wave.open(str(path), "wb") as file:
            file.setparams((1, 2, SAMPLE_RATE_HZ, 0, "NONE", ""))
            file.writeframes(mulaw.decode(caller).tobytes())

    try:
        await asyncio.to_thread(write)
    except OSError as error:
        raise ServiceFailed(f"message: {path} cannot be written ({error.strerror})") from None
    return str(path)


async def _render(parts: CallParts, spoken: Spoken, language: str) -> SpokenPrompt:
    """Audio of a prompt; only its text where a Pipecat service will speak it."""
    if parts.tts is not None:
        return SpokenPrompt(parts.prompts.text(spoken, language), b"")
    if parts.prompts.is_ready(spoken, language):
        return parts.prompts.render(spoken, language)  # from memory or a small file
    return await asyncio.to_thread(parts.prompts.render, spoken, language)


def _who_left(socket: MediaSocket, stream: MediaStream) -> str:
    """Why a call that the dialogue did not end is over."""
    if stream.is_stopped:
        return "caller_hung_up"
    return "connection_lost" if socket.end in {None, SocketEnd.PEER} else socket.end.value


def _decision(decision: Decision, prompts: Prompts) -> CallDecision:
    if not isinstance(decision, Transfer):
        return CallDecision()
    return CallDecision(
        transfer_to=decision.destination or None,
        summary=prompts.text(decision.summary),
        queue=decision.queue,
        hold_prompt=decision.hold_prompt,
        hold_music=decision.hold_music,
    )


def render_ahead(prompts: Prompts, plan: Plan) -> None:
    """Render the plan's fixed prompts, so that no caller waits for one."""
    for language in ("", *plan.translations):
        for spoken in plan.static_prompts(language):
            prompts.render(spoken, language)


def understand_ahead(plan: Plan) -> None:
    """Compile and learn what the plan waits for, so that no caller waits for it."""
    for language in plan.languages:
        keys = plan.in_language(language)
        for place in places(keys):
            prepare(expectation(keys, place))


def plan_folder(plan: Plan) -> Path:
    """Where the plan's Python services are looked for."""
    return plan.path.resolve().parent
