"""The real answering server, a hostile line to it, and a neighbour whose calls must not suffer."""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import os
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Self

import httpx
import pytest
from server.shell_fakes import STREAM_SID, Twilio, media, start
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from voicebot.config import Settings, load_settings
from voicebot.dialogue.plan import load_plan
from voicebot.engine.engine import Engine
from voicebot.server import answering, asr_serve_use
from voicebot.server.demo import script
from voicebot.telephony.dialer import CallRecord, place_call
from voicebot.telephony.simulator import ScriptedCaller

PLANS = Path(__file__).parents[2] / "dialplans"
HEALTHY_S = 60.0


def real_settings(folder: Path, weights: Path, **rooms: dict[str, Any]) -> Settings:
    """Settings of a server that leaves everything in `folder`."""
    return load_settings(
        _env_file=None,
        asr={"cache_dir": weights, "threads": 1},
        store={
            "journal": folder / "journal.sqlite",
            "recordings_dir": folder / "calls",
            "recordings": True,
            "timelines": True,
        },
        **rooms,
    )


class Bot:
    """A running server as its callers, its operator and the test see it."""

    _numbers = itertools.count(1)

    def __init__(self, url: str, engine: Engine, folder: Path) -> None:
        self.url = url
        self.engine = engine
        self.folder = folder
        self.twilio = Twilio(url)

    def call(self, call_sid: str | None = None) -> Line:
        """A stream under the test's control, opened on entering."""
        return Line(self, call_sid or f"CAhostile{next(self._numbers)}")

    async def place(self, caller: ScriptedCaller, **options: Any) -> CallRecord:
        """A call as Twilio makes them."""
        return await place_call(f"{self.url}/twilio/voice", caller=caller, **options)

    async def journal(self, call_sid: str) -> dict[str, Any] | None:
        """What the journal holds of a call."""
        reply = await self.twilio.http.get(f"/calls/{call_sid}")
        return None if reply.status_code == 404 else reply.json()

    async def ended(self, call_sid: str) -> dict[str, Any]:
        """The journal's entry once the call is over, which `<Connect action>` waits for."""
        await self.twilio.action(call_sid)
        record = await self.journal(call_sid)
        assert record is not None, f"{call_sid} is not in the journal"
        assert record["outcome"] is not None, f"{call_sid} has no outcome"
        return record

    async def metric(self, metric: str, /, **labels: str) -> float:
        """A sample of /metrics; 0 when it was never counted."""
        text = (await self.twilio.http.get("/metrics")).text
        inside = ",".join(f'{key}="{value}"' for key, value in labels.items())
        line = re.escape(metric + (f"{{{inside}}}" if inside else ""))
        found = re.search(rf"^{line} (\S+)$", text, re.MULTILINE)
        return float(found[1]) if found else 0.0

    async def faults(self, kind: str) -> float:
        """Faults of this kind so far."""
        return await self.metric("voicebot_faults_total", kind=kind)

    async def idle(self) -> None:
        """Wait until no call is left; fails (by the test's own limit) when one stays."""
        async with asyncio.timeout(20):
            while await self.metric("voicebot_calls_live") or self.engine.calls:
                continue


class Line:
    """One media stream; it returns marks as Twilio does, and sends what a test wants."""

    def __init__(self, bot: Bot, call_sid: str) -> None:
        self.bot = bot
        self.call_sid = call_sid
        self.heard = asyncio.Event()  # the bot speaks
        self.received: list[dict[str, Any]] = []
        self.returns_marks = True
        self._sequence = itertools.count(2)
        self._chunks = itertools.count(1)

    async def __aenter__(self) -> Self:
        parameters = await self.bot.twilio.answered(self.call_sid)
        self.socket: ClientConnection = await self.bot.twilio.open(max_queue=None)
        await start(self.socket, self.call_sid, parameters)
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.socket.close()
        await self._reader

    async def _read(self) -> None:
        with suppress(ConnectionClosed):
            async for text in self.socket:
                message = json.loads(text)
                self.received.append(message)
                if message["event"] == "media":
                    self.heard.set()
                elif message["event"] == "mark" and self.returns_marks:
                    await self.event("mark", mark=message["mark"])

    async def send(self, *messages: str | bytes) -> None:
        """As they are."""
        for message in messages:
            await self.socket.send(message)

    async def event(self, name: str, **fields: Any) -> None:
        """A correct message of the stream, but for what `fields` replace; None leaves out."""
        head = {"sequenceNumber": str(next(self._sequence)), "streamSid": STREAM_SID}
        body = {"event": name, **head, **fields}
        await self.send(
            json.dumps({key: value for key, value in body.items() if value is not None})
        )

    async def audio(self, payload: bytes | str | None = None, **fields: Any) -> None:
        """One media message; `payload` as it stands when it is text."""
        chunk = next(self._chunks)
        inner = json.loads(media(chunk))["media"] | fields
        if payload is not None:
            inner["payload"] = payload if isinstance(payload, str) else _base64(payload)
        await self.event("media", media=inner)

    async def keys(self, digits: str) -> None:
        """DTMF, one message a key."""
        for digit in digits:
            await self.event("dtmf", dtmf={"track": "inbound_track", "digit": digit})

    async def hang_up(self) -> dict[str, Any]:
        """Stop, see the server close, and read the journal."""
        await self.event("stop", stop={"accountSid": "AC1", "callSid": self.call_sid})
        await self.socket.wait_closed()
        return await self.bot.ended(self.call_sid)

    async def greeted(self) -> None:
        """The bot's first words arrive; time begins with the caller's first chunk."""
        await self.audio()
        await self.heard.wait()


