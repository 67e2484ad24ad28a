"""`voicebot doctor`: tries each part that a call needs, on this machine, now."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from voicebot.config import Settings, load_settings
from voicebot.errors import VoicebotError


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    is_good: bool
    what: str
    detail: str


def examine() -> Iterator[Finding]:
    """Findings, one after the other as they become known."""
    yield Finding(
        sys.version_info >= (3, 11),
        "python",
        f"{platform.python_version()} on {platform.system()} {platform.machine()}, "
        f"{os.cpu_count()} cores",
    )
    try:
        settings = load_settings()
    except VoicebotError as error:
        yield Finding(False, "settings", str(error))
        return
    yield Finding(True, "settings", f"environment={settings.environment}")
    for what, probe in (
        ("recogniser", _recogniser),
        ("voice activity", _voice_activity),
        ("voice", _voice),
        ("dialplan", _dialplan),
        ("port", _port),
        ("journal", _journal),
        ("Twilio", _twilio),
    ):
        yield _try(what, probe, settings)


def _try(what: str, probe: Callable[[Settings], str], settings: Settings) -> Finding:
    try:
        return Finding(True, what, probe(settings))
    except VoicebotError as error:
        return Finding(False, what, str(error))
    except Exception as error:  # an examination reports what it did not expect, too
        return Finding(False, what, f"{type(error).__name__}: {error}")


def _recogniser(settings: Settings) -> str:
    if settings.asr.service != "local":
        from voicebot.pipeline.services import load_service

        load_service("asr.service", settings.asr.service, settings.asr.service_options)
        return f"{settings.asr.service} can be imported"
    from voicebot.asr.recogniser import Recogniser

    began = time.perf_counter()
    recogniser = Recogniser(settings.asr.cache_dir, settings.asr.threads or 1)
    loaded = time.perf_counter()
    noise = np.random.default_rng(0).normal(0, 0.05, 64000).astype(np.float32)
    recogniser.transcribe([noise])
    took_ms = (time.perf_counter() - loaded) * 1000
    return f"loaded in {loaded - began:.1f} s; 4 s of noise took {took_ms:.0f} ms"


def _voice_activity(settings: Settings) -> str:
    from voicebot.turns.vad import WINDOW_SAMPLES, SileroVad

    vad = SileroVad(1)
    began = time.perf_counter()
    for _ in range(32):
        vad.probabilities(np.zeros(1, np.intp), np.zeros((1, WINDOW_SAMPLES), np.float32))
    return f"{(time.perf_counter() - began) * 1000:.1f} ms for one second of one call"


def _voice(settings: Settings) -> str:
    from voicebot.server.voice import make_prompts

    prompts, service = make_prompts(settings)
    if service is not None:
        return f"{settings.speech.voice} can be imported"
    seconds = len(prompts.render(("This is a test.",)).mulaw) / 8000
    return f"{settings.speech.voice} spoke {seconds:.1f} s"


def _dialplan(settings: Settings) -> str:
    from voicebot.dialogue.plan import load_plan
    from voicebot.server.shipped import plan_path

    path = settings.dialogue.dialplan or plan_path("barista")
    plan = load_plan(path)
    return f"{path}: {len(plan.forms)} forms"


def _port(settings: Settings) -> str:
    from voicebot.server.serving import bind, url_of

    bound = bind(settings.server.host, settings.server.port)
    try:
        return f"{url_of(bound)} is free"
    finally:
        bound.close()


def _journal(settings: Settings) -> str:
    folder = settings.store.journal.resolve().parent
    existing = folder
    while not existing.exists():
        existing = existing.parent
    if not os.access(existing, os.W_OK):
        raise PermissionError(f"{existing} cannot be written; set VOICEBOT_STORE__JOURNAL")
    return f"{settings.store.journal} can be written"


def _twilio(settings: Settings) -> str:
    if settings.twilio.auth_token is None:
        return "no auth token: signatures are not checked (fine for development)"
    return f"signatures are checked; public URL {settings.server.public_url or 'not set'}"
