"""`recogniser.url`: which replicas a server asks, and the engine that does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import structlog
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from voicebot.config import LOCAL_RECOGNISER, Settings
from voicebot.engine.engine import Engine
from voicebot.engine.runner import Runner
from voicebot.engine.wire import Load, Ping, encode, from_recogniser
from voicebot.errors import ModelUnavailable, SettingsError
from voicebot.monitoring.metrics import Metrics
from voicebot.monitoring.recogniser_metrics import FrontEndMetrics
from voicebot.server.asr_serve_client import RemoteEngine
from voicebot.server.asr_serve_link import open_connection

if TYPE_CHECKING:
    from voicebot.asr.recogniser import Recogniser

log = structlog.get_logger(__name__)

FILE = "file:"
LOOK_S = 1.0
EXAMINE_S = 5.0
WHERE = "settings: recogniser.url"


def loads_recogniser(settings: Settings) -> bool:
    """Whether this process recognises itself, always or when no replica can be had."""
    if settings.asr.service != LOCAL_RECOGNISER:
        return False
    return not settings.recogniser.url or settings.recogniser.fallback == "local"


def check(settings: Settings) -> None:
    """SettingsError where `recogniser.url` cannot be used: before anything is loaded, which takes
    longer than somebody who mistyped it wants to wait."""
    given = settings.recogniser.url
    if given:
        replicas(given)
        if settings.asr.service != LOCAL_RECOGNISER:
            raise SettingsError(
                f"{WHERE}: asr.service={settings.asr.service} recognises already; unset one of them"
            )


@contextlib.asynccontextmanager
async def open_engine(
    settings: Settings, runner: Runner, recogniser: Recogniser | None, metrics: Metrics
) -> AsyncIterator[Engine]:
    """The engine that the settings ask for, started; SettingsError where they cannot be used."""
    slots = settings.server.max_calls
    given = settings.recogniser.url
    if not given:
        engine = Engine(runner, slots=slots, observer=metrics)
        engine.start()
        try:
            yield engine
        finally:
            await engine.close()
        return
    check(settings)
    token = settings.recogniser.token
    remote = RemoteEngine(
        runner,
        slots=slots,
        urls=replicas(given),
        token=token.get_secret_value() if token is not None else "",
        counts=FrontEndMetrics(metrics.registry),
        has_local=recogniser is not None,
        has_own_hot_word=bool(settings.turns.hot_word_models),
        observer=metrics,
    )
    remote.start()
    following = asyncio.create_task(_follow(remote, given))
    try:
        await remote.connect()
        yield remote
    finally:
        following.cancel()
        await remote.close()


def replicas(given: str) -> list[str]:
    """The URLs that a setting names; SettingsError, one line, for what is none.

    A file may be empty: no replica runs at the moment.
    """
    text = given
    if given.startswith(FILE):
        path = Path(given.removeprefix(FILE)).expanduser()
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{WHERE}: {path} cannot be read ({error})") from None
    named = [url for url in text.replace("\n", ",").split(",") if url.strip()]
    urls = list(dict.fromkeys(_url(url.strip()) for url in named))
    if not urls and not given.startswith(FILE):
        raise SettingsError(f"{WHERE}: {given!r} names no replica; give ws://host:port")
    return urls


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        is_good = parts.scheme in {"ws", "wss"} and bool(parts.hostname) and parts.port != 0
        is_good = is_good and not parts.fragment and not any(map(str.isspace, text))
    except ValueError:
        is_good = False
    if not is_good:
        raise SettingsError(
            f"{WHERE}: {text!r} is no address of a replica; give one such as ws://10.0.0.5:8090"
        )
    return text.rstrip("/")


def examine(settings: Settings) -> str:
    """How the replicas are, in one line; ModelUnavailable when none takes calls."""
    token = settings.recogniser.token
    secret = token.get_secret_value() if token is not None else ""
    urls = replicas(settings.recogniser.url or "")

    async def ask_all() -> list[str]:
        return list(await asyncio.gather(*(_examined(url, secret) for url in urls)))

    told = asyncio.run(ask_all())
    line = "; ".join(told) or "no replica is named"
    if not any(" places free" in text for text in told):
        raise ModelUnavailable(f"{line}; is `voicebot asr-serve` running there?")
    return line


async def _examined(url: str, token: str) -> str:
    try:
        async with asyncio.timeout(EXAMINE_S), open_connection(url, token) as connection:
            await connection.send(encode(Ping(1)))
            data = await connection.recv()
            load = from_recogniser(data)[0] if isinstance(data, bytes) else None
    except InvalidStatus as error:
        return f"{url} refuses: HTTP status {error.response.status_code}"
    except (OSError, TimeoutError, InvalidHandshake, ConnectionClosed) as error:
        return f"{url} cannot be reached ({type(error).__name__})"
    if not isinstance(load, Load):
        return f"{url} is no recogniser"
    return f"{url}: {load.capacity - load.live} of {load.capacity} places free"


async def _follow(engine: RemoteEngine, given: str) -> None:
    """A file that lists replicas is read again: they come and go."""
    if not given.startswith(FILE):
        return
    known = replicas(given)
    while True:
        await asyncio.sleep(LOOK_S)
        try:
            found = await asyncio.to_thread(replicas, given)
        except SettingsError as error:
            log.warning("list of recognisers not taken", problem=str(error))
            continue
        if found != known:
            known = found
            log.info("recognisers changed", count=len(known))
            engine.set_urls(known)
