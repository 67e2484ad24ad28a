"""A call that echoes, counters that remember, and Twilio's half of the wire."""

from __future__ import annotations

import asyncio
import json
import re
from base64 import b64encode
from collections import Counter
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

import httpx
from websockets.asyncio.client import ClientConnection, connect

from voicebot.config import Settings, load_settings
from voicebot.server.admission import AdmittedCall
from voicebot.server.directory import CallDecision
from voicebot.server.media_socket import MediaSocket
from voicebot.telephony.media_stream import DtmfReceived, Media, MediaStream
from voicebot.telephony.signature import sign

CALLER = "+15550100"
STREAM_SID = "MZ00000000000000000000000000000001"
SILENCE = b64encode(b"\xff" * 160).decode()


def settings(**server: Any) -> Settings:
    """Development settings on a free port, untouched by the environment's .env file."""
    more = {name: server.pop(name) for name in ("environment", "twilio") if name in server}
    return load_settings(_env_file=None, server={"port": 0, **server}, **more)


class CountingMetrics:
    """Counts by words."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, ...]] = Counter()

    def webhook(self, name: str, answer: str) -> None:
        self.counts["webhook", name, answer] += 1

    def fault(self, kind: str) -> None:
        self.counts["fault", kind] += 1

    def refused(self, where: str, reason: str) -> None:
        self.counts["refused", where, reason] += 1

    def call_started(self) -> None:
        self.counts["started",] += 1

    def call_ended(self, how: str) -> None:
        self.counts["ended", how] += 1

    def exposition(self) -> tuple[bytes, str]:
        return b"voicebot_calls 1\n", "text/plain; version=0.0.4"


class EchoCall:
    """Sends every chunk back; keys decide: 1 hangs up, 2 transfers, 3 fails, 4 never ends."""

    def __init__(self) -> None:
        self.admitted: list[AdmittedCall] = []
        self.media = 0

    async def __call__(
        self, socket: MediaSocket, stream: MediaStream, admitted: AdmittedCall
    ) -> CallDecision | None:
        self.admitted.append(admitted)
        while (message := await socket.receive()) is not None:
            for event in stream.receive(message):
                if isinstance(event, Media):
                    self.media += 1
                    await socket.send(stream.media(event.payload))
                elif isinstance(event, DtmfReceived):
                    return await self._decide(event.digit)
            if stream.is_stopped:
                break
        return CallDecision()

    async def _decide(self, digit: str) -> CallDecision:
        if digit == "3":
            raise RuntimeError("the call fails")
        if digit == "4":
            await asyncio.Event().wait()
        return CallDecision("+15550177" if digit == "2" else None)


class Twilio:
    """Twilio's requests to a server under test; signs them when given the auth token."""

    def __init__(self, base_url: str, auth_token: str | None = None) -> None:
        self.base_url = base_url
        self.auth_token = auth_token
        self.http = httpx.AsyncClient(base_url=base_url, trust_env=False)

    async def __aenter__(self) -> Twilio:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.aclose()

    async def post(self, path: str, call_sid: str, **fields: str) -> httpx.Response:
        form = {"CallSid": call_sid, "From": CALLER, "To": "+15550199", **fields}
        headers = {}
        if self.auth_token is not None:
            headers["X-Twilio-Signature"] = sign(self.auth_token, self.base_url + path, form)
        return await self.http.post(path, data=form, headers=headers)

    async def answered(self, call_sid: str) -> dict[str, str]:
        """POST /twilio/voice; the <Parameter> values of the answer."""
        response = await self.post("/twilio/voice", call_sid)
        assert response.status_code == 200, response.text
        stream = ElementTree.fromstring(response.text).find("Connect/Stream")
        assert stream is not None, response.text
        return {p.get("name", ""): p.get("value", "") for p in stream.findall("Parameter")}

    async def action(self, call_sid: str) -> str:
        """POST /twilio/action; the names of the verbs answered."""
        response = await self.post("/twilio/action", call_sid, CallStatus="in-progress")
        assert response.status_code == 200, response.text
        return ",".join(verb.tag for verb in ElementTree.fromstring(response.text))

    def open(self, **more: Any) -> connect:
        """The media stream's WebSocket, signed when there is an auth token."""
        url = re.sub("^http", "ws", self.base_url) + "/twilio/media"
        headers = {}
        if self.auth_token is not None:
            headers["x-twilio-signature"] = sign(self.auth_token, url)
        return connect(url, additional_headers=headers, compression=None, proxy=None, **more)


async def start(socket: ClientConnection, call_sid: str, parameters: Mapping[str, str]) -> None:
    """Twilio's first two messages."""
    await socket.send(json.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"}))
    inner = {
        "accountSid": "AC1",
        "streamSid": STREAM_SID,
        "callSid": call_sid,
        "tracks": ["inbound"],
        "customParameters": dict(parameters),
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
    }
    message = {"event": "start", "sequenceNumber": "1", "streamSid": STREAM_SID, "start": inner}
    await socket.send(json.dumps(message))


def media(chunk: int, payload: str = SILENCE) -> str:
    """One media message; sequence numbers begin at 2."""
    inner = {"track": "inbound", "chunk": str(chunk), "timestamp": str(20 * chunk)}
    return _message("media", chunk + 1, media={**inner, "payload": payload})


def key(digit: str, sequence: int = 2) -> str:
    """One DTMF message."""
    return _message("dtmf", sequence, dtmf={"track": "inbound_track", "digit": digit})


def stop(call_sid: str, sequence: int = 2) -> str:
    """The caller hung up."""
    return _message("stop", sequence, stop={"accountSid": "AC1", "callSid": call_sid})


def _message(event: str, sequence: int, **fields: object) -> str:
    head = {"event": event, "sequenceNumber": str(sequence), "streamSid": STREAM_SID}
    return json.dumps({**head, **fields})
