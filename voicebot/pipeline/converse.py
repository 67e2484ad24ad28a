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
    AskModel,
    CallerHungUp,
    CallerTurn,
    CallService,
    CallStarted,
    KeysEntered,
    Listen,
    MessageTaken,
    ModelReply,
    NoInput,
    Note,
    PromptHeard,
    ServiceReply,
)
from voicebot.pipeline.failure import watched
from voicebot.pipeline.frames import EventFrame

Service = Callable[[CallService], Awaitable[Mapping[str, object]]]
Ask = Callable[[AskModel], Awaitable[str]]
UPSTREAM = FrameDirection.UPSTREAM


class Converse(FrameProcessor):
    """Feeds the session and carries out what it decides."""

    def __init__(
        self,
        session: Session,
        service: Service,
        observe: Callable[[object], None],
        ask: Ask | None = None,
    ) -> None:
        """`service` runs a call-out, `ask` a language model; VoicebotError: they failed."""
        super().__init__(enable_direct_mode=True)
        self._session = session
        self._service = service
        self._observe = observe
        self._ask = ask
        self._calls: set[asyncio.Task[None]] = set()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Dialogue events go to the session, which answers with actions."""
        await super().process_frame(frame, direction)
        match frame:
            case EventFrame(
                event=CallStarted()
                | CallerTurn()
                | KeysEntered()
                | NoInput()
                | MessageTaken() as event
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
            if isinstance(event, CallService | AskModel):
                call = self.create_task(watched(self, self._answer(event)))
                self._calls.add(call)
                call.add_done_callback(self._calls.discard)
            elif isinstance(event, Action) and not isinstance(event, Note):
                if isinstance(event, Listen):
                    await self.push_frame(EventFrame(event), UPSTREAM)
                await self.push_frame(EventFrame(event))

    async def _answer(self, action: CallService | AskModel) -> None:
        """Ask whoever is meant, and go on with the answer."""
        if isinstance(action, CallService):
            reply: ServiceReply | ModelReply = await self._call(action)
        else:
            reply = await self._consult(action)
        self._observe(reply)
        await self._act(self._session.handle(reply))

    async def _call(self, action: CallService) -> ServiceReply:
        service = asyncio.ensure_future(self._service(action))
        try:
            if action.filler:
                await asyncio.wait({service}, timeout=action.filler_after_ms / 1000)
                if not service.done():
                    await self._act(action.filler)
            return ServiceReply(action.id, await service)
        except VoicebotError as error:
            return ServiceReply(action.id, error=str(error))
        finally:
            service.cancel()

    async def _consult(self, action: AskModel) -> ModelReply:
        if self._ask is None:
            return ModelReply(action.id, error="no language model is configured")
        try:
            async with asyncio.timeout(action.timeout_ms / 1000):
                return ModelReply(action.id, await self._ask(action))
        except TimeoutError:
            return ModelReply(action.id, error=f"no reply in {action.timeout_ms / 1000:g} s")
        except VoicebotError as error:
            return ModelReply(action.id, error=str(error))
