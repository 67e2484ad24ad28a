"""What can be measured: `voicebot serve`, and a peer's `bot.py`. Both take the same calls."""

from __future__ import annotations

import ast
import os
import re
import secrets
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol
from uuid import uuid4

import httpx

import voicebot
from load import server_metrics
from load.callers import Caller, Counts, Track, open_call
from load.errors import LoadMistake, ServerFailed
from load.process import ServerProcess, free_port
from voicebot.telephony import twiml_reader

START_S = 120.0
SPARE_PLACES = 4
"""Beyond the calls asked for: a set-up call that is just ending holds one."""
LATE_CHUNKS = "voicebot_late_chunks_total"
_KEPT = frozenset({"VOICEBOT_ASR__CACHE_DIR"})
"""Settings of the user's that hold here too: where rendered prompts are."""
_RUNGS_PER_S = 0.5
"""Of the ladder that keeps a call going: callers speak every nine seconds, more often
where the bot takes its own echo for them."""


class Running(Protocol):
    """A server that takes calls."""

    @property
    def process(self) -> ServerProcess:
        """Its process."""

    async def call(self, track: Track, counts: Counts, offset: int) -> Caller:
        """A call that is up; ServerFailed when it does not get through."""

    async def late_chunks(self) -> int | None:
        """What it counted so far; None where it does not."""


class Subject(Protocol):
    """A server that can be started."""

    @property
    def name(self) -> str:
        """For people."""

    def started(self, folder: Path) -> AbstractAsyncContextManager[Running]:
        """Starts it, with `folder` to write into, and ends it; ServerFailed when it does not."""


# ---------------------------------------------------------------- ours


class Voicebot:
    """`voicebot serve` of this checkout with recognition off; it asks for keys for ever."""

    name = "voicebot"

    def __init__(self, calls: int, seconds: float) -> None:
        """`calls` at once will be placed; the longest lasts `seconds`."""
        self._calls, self._seconds = calls, seconds

    @asynccontextmanager
    async def started(self, folder: Path) -> AsyncIterator[Running]:
        """See Subject."""
        port, token = free_port(), secrets.token_hex(16)
        plan = folder / "plan.yaml"
        plan.write_text(_plan(self._seconds), encoding="utf-8")
        settings = {
            "ASR__SERVICE": "none",
            "SERVER__MAX_CALLS": str(self._calls + SPARE_PLACES),
            "SERVER__API_TOKEN": token,
            "STORE__JOURNAL": str(folder / "journal.sqlite"),
            "MONITORING__LOG_LEVEL": "warning",
        }
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.upper().startswith("VOICEBOT_") or name.upper() in _KEPT
        }
        environment |= {f"VOICEBOT_{name}": value for name, value in settings.items()}
        environment["PYTHONPATH"] = _with_path(Path(voicebot.__file__).parents[1], environment)
        command = [sys.executable, "-m", "voicebot.cli", "serve", "--dialplan", str(plan)]
        command += ["--host", "127.0.0.1", "--port", str(port)]
        log = folder / "server.log"
        with ServerProcess(command, cwd=folder, environment=environment, log=log) as process:
            url = f"http://127.0.0.1:{port}"
            await process.wait_ready(f"{url}/readyz", START_S)
            async with httpx.AsyncClient(trust_env=False, timeout=15.0) as http:
                yield _RunningVoicebot(process, url, token, http)


@dataclass(frozen=True, slots=True)
class _RunningVoicebot:
    process: ServerProcess
    url: str
    token: str
    http: httpx.AsyncClient

    async def call(self, track: Track, counts: Counts, offset: int) -> Caller:
        sids = _sids()
        form = {"CallSid": sids[1], "From": "+15550100", "To": "+15550199"}
        try:
            response = await self.http.post(
                f"{self.url}/twilio/voice", data={**form, "CallStatus": "ringing"}
            )
            order = twiml_reader.read(response.content).stream
        except (httpx.HTTPError, ValueError) as error:
            raise ServerFailed(f"the webhook failed: {error or type(error).__name__}") from None
        if order is None:
            raise ServerFailed("the server takes no more calls; use fewer --calls")
        return await _open(order.url, sids, order.parameters, track, counts, offset)

    async def late_chunks(self) -> int | None:
        samples = await server_metrics.scrape(self.url, self.token)
        return None if samples is None else int(samples.get(LATE_CHUNKS, 0))