def _base64(payload: bytes) -> str:
    from base64 import b64encode

    return b64encode(payload).decode()


class Neighbour:
    """Healthy calls, one after the other, for as long as others misbehave."""

    def __init__(self, bot: Bot) -> None:
        self._bot = bot
        self.ended: list[Mapping[str, Any]] = []
        self._is_needed = True
        self._task = asyncio.create_task(self._talk())

    async def _talk(self) -> None:
        while self._is_needed:
            caller = ScriptedCaller(script(), patience_s=30, hangs_up_after_last=True)
            record = await self._bot.place(caller, max_s=HEALTHY_S)
            journal = await self._bot.ended(record.call_sid)
            self.ended.append(journal | {"end_reason": record.end_reason})

    def check(self) -> None:
        """A healthy call is going on now, and all before it reached their goal."""
        if self._task.done():
            self._task.result()
            pytest.fail("the neighbour has stopped calling")
        assert [call for call in self.ended if not call["is_goal"]] == []

    async def finish(self) -> None:
        """Let the last call end."""
        self._is_needed = False
        await self._task
        assert self.ended
        assert [call for call in self.ended if not call["is_goal"]] == []


@asynccontextmanager
async def running_bot(
    folder: Path, weights: Path, plan: Path, **rooms: dict[str, Any]
) -> AsyncIterator[Bot]:
    """The real server with `plan`; afterwards nothing of it may be left."""
    before = Left.now()
    engines: list[Engine] = []

    class Seen(Engine):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            engines.append(self)

    settings = real_settings(folder, weights, **rooms)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asr_serve_use, "Engine", Seen)
        async with answering.in_process(settings, load_plan(plan)) as url:
            bot = Bot(url, engines[0], folder)
            async with bot.twilio:
                yield bot
                await bot.idle()
                live = await bot.twilio.http.get("/readyz")
                assert live.status_code == 200, live.text
    await before.is_all()


class Left:
    """Tasks and sockets of this process."""

    def __init__(self, tasks: set[asyncio.Task[Any]], sockets: set[str]) -> None:
        self.tasks, self.sockets = tasks, sockets

    @classmethod
    def now(cls) -> Left:
        """As they are."""
        gc.collect()
        return cls(asyncio.all_tasks(), _sockets())

    async def is_all(self) -> None:
        """Fails when there are more than there were."""
        if others := self._others():
            await asyncio.wait(others, timeout=5)
        assert [repr(task) for task in self._others()] == []
        left = Left.now()
        assert sorted(left.sockets - self.sockets) == []

    def _others(self) -> set[asyncio.Task[Any]]:
        return asyncio.all_tasks() - self.tasks - {asyncio.current_task()}


def _sockets() -> set[str]:
    folder = Path("/proc/self/fd")
    if not folder.is_dir():
        return set()  # only Linux tells
    found = set()
    for name in os.listdir(folder):
        with suppress(OSError):
            found.add(os.readlink(folder / name))
    return {target for target in found if target.startswith("socket:")}


def http(url: str) -> httpx.AsyncClient:
    """A client that no proxy of the environment sees."""
    return httpx.AsyncClient(base_url=url, trust_env=False)
