"""Whole calls in virtual time: real pipeline, rooms and protocol; scripted ears and voice.

The caller's turns are tones, each of its own length, and the scripted recogniser knows the
words by the length of the tone. The bot's prompts are 50 ms of tone a character.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import partial
from pathlib import Path

import numpy as np
from fakes import InlineEngine, LoudnessVad, ScriptedRecogniser
from numpy.typing import NDArray
from pipecat.processors.frame_processor import FrameProcessor

from voicebot.audio import mulaw
from voicebot.audio.playout import Playout
from voicebot.dialogue.machine import Machine
from voicebot.dialogue.plan import load_plan
from voicebot.dialogue.session import Session
from voicebot.engine.runner import Runner
from voicebot.events import CallService, CallStarted, PhraseEnd, Say, SpokenPrompt
from voicebot.nlu.interpreter import completeness, interpret, interpret_keys
from voicebot.pipeline.build import Decision, Parts, build
from voicebot.pipeline.clock import CallClock
from voicebot.pipeline.converse import Ask
from voicebot.pipeline.message import Keep
from voicebot.pipeline.services import FromStt, FromTts, ToStt, ToTts
from voicebot.pipeline.transport import Line
from voicebot.telephony.media_stream import MediaStream
from voicebot.telephony.simulator import CallerTurn, ScriptedCaller, SimulatedCall, tick
from voicebot.turns.barge_in import BargeInPolicy
from voicebot.turns.endpointer import Endpointer
from voicebot.turns.listener import Listener
from voicebot.turns.vad import SpeechDetector

SAMPLES_PER_CHAR = 400
TODAY = date(2026, 11, 20)


def tone(samples: int) -> bytes:
    wave = np.sin(np.arange(samples) * 2 * np.pi * 440 / 8000) * 8000
    return mulaw.encode(wave.astype(np.int16))


class Script:
    """What the caller says: (words | keys, seconds into the prompt | None) in order."""

    def __init__(self, *turns: tuple[str, float | None], pause_in: int | None = None) -> None:
        self.turns: list[CallerTurn] = []
        self.words: list[str] = []
        for words, over_s in turns:
            if set(words) <= set("0123456789*#"):
                self.turns.append(CallerTurn(keys=words, over_s=over_s, label=words))
                continue
            self.words.append(words)
            audio = tone(4000 + 1600 * len(self.words))  # its length tells which turn it is
            self.turns.append(CallerTurn(audio=audio, over_s=over_s, label=words))

    def recognise(self, samples: NDArray[np.float32]) -> str:
        """The words of the turn whose tone is in these 16 kHz samples; of a partial, none."""
        loud = np.flatnonzero(np.abs(samples) > 0.05)
        if not len(loud):
            return ""
        length = (loud[-1] - loud[0]) / 2
        turn = round((length - 4000) / 1600) - 1
        return self.words[turn] if 0 <= turn < len(self.words) else ""


def render(parts: Sequence[str | Say]) -> SpokenPrompt:
    text = "".join(part if isinstance(part, str) else part.value for part in parts)
    ends = [index for index, char in enumerate(text) if char == " "] + [len(text)]
    word_ends = tuple(PhraseEnd(end * SAMPLES_PER_CHAR, end) for end in ends)
    return SpokenPrompt(text, tone(len(text) * SAMPLES_PER_CHAR), word_ends)


@dataclass
class Outcome:
    """What happened."""

    decision: Decision
    events: list[object]
    call: SimulatedCall
    caller: ScriptedCaller
    machine: Machine
    sent: list[str] = field(default_factory=list)

    def of(self, kind: type) -> list:  # type: ignore[type-arg]
        return [event for event in self.events if isinstance(event, kind)]


class Wire:
    """Between the pipeline and the simulated Twilio; `hostile` messages come in as well."""

    def __init__(self, call: SimulatedCall, caller: ScriptedCaller) -> None:
        self.call = call
        self.caller = caller
        self.inbox: asyncio.Queue[str | bytes | None] = asyncio.Queue()
        self.sent: list[str] = []
        self.hostile: list[str | bytes] = []
        self.lose_at_s: float | None = None
        self.drop: tuple[float, float] = (0.0, 0.0)  # audio lost between these times
        self.hold: tuple[float, float] = (0.0, 0.0)  # audio of between comes at the end, at once
        self.asleep: tuple[float, float] = (0.0, 0.0)  # sends nothing; its stamps do not tell
        self.keys: dict[float, str] = {}  # pressed when
        self._held: list[str] = []
        self._tap: Callable[[str, float], bool] | None = None
        self._is_awaited = False
        self._ticks = 0

    async def receive(self) -> str | bytes | None:
        self._is_awaited = True
        try:
            return await self.inbox.get()
        finally:
            self._is_awaited = False

    def tap(self, take: Callable[[str, float], bool] | None) -> None:
        self._tap = take

    def _come(self, message: str | bytes | None) -> None:
        """To the tap, while the reader waits; otherwise, and what it refuses, to `receive`."""
        is_idle = self._is_awaited and self.inbox.empty()
        take = self._tap if is_idle and isinstance(message, str) else None
        if take is None or not take(message, self._now_s):
            self.inbox.put_nowait(message)

    async def send(self, text: str) -> None:
        self.sent.append(text)
        for mark in self.call.receive(text, self._now_s):
            self.inbox.put_nowait(mark)

    @property
    def _now_s(self) -> float:
        return asyncio.get_running_loop().time()

    async def run(self) -> None:
        while not self.call.is_over:
            now_s = self._ticks * 0.02
            await asyncio.sleep(max(0.0, now_s + 0.02 - self._now_s))
            self._ticks += 1
            if self.lose_at_s is not None and now_s >= self.lose_at_s:
                self._come(None)
                return
            for message in self.hostile:
                self._come(message)
            step = tick(self.call, self.caller)
            self._deliver(step.messages, now_s)
            for at_s in [at_s for at_s in self.keys if at_s <= now_s]:
                self._come(self.call.press(self.keys.pop(at_s)))

    def _deliver(self, messages: Sequence[str], now_s: float) -> None:
        is_dropped = self.drop[0] <= now_s < self.drop[1]
        if not (is_held := self.hold[0] <= now_s < self.hold[1]):
            while self._held:
                self._come(self._held.pop(0))
        for message in messages:
            is_media = '"media"' in message[:16]
            if is_media and now_s >= self.asleep[0]:
                if now_s < self.asleep[1]:
                    continue
                message = _stamped_earlier(message, self.asleep[1] - self.asleep[0])
            if is_media and is_held:
                self._held.append(message)
            elif not (is_dropped and is_media):
                self._come(message)


def _stamped_earlier(message: str, by_s: float) -> str:
    fields = json.loads(message)
    fields["media"]["timestamp"] = str(int(fields["media"]["timestamp"]) - round(by_s * 1000))
    return json.dumps(fields)


async def call(
    plan: Path,
    script: Script,
    *,
    replies: Mapping[str, Mapping[str, object]] | None = None,
    patience_s: float = 20.0,
    hostile: Sequence[str | bytes] = (),
    lose_at_s: float | None = None,
    drop: tuple[float, float] = (0.0, 0.0),
    hold: tuple[float, float] = (0.0, 0.0),
    asleep: tuple[float, float] = (0.0, 0.0),
    keys: Mapping[float, str] | None = None,
    stt: Callable[[], FrameProcessor] | None = None,
    tts: Callable[[], FrameProcessor] | None = None,
    runner: Runner | None = None,
    turns: Sequence[CallerTurn] | None = None,
    service_s: float = 0.0,
    ask: Ask | None = None,
    keep: Keep | None = None,
) -> Outcome:
    """Run one call to its end; `runner` and `turns` take the place of the scripted ones."""
    simulated = SimulatedCall(call_sid="CA1", stream_sid="MZ1")
    caller = ScriptedCaller(turns or script.turns, patience_s=patience_s)
    wire = Wire(simulated, caller)
    wire.hostile, wire.lose_at_s, wire.drop = list(hostile), lose_at_s, drop
    wire.hold, wire.asleep, wire.keys = hold, asleep, dict(keys or {})
    stream = MediaStream()
    for message in simulated.opening():
        stream.receive(message)
    events: list[object] = []
    machine = Machine(load_plan(plan), datetime(2026, 11, 20, 9, 30))
    clock, playout = CallClock(asyncio.get_running_loop().time), Playout()
    if runner is None:
        ears = ScriptedRecogniser(script.recognise)
        runner = Runner(8, LoudnessVad(), ears)  # type: ignore[arg-type]

    async def service(action: CallService) -> Mapping[str, object]:
        await asyncio.sleep(service_s)
        return (replies or {})[action.name]

    async def render_later(parts: tuple[str | Say, ...], language: str) -> SpokenPrompt:
        await asyncio.sleep(0.03)  # real voices take a while
        prompt = render(parts)
        return prompt if tts is None else SpokenPrompt(prompt.text, b"")

    built = build(
        Parts(
            line=Line(wire, stream, clock, playout),
            engine=InlineEngine(runner),  # type: ignore[arg-type]
            listener=Listener(
                completeness=completeness,
                detector=SpeechDetector(),
                endpointer=Endpointer(),
                barge_in=BargeInPolicy(),
                spells_hot_word=stt is not None,
            ),
            session=Session(
                machine, interpret=partial(interpret, today=TODAY), interpret_keys=interpret_keys
            ),
            service=service,
            render=render_later,
            observe=events.append,
            ask=ask,
            keep=keep,
            stt=[ToStt(), stt(), FromStt()] if stt else [],
            tts=[ToTts(), tts(), FromTts()] if tts else [],
        )
    )
    twilio = asyncio.create_task(wire.run())
    decision = await built.run(CallStarted())
    twilio.cancel()
    return Outcome(decision, events, simulated, caller, machine, wire.sent)
