"""Actions to rendered prompts, in order; a barge-in drops what waits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from pipecat.frames.frames import CancelFrame, EndFrame, Frame, StartFrame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from voicebot.events import (
    BargeIn,
    Disconnect,
    Listen,
    Play,
    PromptEnded,
    Say,
    SpokenPrompt,
    Transfer,
)
from voicebot.pipeline.failure import watched
from voicebot.pipeline.frames import AfterPromptsFrame, EventFrame, PromptFrame

Parts = tuple[str | Say, ...]
Render = Callable[[Parts], Awaitable[SpokenPrompt]]


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
            case EventFrame(event=Play() | Listen() | Transfer() | Disconnect()):
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
                prompt = await self._render(action.parts)
                if cuts == self._cuts and (prompt.mulaw or prompt.text):
                    await self.push_frame(PromptFrame(prompt, barge_in=action.barge_in))
            elif isinstance(action, Listen):
                await self.push_frame(AfterPromptsFrame(PromptEnded(0)))
            else:
                await self.push_frame(AfterPromptsFrame(action))
