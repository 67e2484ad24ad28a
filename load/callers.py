"""Simulated callers who cost their machine little: they talk, pause, and send back echo.

A caller sends 20 ms of his track every 20 ms, mixed with the echo of what he hears, and
returns marks as Twilio does. He does not listen: with recognition off there is nothing to
wait for, and what a run costs does not depend on who answered whom.
"""

from __future__ import annotations

import asyncio
import json
from array import array
from binascii import a2b_base64, b2a_base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.uri import WebSocketURI, parse_uri

from load.ear import CHUNK, PEAK, Ear, with_echo
from voicebot.audio import mulaw
from voicebot.audio.pcm import to_float, to_int16
from voicebot.audio.resample import resample
from voicebot.speech.voices import EspeakVoice

CHUNK_S = 0.02
RATE_HZ = 8000
OPEN_TIMEOUT_S = 30.0
"""A server that is loading models for a call may be slow to answer the handshake."""
PAUSE_S = 6.5
"""Between a caller's sentences; the bot's answer of some four seconds falls into it."""


SENTENCES = (
    "Can I have a small coffee with milk please?",
    "I would like to know what is left on my account.",
    "No, I said Tuesday, in the afternoon if that is possible.",
    "My number is on a letter that I do not have here.",
)
"""What callers say when no recordings are given, in the embedded voice."""


class Track:
    """What a caller says, over and over: int16 chunks, and the same ready to send."""

    def __init__(self, sentences: list[NDArray[np.int16]]) -> None:
        """Sentences with PAUSE_S after each."""
        pause = np.zeros(int(PAUSE_S * RATE_HZ), np.int16)
        spoken = np.concatenate([part for one in sentences for part in (one, pause)])
        loudest = max(int(np.abs(spoken.astype(np.int32)).max()), 1)
        if loudest > PEAK:
            spoken = (spoken.astype(np.float32) * (PEAK / loudest)).astype(np.int16)
        length = len(spoken) // CHUNK * CHUNK
        self.chunks = spoken[:length].reshape(-1, CHUNK)
        self.payloads = [_base64(mulaw.encode(chunk)) for chunk in self.chunks]

    def __len__(self) -> int:
        return len(self.payloads)


def synthetic_track() -> Track:
    """SENTENCES as the embedded voice speaks them."""
    voice = EspeakVoice()
    spoken = [voice.render(text) for text in SENTENCES]
    return Track(
        [to_int16(resample(to_float(one.samples), one.rate_hz, RATE_HZ)) for one in spoken]
    )


@dataclass(slots=True)
class Counts:
    """What all callers of a run did; the measurement resets it when its window begins."""

    lateness_ms: array[float] = field(default_factory=lambda: array("d"))
    steps: int = 0
    hearing: int = 0  # steps in which the bot was heard
    messages: int = 0  # that the server sent

    def reset(self) -> None:
        """Begin to count."""
        self.lateness_ms = array("d")
        self.steps = self.hearing = self.messages = 0


