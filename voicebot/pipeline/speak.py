"""Actions to rendered prompts, in order; a barge-in drops what waits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import numpy as np
from pipecat.frames.frames import CancelFrame, EndFrame, Frame, StartFrame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from voicebot.audio import mulaw
from voicebot.events import (
    SAMPLE_RATE_HZ,
    BargeIn,
    BargeInMode,
    Disconnect,
    Listen,
    Play,
    PromptEnded,
    Say,
    SpokenPrompt,
    TakeMessage,
    Transfer,
)
from voicebot.pipeline.failure import watched
from voicebot.pipeline.frames import AfterPromptsFrame, EventFrame, PromptFrame

Parts = tuple[str | Say, ...]
Render = Callable[[Parts, str], Awaitable[SpokenPrompt]]
"""A prompt's parts and their language to audio."""


def _tone() -> SpokenPrompt:
    """Half a second of 1 kHz at a quarter of full scale, with soft edges."""
    times = np.arange(SAMPLE_RATE_HZ // 2) / SAMPLE_RATE_HZ
    edges = np.clip(np.minimum(times, times[::-1]) / 0.01, 0.0, 1.0)
    wave = 8000 * edges * np.sin(2 * np.pi * 1000 * times)
    return SpokenPrompt("", mulaw.encode(wave.astype(np.int16)))


TONE = _tone()
"""Says when a message is recorded."""


class Speak(FrameProcessor):
    """Renders one action after the other in a task of its own: rendering may take a while."""

    def __init__(self, render: Render, observe: Callable[[object], None]) -> None:
        """`render` turns a prompt's parts into audio."""
        super().__init__(enable_direct_mode=True)
        self._render = render
        self._observe = observe
        self._actions: asyncio.Queue[object] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self._cuts = 0  # prompts rendered across a barge-in are stale

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Queue actions; pass everything else on."""
        await super().process_frame(frame, direction)
        match frame:
            case EventFrame(
                event=Play() | Listen() | TakeMessage() | Transfer() | Disconnect()
            ) if direction is FrameDirection.DOWNSTREAM:
                self._actions.put_nowait(frame.event)
                return
            case EventFrame(event=BargeIn()):
                self._drop_prompts()
            case StartFrame():
                self._task = self.create_task(watched(self, self._work()))
            case EndFrame() | CancelFrame():
                if self._task is not None:
                    await self.cancel_task(self._task)
        await self.push_frame(frame, direction)

    def _drop_prompts(self) -> None:
        self._cuts += 1
        # The Listen after a cut prompt is being answered already: its prompt's end means nothing.
        kept = [action for action in self._drain() if not isinstance(action, Play | Listen)]
        for action in kept:
            self._actions.put_nowait(action)

    def _drain(self) -> list[object]:
        drained = []
        while not self._actions.empty():
            drained.append(self._actions.get_nowait())
        return drained

    async def _work(self) -> None:
        while True:
            action = await self._actions.get()
            if isinstance(action, Play):
                cuts = self._cuts
                prompt = await self._render(action.parts, action.language)
                if cuts == self._cuts and (prompt.mulaw or prompt.text):
                    await self.push_frame(PromptFrame(prompt, barge_in=action.barge_in))
            elif isinstance(action, Listen):
                await self.push_frame(AfterPromptsFrame(PromptEnded(0)))
            else:
                if isinstance(action, TakeMessage) and action.has_tone:
                    await self.push_frame(PromptFrame(TONE, barge_in=BargeInMode.NONE))
                await self.push_frame(AfterPromptsFrame(action))
