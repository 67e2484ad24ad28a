"""What one media stream may cost."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from voicebot.server.limits import StreamLimits, TokenBucket
from voicebot.server.media_socket import MediaSocket, SocketEnd

pytestmark = pytest.mark.unit


def test_a_burst_is_taken_at_once_and_the_rate_from_then_on() -> None:
    bucket = TokenBucket(rate_per_s=200.0, burst=500)
    assert sum(bucket.take(0.0) for _ in range(600)) == 500
    assert sum(bucket.take(1.0) for _ in range(600)) == 200
    assert sum(bucket.take(1000.0) for _ in range(600)) == 500


def test_a_telephone_call_never_runs_dry() -> None:
    bucket = TokenBucket(rate_per_s=200.0, burst=500)
    assert all(bucket.take(chunk * 0.02) for chunk in range(10_000))


def test_a_clock_that_steps_back_gains_nothing() -> None:
    bucket = TokenBucket(rate_per_s=1.0, burst=1)
    assert bucket.take(10.0)
    assert not bucket.take(5.0)
    assert bucket.take(6.0)


class StuckWebSocket:
    """A peer that reads and sends nothing."""

    async def send(self, message: Any) -> None:
        await asyncio.Event().wait()

    async def close(self, code: int, reason: str) -> None:
        await asyncio.Event().wait()

    async def receive(self) -> Any:
        await asyncio.Event().wait()


async def test_a_peer_that_reads_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voicebot.server.media_socket.SEND_TIMEOUT_S", 0.01)
    faults: list[str] = []
    ends: list[None] = []
    socket = MediaSocket(
        StuckWebSocket(),  # type: ignore[arg-type]
        StreamLimits(),
        on_fault=faults.append,
        on_end=lambda: ends.append(None),
    )
    await socket.send("{}")
    assert (socket.end, faults, len(ends)) == (SocketEnd.STALLED, ["stalled"], 1)
    await socket.send("{}")
    await socket.close()
    assert await socket.receive() is None
    assert len(ends) == 1


async def test_closing_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voicebot.server.media_socket.SEND_TIMEOUT_S", 0.01)
    socket = MediaSocket(
        StuckWebSocket(),  # type: ignore[arg-type]
        StreamLimits(),
        on_fault=lambda kind: None,
    )
    await socket.close()
    assert socket.end is SocketEnd.CLOSED


class Wire:
    """The connection below the WebSocket, as far as a tap needs it."""

    def __init__(self) -> None:
        self.tap: Callable[[str, float], bool] | None = None

    async def receive(self) -> Any:
        await asyncio.Event().wait()


async def test_what_is_tapped_counts_against_the_rate_and_not_twice() -> None:
    wire = Wire()
    socket = MediaSocket(
        StuckWebSocket(),  # type: ignore[arg-type]
        StreamLimits(messages_per_s=1e-9, burst_messages=3),
        on_fault=lambda kind: None,
        wire=wire,  # type: ignore[arg-type]
    )
    socket.tap(lambda text, came_s: text == "audio")
    assert wire.tap is not None
    assert [wire.tap(text, 0.0) for text in ("audio", "mark", "mark", "audio", "audio")] == [
        True,
        False,
        False,  # left to `receive`, which counts them
        True,
        True,
    ]
    assert not wire.tap("audio", 0.0), "a fourth message in no time"
    socket.shut(SocketEnd.CLOSED, 1000, "")
    assert wire.tap is None