def _plan(seconds: float) -> str:
    """A plan whose bot asks again, for some four seconds, whatever is said, for `seconds`."""
    again = "I am sorry, I did not get that. Please enter the twelve digits of your number now."
    rungs = "\n".join(["          - *again"] * round(20 + _RUNGS_PER_S * seconds))
    return f"""\
name: Front end under load
universals: {{operator: false, help: false, repeat: false, goodbye: false, go_back: false}}
forms:
  number:
    fields:
      number:
        type: digits
        length: 12
        prompt: Welcome. Please enter the twelve digits on the front of your card now.
        noinput: &ladder
          - &again {{prompt: "{again}", reprompt: false}}
{rungs}
          - {{prompt: Goodbye., disconnect: nobody}}
        nomatch: *ladder
    filled:
      - disconnect: {{outcome: entered, goal: true}}
"""


def _with_path(root: Path, environment: Mapping[str, str]) -> str:
    """PYTHONPATH under which the child finds the package that runs here."""
    return os.pathsep.join([str(root), *filter(None, [environment.get("PYTHONPATH")])])


# ---------------------------------------------------------------- a peer


class Peer:
    """`bot.py PORT` in a folder: a media stream at ws://127.0.0.1:PORT/ws, no webhook."""

    name = "peer"

    def __init__(self, folder: Path) -> None:
        """LoadMistake when there is no bot.py."""
        self._bot = (folder / "bot.py").resolve()
        if not self._bot.is_file():
            raise LoadMistake(f"--peer {folder}: no bot.py in it")

    @asynccontextmanager
    async def started(self, folder: Path) -> AsyncIterator[Running]:
        """See Subject."""
        port = free_port()
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, str(self._bot), str(port)]
        log = folder / "peer.log"
        with ServerProcess(command, cwd=folder, environment=environment, log=log) as process:
            try:
                await process.wait_ready(f"http://127.0.0.1:{port}/", START_S, any_status=True)
            except ServerFailed as failure:
                said = process.last_words()
                if process.is_running or not said.startswith(("ModuleNotFound", "ImportError")):
                    raise ServerFailed(f"--peer: {failure}") from None
                raise LoadMistake(f"--peer: {said}; {self._how_to_install()}") from None
            yield _RunningPeer(process, f"ws://127.0.0.1:{port}/ws")

    async def check(self) -> None:
        """Whether it starts: better known before our own server was measured for a minute."""
        with TemporaryDirectory(prefix="voicebot-load-") as folder:
            async with self.started(Path(folder)):
                return

    def _how_to_install(self) -> str:
        """The pip command of its docstring, for the interpreter that runs it."""
        try:
            docstring = ast.get_docstring(ast.parse(self._bot.read_text(encoding="utf-8"))) or ""
        except (SyntaxError, UnicodeDecodeError):
            docstring = ""
        found = re.search(r"^\s*(pip install .+?)\s*$", docstring, re.MULTILINE)
        return found[1] if found else "install what it needs"


@dataclass(frozen=True, slots=True)
class _RunningPeer:
    process: ServerProcess
    url: str

    async def call(self, track: Track, counts: Counts, offset: int) -> Caller:
        return await _open(self.url, _sids(), {}, track, counts, offset)

    async def late_chunks(self) -> int | None:
        return None


# ---------------------------------------------------------------- both


def _sids() -> tuple[str, str]:
    return f"MZ{uuid4().hex}", f"CA{uuid4().hex}"


async def _open(
    url: str,
    sids: tuple[str, str],
    parameters: Mapping[str, str],
    track: Track,
    counts: Counts,
    offset: int,
) -> Caller:
    try:
        return await open_call(url, sids, parameters, track, counts, offset)
    except (OSError, TimeoutError) as error:
        raise ServerFailed(f"a call did not get through: {error or 'no answer'}") from None
