"""A front end's connection to one recogniser process: kept up, watched, and fed."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Sequence
from typing import Protocol

import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from voicebot.engine.wire import (
    MAX_MESSAGE_BYTES,
    PROTOCOL,
    Answer,
    Closed,
    Fault,
    Load,
    Opened,
    Ping,
    Reason,
    State,
    encode,
    from_recogniser,
)

log = structlog.get_logger(__name__)

HEARTBEAT_S = 0.4
LOST_S = 1.3
"""Without any message for so long a replica is lost: calls resume elsewhere within 2 s."""
CONNECT_S = 3.0
RETRY_S, RETRY_MOST_S = 0.1, 2.0
REFUSED_RETRY_S = 10.0
"""After a wrong token: nothing changes that but a person."""
FULL_S = 1.0
"""After "full" other replicas are asked first for so long."""
GATHER_S = 0.01
"""What the calls of a front end have to say within it travels in one message."""
BATCH_BYTES = MAX_MESSAGE_BYTES // 2


def open_connection(url: str, token: str) -> connect:
    """To a replica; an asynchronous context."""
    return connect(
        url,
        additional_headers={"Authorization": f"Bearer {token}"},
        subprotocols=[PROTOCOL],  # type: ignore[list-item]  # a NewType of str
        compression=None,
        max_size=MAX_MESSAGE_BYTES,
        open_timeout=CONNECT_S,
        close_timeout=0.2,
        ping_interval=None,
        proxy=None,
    )


class LinkedCall(Protocol):
    """What a link knows of a call; see asr_serve_call."""

    @property
    def stream(self) -> int:
        """Its number on the link."""

    @property
    def is_urgent(self) -> bool:
        """Whether a caller waits for what it has to say."""

    def frames(self) -> bytes:
        """What the replica should be told now; b"" when nothing."""

    def bereaved(self) -> None:
        """The replica is lost."""

    def opened(self) -> None:
        """The replica has a place for it."""

    def answered(self, answer: Answer) -> None:
        """A request was answered."""

    def closed(self, reason: Reason, why: str) -> None:
        """The replica refused it, or ended it; `why`: what it says of that."""


class Owner(Protocol):
    """Whoever has links; see asr_serve_client.RemoteEngine."""

    def connected(self, link: Link) -> None:
        """It can be used from now on."""

    def lost(self, link: Link, calls: Sequence[LinkedCall], why: str) -> None:
        """It cannot be used any more; these calls need another."""

    def draining(self, link: Link) -> None:
        """The replica is about to leave: its calls should go before it does."""


class Link:
    """Connects again and again until closed."""

    def __init__(self, url: str, token: str, owner: Owner) -> None:
        self.url = url
        self.load: Load | None = None
        self.is_connected = False
        self._token = token
        self._owner = owner
        self._calls: dict[int, LinkedCall] = {}
        self._dirty: dict[int, LinkedCall] = {}
        self._wake = asyncio.Event()
        self._now_or_never = asyncio.Event()
        self._full_until = 0.0
        self._heard_at = 0.0
        self._last_stream = 0
        self._parting: list[bytes] = []
        self._task = asyncio.create_task(self._keep_up())

    async def close(self) -> None:
        """For good: nothing is lost by that."""
        self.is_connected, self._calls = False, {}
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    # ------------------------------------------------------------ the calls' side

    @property
    def fullness(self) -> float:
        """Share of the replica's places that are taken, ours counted as they are now."""
        if self.load is None:
            return 1.0
        return max(self.load.live, len(self._calls)) / max(1, self.load.capacity)

    @property
    def is_leaving(self) -> bool:
        """Whether the replica drains: calls should go elsewhere."""
        return self.load is not None and self.load.state is State.DRAINING

    def takes_calls(self, now: float) -> bool:
        """Whether it is worth asking it for a place."""
        if not self.is_connected or self.load is None or now < self._full_until:
            return False
        return self.load.state is State.OPEN

    def add(self, call: LinkedCall) -> int:
        """The call speaks to this replica from now on, as the stream returned."""
        self._last_stream = self._last_stream % (2**32 - 1) + 1
        self._calls[self._last_stream] = call
        return self._last_stream

    def remove(self, stream: int, parting: bytes = b"") -> None:
        """The call left; `parting` tells the replica."""
        self._calls.pop(stream, None)
        self._dirty.pop(stream, None)
        if parting and self.is_connected:
            self._parting.append(parting)
            self._wake.set()

    def wake(self, call: LinkedCall) -> None:
        """The call has something to say; see LinkedCall.frames."""
        self._dirty[call.stream] = call
        self._wake.set()
        if call.is_urgent:
            self._now_or_never.set()

    def avoid(self) -> None:
        """Ask others first for a while."""
        self._full_until = asyncio.get_running_loop().time() + FULL_S

    def give_up(self, why: str) -> None:
        """It answers no more, whatever the socket says."""
        if self.is_connected:
            self._fail(why)
            self._task.cancel()
            self._task = asyncio.create_task(self._keep_up())

    # ------------------------------------------------------------ the socket's side

    async def _keep_up(self) -> None:
        wait, told = RETRY_S, ""
        while True:
            try:
                async with open_connection(self.url, self._token) as connection:
                    why = await self._use(connection)
                wait, told = RETRY_S, ""
            except InvalidStatus as error:
                status = error.response.status_code
                why = f"refused with HTTP status {status}"
                wait = REFUSED_RETRY_S if status in {400, 401} else wait
            except (OSError, TimeoutError, InvalidHandshake, ConnectionClosed, EOFError) as error:
                why = type(error).__name__
            finally:
                self._fail("connection lost")
            if why != told:  # not at each of many tries
                log.warning("recogniser not connected", url=self.url, why=why)
            told = why
            await asyncio.sleep(wait * random.uniform(0.7, 1.3))
            wait = max(wait, min(wait * 2, RETRY_MOST_S))

    async def _use(self, connection: ClientConnection) -> str:
        """Until it is lost; why."""
        self._heard_at = asyncio.get_running_loop().time()
        work = [
            asyncio.create_task(part)
            for part in (self._read(connection), self._write(connection), self._watch())
        ]
        try:
            done, _ = await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in work:
                task.cancel()
            results = await asyncio.gather(*work, return_exceptions=True)
        for task in done:
            error = task.exception()
            if error is not None and not isinstance(error, ConnectionClosed):
                log.error("connection to a recogniser failed", exc_info=error)
        told = [result for result in results if isinstance(result, str)]
        why = told[0] if told else "connection lost"
        self._fail(why)
        if why == "silent":
            connection.transport.abort()  # a closing handshake would wait for it
        return why

    async def _read(self, connection: ClientConnection) -> str:
        async for data in connection:
            self._heard_at = asyncio.get_running_loop().time()
            if isinstance(data, str):
                return "malformed frame"
            for message in from_recogniser(data):
                if isinstance(message, Fault):
                    return "malformed frame"
                self._take(message)
        return "connection lost"

    def _take(self, message: Opened | Closed | Answer | Load) -> None:
        if isinstance(message, Load):
            was_draining = self.load is not None and self.load.state is State.DRAINING
            self.load = message
            if not self.is_connected:
                self.is_connected = True
                log.info("recogniser connected", url=self.url, capacity=message.capacity)
                self._owner.connected(self)
            if message.state is State.DRAINING and not was_draining:
                self._owner.draining(self)
            return
        call = self._calls.get(message.stream)
        if call is None:
            return  # it left meanwhile
        match message:
            case Opened():
                call.opened()
            case Answer():
                call.answered(message)
            case Closed():
                self.remove(message.stream)
                if message.reason in {Reason.FULL, Reason.TOO_MANY, Reason.DEVICE_LOST}:
                    self._full_until = asyncio.get_running_loop().time() + FULL_S
                call.closed(message.reason, message.why)

    async def _write(self, connection: ClientConnection) -> str:
        while True:
            await self._wake.wait()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._now_or_never.wait(), GATHER_S)
            self._wake.clear()
            self._now_or_never.clear()
            for data in self._gathered():
                await connection.send(data)

    def _gathered(self) -> list[bytes]:
        """Messages of what all calls have to say, none too large."""
        dirty, self._dirty = self._dirty, {}
        frames, self._parting = self._parting, []
        for call in dirty.values():
            try:
                frames.append(call.frames())
            except Exception:
                log.exception("a call has nothing that could be sent")  # the others do
        batches: list[list[bytes]] = [[]]
        size = 0
        for frame in frames:
            if size + len(frame) > BATCH_BYTES and batches[-1]:
                batches.append([])
                size = 0
            batches[-1].append(frame)
            size += len(frame)
        return [data for batch in batches if (data := b"".join(batch))]

    async def _watch(self) -> str:
        """Heartbeats out; silence noticed."""
        nonce = 0
        loop = asyncio.get_running_loop()
        while True:
            nonce = (nonce + 1) % 2**32
            self._parting.append(encode(Ping(nonce)))
            self._wake.set()
            self._now_or_never.set()
            await asyncio.sleep(HEARTBEAT_S)
            if loop.time() - self._heard_at > LOST_S:
                return "silent"

    def _fail(self, why: str) -> None:
        """Its calls go elsewhere. Idempotent."""
        was_connected, self.is_connected, self.load = self.is_connected, False, None
        calls = list(self._calls.values())
        self._calls, self._dirty, self._parting = {}, {}, []
        if was_connected or calls:
            self._owner.lost(self, calls, why)
