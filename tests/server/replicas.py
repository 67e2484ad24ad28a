"""Recogniser processes inside a test, whose recogniser tells levels: no word can hide a loss."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence

import numpy as np
from fakes import LoudnessVad
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry
from websockets.asyncio.client import ClientConnection, connect

from voicebot.audio import mulaw
from voicebot.engine.engine import Engine, Recognised
from voicebot.engine.kept_audio import ReplicaRunner
from voicebot.engine.runner import Result, Runner
from voicebot.engine.scheduler import JobKind
from voicebot.engine.wire import (
    PROTOCOL,
    Ask,
    Audio,
    Fault,
    FromFrontEnd,
    FromRecogniser,
    Open,
    Opened,
    encode,
    from_recogniser,
)
from voicebot.events import Hypothesis
from voicebot.monitoring.metrics import Metrics
from voicebot.monitoring.recogniser_metrics import FrontEndMetrics
from voicebot.server.asr_serve import Replica, listening
from voicebot.server.asr_serve_client import RemoteEngine

TOKEN = "a-secret"
WORD = 800
"""Samples of a word: 100 ms of a tone at one level."""
PERIOD = 16


def said(*words: int) -> bytes:
    """mu-law of words; a word is a number from 1 to 30, and a tone that loud."""
    loud = np.repeat(np.array(words) * 1000.0, WORD)
    tone = np.sin(np.arange(len(loud)) * (2 * np.pi / PERIOD))
    return mulaw.encode((loud * tone).round().astype(np.int16))


def levels(samples: NDArray[np.float32]) -> str:
    """What was said, read from audio at 16 kHz that begins with a word."""
    whole = samples[: len(samples) // (2 * WORD) * 2 * WORD].reshape(-1, 2 * WORD)
    middles = whole[:, WORD // 2 : WORD // 2 + 2 * PERIOD * 20]
    peaks = np.sqrt(2 * np.mean(middles.astype(np.float64) ** 2, axis=1)) * 32768
    return " ".join(str(round(float(peak) / 1000)) for peak in peaks)


class Levels:
    """A recogniser of `said`; `prefix` tells whose answer it is."""

    def __init__(self, prefix: str = "") -> None:
        self.prefix = prefix
        self.expectations: object = None

    def transcribe(
        self, batch: Sequence[NDArray[np.float32]], *, expectations: object, **_: object
    ) -> list[Hypothesis]:
        self.expectations = expectations
        return [Hypothesis(self.prefix + levels(samples), confidence=0.9) for samples in batch]

    def encode(self, batch: Sequence[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        return list(batch)


def make_replica(
    capacity: int = 4, token: str = TOKEN, recogniser: Levels | None = None
) -> Replica:
    """Not listening yet."""
    runner = ReplicaRunner(capacity, recogniser or Levels())  # type: ignore[arg-type]
    metrics = Metrics()
    return Replica(Engine(runner, slots=capacity, observer=metrics), capacity, metrics, token)


@contextlib.asynccontextmanager
async def running(replica: Replica, port: int = 0) -> AsyncIterator[str]:
    """Its URL."""
    with contextlib.closing(socket.create_server(("127.0.0.1", port))) as bound:
        async with listening(replica, bound):
            yield f"ws://127.0.0.1:{bound.getsockname()[1]}"


async def eventually(condition: Callable[[], object]) -> None:
    """Wait until something that other tasks do is done."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  # what is looked at has no event
            await asyncio.sleep(0.005)


class Client:
    """A front end that says what a test wants."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self._heard: deque[FromRecogniser | Fault] = deque()

    async def say(self, *messages: FromFrontEnd) -> None:
        await self.socket.send(b"".join(map(encode, messages)))

    async def hear(self) -> FromRecogniser | Fault:
        """The next message."""
        async with asyncio.timeout(10):
            while not self._heard:
                data = await self.socket.recv()
                assert isinstance(data, bytes)
                self._heard += from_recogniser(data)
        return self._heard.popleft()

    async def to_the_end(self) -> None:
        """Whatever is said until the connection is closed, which raises."""
        while True:
            await self.hear()

    async def until(self, kind: type) -> FromRecogniser | Fault:
        """The next message of that kind."""
        while not isinstance(message := await self.hear(), kind):
            pass
        return message

    async def opened(self, stream: int, at: int = 0) -> None:
        await self.say(Open(stream, at))
        assert await self.until(Opened) == Opened(stream)

    async def ask(self, stream: int, audio: bytes, request: int, at: int = 0) -> None:
        """Audio, and a final of it."""
        end = at + len(audio)
        await self.say(
            Audio(stream, at, audio), Ask(stream, request, request, JobKind.FINAL, 0, at, end)
        )


@contextlib.asynccontextmanager
async def client(url: str, token: str = TOKEN) -> AsyncIterator[Client]:
    async with connect(
        url,
        subprotocols=[PROTOCOL],  # type: ignore[list-item]
        additional_headers={"Authorization": f"Bearer {token}"},
        compression=None,
        proxy=None,
    ) as socket:
        yield Client(socket)


class Caller:
    """A call's side of the engine."""

    def __init__(self) -> None:
        self.answers: list[Recognised] = []
        self.heard_until = 0
        self.changed = asyncio.Event()

    def on_heard(self, results: Sequence[Result]) -> None:
        self.heard_until = results[-1].at + 256
        self.changed.set()

    def on_recognised(self, result: Recognised) -> None:
        self.answers.append(result)
        self.changed.set()

    async def heard(self, until: int) -> None:
        async with asyncio.timeout(10):
            while self.heard_until < until - 256:
                self.changed.clear()
                await self.changed.wait()

    async def answer(self) -> str:
        """Text of the next answer; "failed" where there is none."""
        async with asyncio.timeout(10):
            while not self.answers:
                self.changed.clear()
                await self.changed.wait()
        hypothesis = self.answers.pop(0).hypothesis
        return "failed" if hypothesis is None else hypothesis.text


class FrontEndUnderTest:
    """A server's engine with a call in it, and what it counted."""

    def __init__(self, engine: RemoteEngine, registry: CollectorRegistry) -> None:
        self.engine = engine
        self._registry = registry

    def counted(self, name: str, **labels: str) -> float:
        return self._registry.get_sample_value(f"voicebot_recogniser_{name}", labels) or 0.0

    async def says(self, handle, caller: Caller, audio: bytes, at: int = 0) -> None:  # type: ignore[no-untyped-def]
        for begin in range(0, len(audio), 160):
            self.engine.push(handle, at + begin, audio[begin : begin + 160])
        await caller.heard(at + len(audio))


@contextlib.asynccontextmanager
async def front_end(*urls: str, local: bool = False) -> AsyncIterator[FrontEndUnderTest]:
    """Started; it may not be connected yet."""
    registry = CollectorRegistry()
    recogniser = Levels("local ") if local else None
    engine = RemoteEngine(
        Runner(4, LoudnessVad(), recogniser),  # type: ignore[arg-type]
        slots=4,
        urls=urls,
        token=TOKEN,
        counts=FrontEndMetrics(registry),
        has_local=local,
    )
    engine.start()
    try:
        yield FrontEndUnderTest(engine, registry)
    finally:
        await engine.close()