class Caller(asyncio.Protocol):
    """One media stream. `open` it, then it talks until `hang_up`."""

    def __init__(
        self,
        where: WebSocketURI,
        sids: tuple[str, str],
        parameters: Mapping[str, str],
        track: Track,
        counts: Counts,
        offset: int = 0,
    ) -> None:
        """`sids`: of stream and call; `offset`: the chunk of the track that comes first."""
        self._websocket = ClientProtocol(where, max_size=None)
        self._stream_sid, self._call_sid = sids
        self._parameters = dict(parameters)
        self._track, self._counts = track, counts
        self._offset = offset
        self._ear = Ear()
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._text: list[bytes] = []
        self._sequence = 1
        self._sent = 0
        self._began_s = 0.0
        self.opened: asyncio.Future[None] = self._loop.create_future()
        self.ended: asyncio.Future[str] = self._loop.create_future()

    @property
    def is_up(self) -> bool:
        """Whether the stream is open."""
        return self.opened.done() and not self.ended.done()

    def hang_up(self) -> None:
        """The caller leaves: `stop`, and the connection is closed."""
        if self.is_up:
            ids = {"accountSid": "AC0", "callSid": self._call_sid}
            self._send({"event": "stop", "stop": ids})
            self._websocket.send_close(1000)
            self._flush()
        self._end("hung up")

    # ------------------------------------------------------------ the connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """TCP is up: ask for the WebSocket."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass
        self._websocket.send_request(self._websocket.connect())
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Bytes of the server."""
        self._websocket.receive_data(data)
        for event in self._websocket.events_received():
            if isinstance(event, Frame):
                self._take(event)
            elif self._websocket.handshake_exc is None:
                self._start()
            else:
                self._end(f"handshake refused: {self._websocket.handshake_exc}")
        self._flush()

    def connection_lost(self, error: Exception | None) -> None:
        """The server is gone."""
        self._end("server closed")

    def _end(self, why: str) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if not self.opened.done():
            self.opened.set_exception(ConnectionError(why))
        if not self.ended.done():
            self.ended.set_result(why)
            if self._transport is not None:
                self._transport.close()

    def _flush(self) -> None:
        assert self._transport is not None
        for data in self._websocket.data_to_send():
            if data:
                self._transport.write(data)

    # ------------------------------------------------------------ Twilio's side

    def _start(self) -> None:
        self._websocket.send_text(b'{"event":"connected","protocol":"Call","version":"1.0.0"}')
        media_format = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
        start = {
            "accountSid": "AC0",
            "streamSid": self._stream_sid,
            "callSid": self._call_sid,
            "tracks": ["inbound"],
            "customParameters": self._parameters,
            "mediaFormat": media_format,
        }
        self._sequence = 0
        self._send({"event": "start", "start": start})
        self._began_s = perf_counter()
        self._next()
        self.opened.set_result(None)

    def _send(self, message: dict[str, Any]) -> None:
        self._sequence += 1
        ids = {"sequenceNumber": str(self._sequence), "streamSid": self._stream_sid}
        self._websocket.send_text(json.dumps({**message, **ids}).encode())

    def _take(self, frame: Frame) -> None:
        if frame.opcode in (Opcode.TEXT, Opcode.CONT):
            self._text.append(bytes(frame.data))
            if frame.fin:
                text, self._text = b"".join(self._text), []
                self._told(json.loads(text))
        elif frame.opcode is Opcode.CLOSE:
            self._end("server closed")

    def _told(self, message: dict[str, Any]) -> None:
        self._counts.messages += 1
        match message["event"]:
            case "media":
                self._ear.put(a2b_base64(message["media"]["payload"]))
            case "mark":
                self._ear.put_mark(message["mark"]["name"])
            case "clear":
                self._return(self._ear.clear())

    def _return(self, marks: list[str]) -> None:
        for name in marks:
            self._send({"event": "mark", "mark": {"name": name}})

    # ------------------------------------------------------------ every 20 ms

    def _next(self) -> None:
        due_s = self._began_s + (self._sent + 1) * CHUNK_S
        self._timer = self._loop.call_later(max(0.0, due_s - perf_counter()), self._step, due_s)

    def _step(self, due_s: float) -> None:
        counts = self._counts
        self._return(self._ear.step())
        number = (self._offset + self._sent) % len(self._track)
        if heard := self._ear.echo():
            payload = _base64(with_echo(self._track.chunks[number], heard))
        else:
            payload = self._track.payloads[number]
        self._sequence += 1
        # Written out: json.dumps is what a hundred callers would pay for most.
        message = (
            f'{{"event":"media","sequenceNumber":"{self._sequence}","media":{{"track":"inbound",'
            f'"chunk":"{self._sent + 1}","timestamp":"{self._sent * 20}","payload":"{payload}"}},'
            f'"streamSid":"{self._stream_sid}"}}'
        )
        self._websocket.send_text(message.encode())
        self._flush()
        self._sent += 1
        counts.steps += 1
        counts.hearing += self._ear.is_hearing
        counts.lateness_ms.append((perf_counter() - due_s) * 1000)
        self._next()


async def open_call(
    url: str,
    sids: tuple[str, str],
    parameters: Mapping[str, str],
    track: Track,
    counts: Counts,
    offset: int = 0,
) -> Caller:
    """A caller whose stream is open; OSError or TimeoutError when it does not open."""
    where = parse_uri(url)

    def make() -> Caller:
        return Caller(where, sids, parameters, track, counts, offset)

    async with asyncio.timeout(OPEN_TIMEOUT_S):
        _, caller = await asyncio.get_running_loop().create_connection(make, where.host, where.port)
        await caller.opened
    return caller


def _base64(data: bytes) -> str:
    return b2a_base64(data, newline=False).decode()
