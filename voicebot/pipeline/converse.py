"""The caller's turns to the dialogue, the dialogue's actions to the voice and the ears."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from pipecat.frames.frames import CancelFrame, EndFrame, Frame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from voicebot.dialogue.session import Session
from voicebot.errors import VoicebotError
from voicebot.events import (
    Action,
    CallerHungUp,
    CallerTurn,
    CallService,
    CallStarted,
    KeysEntered,
    Listen,
    NoInput,
    PromptHeard,
    ServiceReply,
)
from voicebot.pipeline.failure import watched
from voicebot.pipeline.frames import EventFrame

Service = Callable[[str, Mapping[str, str]], Awaitable[Mapping[str, object]]]
UPSTREAM = FrameDirection.UPSTREAM


class Converse(FrameProcessor):
    """Feeds the session and carries out what it decides."""

    def __init__(
        self, session: Session, service: Service, observe: Callable[[object], None]
    ) -> None:
        """`service(name, arguments)` runs a call-out; VoicebotError means that it failed."""
        super().__init__(enable_direct_mode=True)
        self._session = session
        self._service = service
        self._observe = observe
        self._calls: set[asyncio.Task[None]] = set()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Dialogue events go to the session, which answers with actions."""
        await super().process_frame(frame, direction)
        match frame:
            case EventFrame(
                event=CallStarted() | CallerTurn() | KeysEntered() | NoInput() as event
            ):
                await self._act(self._session.handle(event))
            case EventFrame(event=PromptHeard() as heard):
                await self._act(self._session.handle(heard))
            case EventFrame(event=CallerHungUp() as gone):
                self._session.handle(gone)
                await self.push_frame(frame, direction)
            case EndFrame() | CancelFrame():
                for call in list(self._calls):  # nobody waits for what they answer
                    await self.cancel_task(call)
                await self.push_frame(frame, direction)
            case _:
                await self.push_frame(frame, direction)

    async def _act(self, events: Sequence[object]) -> None:
        for event in events:
            self._observe(event)
            if isinstance(event, CallService):
                call = self.create_task(watched(self, self._call(event)))
                self._calls.add(call)
                call.add_done_callback(self._calls.discard)
            elif isinstance(event, Action):
                if isinstance(event, Listen):
                    await self.push_frame(EventFrame(event), UPSTREAM)
                await self.push_frame(EventFrame(event))

    async def _call(self, action: CallService) -> None:
        try:
            reply = ServiceReply(action.id, await self._service(action.name, action.arguments))
        except VoicebotError as error:
            reply = ServiceReply(action.id, error=str(error))
        self._observe(reply)
        await self._act(self._session.handle(reply))
