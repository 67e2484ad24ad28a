"""N concurrent calls that replay recordings, through the simulator's dialer."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit
from uuid import uuid4

import httpx

from load.errors import LoadMistake
from load.recordings import Pool
from load.report import Measured
from load.schedule import REDIAL_S, Schedule
from voicebot.telephony import signature, twiml_reader
from voicebot.telephony.dialer import place_call
from voicebot.telephony.simulator import ScriptedCaller
from voicebot.telephony.twiml import is_loopback

END_S = 10.0
"""How long calls may take to end once they are told to."""
PROGRESS_S = 1.0
VOICE_PATH, STATUS_PATH = "/twilio/voice", "/twilio/status"

Progress = Callable[[str], None]


def webhook_of(url: str, *, allow_remote: bool) -> str:
    """The webhook of the server at `url` (its base, or the webhook itself); LoadMistake."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        host = None
    if not host or parts.scheme not in {"http", "https"}:
        raise LoadMistake(f"--to {url}: must be a URL like http://127.0.0.1:8080")
    if not allow_remote and not is_loopback(url):
        raise LoadMistake(
            f"--to {url}: is another machine; add --allow-remote if it is yours to load"
        )
    if parts.path in {"", "/"}:
        return f"{parts.scheme}://{parts.netloc}{VOICE_PATH}"
    return url


async def probe(webhook_url: str, auth_token: str | None, *, allow_remote: bool) -> None:
    """One webhook request without a call: LoadMistake when calls would fail or go elsewhere."""
    form = {"CallSid": f"CA{uuid4().hex}", "From": "+15550100", "To": "+15550199"}
    form["CallStatus"] = "ringing"
    async with httpx.AsyncClient(trust_env=not is_loopback(webhook_url), timeout=15.0) as http:
        response = await _post(http, webhook_url, form, auth_token)
        if response.status_code == 403:
            raise LoadMistake(
                f"{webhook_url} refuses the signature; set VOICEBOT_TWILIO__AUTH_TOKEN "
                "as the server has it"
            )
        if response.status_code != 200:
            raise LoadMistake(f"{webhook_url} answers HTTP {response.status_code} instead of TwiML")
        try:
            order = twiml_reader.read(response.content).stream
        except ValueError as error:
            raise LoadMistake(f"{webhook_url} answers no TwiML: {error}") from None
        # The place it reserved must not stay taken until its token expires.
        if webhook_url.endswith(VOICE_PATH):
            form["CallStatus"] = "canceled"
            with suppress(LoadMistake):
                status_url = webhook_url.removesuffix(VOICE_PATH) + STATUS_PATH
                await _post(http, status_url, form, auth_token)
    if order is None:
        raise LoadMistake(f"{webhook_url} opens no media stream; is the server full or draining?")
    if not allow_remote and not is_loopback(order.url):
        raise LoadMistake(
            f"{webhook_url} sends its media stream to {order.url}, another machine; start the "
            "server without VOICEBOT_SERVER__PUBLIC_URL, or add --allow-remote"
        )


async def _post(
    http: httpx.AsyncClient, url: str, form: dict[str, str], auth_token: str | None
) -> httpx.Response:
    headers = {}
    if auth_token is not None:
        headers[signature.HEADER] = signature.sign(auth_token, url, form)
    try:
        return await http.post(url, data=form, headers=headers)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        reason = str(error) or type(error).__name__
        raise LoadMistake(f"nothing answers at {url} ({reason}); is the server up?") from None


@dataclass(slots=True)
class Replay:
    """One run. `run` returns when the schedule is over or `stop` was called."""

    webhook_url: str
    schedule: Schedule
    pool: Pool
    auth_token: str | None = None
    progress: Progress = lambda line: None
    measured: Measured = field(default_factory=Measured)
    _up: dict[int, ScriptedCaller] = field(default_factory=dict)
    _over: asyncio.Event = field(default_factory=asyncio.Event)

    def stop(self) -> None:
        """Ends the run now; what was measured stays."""
        self._over.set()

    async def run(self) -> Measured:
        """Places the calls; fills in `measured`, also when cancelled."""
        # The recordings and modules will not become garbage: keep the collector off them.
        gc.collect()
        gc.freeze()
        lines = [asyncio.create_task(self._line(line)) for line in range(self.schedule.lines)]
        reporter = asyncio.create_task(self._report())
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), self.schedule.seconds)
            self._over.set()
            for caller in self._up.values():
                caller.hang_up()
            _, late = await asyncio.wait(lines, timeout=END_S)
            for line in late:
                self.measured.add_failure("did not end")
                line.cancel()
        finally:
            for task in [reporter, *lines]:
                task.cancel()
            await asyncio.gather(reporter, *lines, return_exceptions=True)
            gc.unfreeze()
        return self.measured

    async def _line(self, line: int) -> None:
        await self._pause(self.schedule.start_s(line))
        number = 0
        while not self._over.is_set():
            await self._call(line, number)
            number += 1
            await self._pause(REDIAL_S)

    async def _call(self, line: int, number: int) -> None:
        turns = [
            (self.pool.interruptions if turn.is_barge_in else self.pool.turns)[turn.recording]
            for turn in self.schedule.call(line, number)
        ]
        caller = self._up[line] = ScriptedCaller(turns, hangs_up_after_last=True)
        try:
            record = await place_call(
                self.webhook_url,
                caller=caller,
                auth_token=self.auth_token,
                max_s=self.schedule.seconds + END_S,
            )
        except Exception as error:  # the server's failures are what is measured
            self.measured.add_failure(type(error).__name__)
        else:
            was_cut = self._over.is_set() and record.end_reason in {"hung_up", "max"}
            self.measured.add(record, was_cut=was_cut)
        finally:
            del self._up[line]

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._over.wait(), seconds)

    async def _report(self) -> None:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        while not self._over.is_set():
            await self._pause(PROGRESS_S)
            turns = self.measured.turns + sum(len(caller.records) for caller in self._up.values())
            self.progress(
                f"{loop.time() - began_s:5.0f} of {self.schedule.seconds:g} s: {len(self._up)} up, "
                f"{self.measured.calls} ended, {self.measured.failed} failed, {turns} turns"
            )


async def run_interruptibly(replay: Replay) -> Measured:
    """`replay.run()`; the first Ctrl-C ends the calls, the second does not wait for them."""
    loop = asyncio.get_running_loop()
    task = asyncio.create_task(replay.run())
    pressed = 0

    def interrupted() -> None:
        nonlocal pressed
        pressed += 1
        if pressed == 1:
            replay.stop()
        else:
            task.cancel()

    loop.add_signal_handler(signal.SIGINT, interrupted)
    try:
        with suppress(asyncio.CancelledError):
            await task
    finally:
        loop.remove_signal_handler(signal.SIGINT)
    return replay.measured
