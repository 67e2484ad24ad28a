"""`voicebot doctor`: tries each part that a call needs, on this machine, now."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np

from voicebot.audio.pcm import to_float
from voicebot.audio.resample import resample
from voicebot.config import (
    LOCAL_RECOGNISER,
    NO_RECOGNISER,
    OWN_SERVICES,
    Settings,
    load_settings,
)
from voicebot.errors import ModelUnavailable, SettingsError, VoicebotError
from voicebot.events import CHUNK_SAMPLES
from voicebot.server import models
from voicebot.store.journal_file import JournalFile

SENTENCE = "I lost my debit card, and I want a new one."


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
        *([("replicas", _replicas)] if settings.recogniser.url else []),
        ("cache", _cache),
        ("hearing", _hearing),
        ("voice", _voice),
        ("dialplan", _dialplan),
        ("hot word", _hot_word),
        ("port", _port),
        ("journal", _journal),
        ("recordings", _recordings),
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
    if settings.asr.service == NO_RECOGNISER:
        return "none: keys only"
    if settings.asr.service != LOCAL_RECOGNISER:
        from voicebot.pipeline.services import load_service

        load_service("asr.service", settings.asr.service, settings.asr.service_options)
        return f"{settings.asr.service} can be imported"
    from voicebot.asr.moonshine import SAMPLE_RATE_HZ
    from voicebot.server.recognisers import load_recogniser
    from voicebot.speech.voices import EspeakVoice

    began = time.perf_counter()
    recogniser = load_recogniser(settings, settings.asr.threads or 1)
    loaded = time.perf_counter()
    speech = EspeakVoice("en-us+steph", words_per_minute=150).render(SENTENCE)
    samples = resample(to_float(speech.samples), speech.rate_hz, SAMPLE_RATE_HZ)
    recogniser.transcribe([samples])  # the first time costs memory and kernels
    warm = time.perf_counter()
    heard = recogniser.transcribe([samples], nbest=3)[0].text
    took_ms = (time.perf_counter() - warm) * 1000
    seconds = len(samples) / SAMPLE_RATE_HZ
    if not heard:
        raise ModelUnavailable(f"hears no words in {seconds:.1f} s of speech; reinstall voicebot")
    return (
        f"loaded in {loaded - began:.1f} s; heard {heard!r} of {seconds:.1f} s in {took_ms:.0f} ms"
    )


def _replicas(settings: Settings) -> str:
    from voicebot.server.asr_serve_use import examine as examine_replicas

    return examine_replicas(settings)


def _hearing(settings: Settings) -> str:
    from voicebot.engine.ears import make_runner, make_spotter
    from voicebot.engine.runner import Chunk

    make_spotter(settings.turns.hot_word_models, settings.asr.cache_dir / models.FOLDER)
    by_sound, device = settings.asr.service not in OWN_SERVICES, settings.hearing.device
    runner = make_runner(1, None, judges_by_sound=by_sound, device=device)
    noise = np.random.default_rng(0).integers(0, 256, (100, CHUNK_SAMPLES), np.uint8)
    began = time.perf_counter()
    for number, chunk in enumerate(noise):
        near, far = chunk.tobytes(), noise[number - 1].tobytes()
        runner.hear([Chunk(0, number * CHUNK_SAMPLES, near, far)])
    took_ms = (time.perf_counter() - began) * 1000 / 2
    where = "" if device == "cpu" else f" on {device}"
    return (
        f"echo, speech and keys of one call alone{where}: "
        f"{took_ms:.0f} ms a second while the bot talks"
    )


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
    return f"{path}: {len(plan.forms)} form{'s' if len(plan.forms) != 1 else ''}"


def _hot_word(settings: Settings) -> str:
    from voicebot.dialogue.plan import load_plan
    from voicebot.server.hot_word import examine as examine_hot_word
    from voicebot.server.shipped import plan_path

    return examine_hot_word(settings, load_plan(settings.dialogue.dialplan or plan_path("barista")))


def _port(settings: Settings) -> str:
    from voicebot.server.serving import bind, url_of

    bound = bind(settings.server.host, settings.server.port)
    try:
        return f"{url_of(bound)} is free"
    finally:
        bound.close()


def _cache(settings: Settings) -> str:
    folder = settings.asr.cache_dir
    try:
        _try_writing(folder)
    except OSError as error:
        raise SettingsError(
            f"{folder} cannot be written ({error.strerror}): every start renders "
            "the prompts again; set VOICEBOT_ASR__CACHE_DIR"
        ) from None
    return f"{folder} can be written"


def _journal(settings: Settings) -> str:
    path = settings.store.journal
    if path.exists():
        JournalFile(path, lock_timeout_s=1.0).close()
        return f"{path} can be written"
    try:
        _try_writing(path.parent)
    except OSError as error:
        raise SettingsError(
            f"{path} cannot be made ({error.strerror}); set VOICEBOT_STORE__JOURNAL"
        ) from None
    return f"{path} can be made"


def _recordings(settings: Settings) -> str:
    store = settings.store
    kept = [name for name in ("recordings", "timelines") if getattr(store, name)]
    if not kept:
        return "not kept"
    try:
        _try_writing(store.recordings_dir)
    except OSError as error:
        raise SettingsError(
            f"{store.recordings_dir} cannot be written ({error.strerror}); "
            "set VOICEBOT_STORE__RECORDINGS_DIR"
        ) from None
    return f"{' and '.join(kept)} are kept in {store.recordings_dir}"


def _try_writing(folder: Path) -> None:
    """Whether a file can be made in a folder, or in the nearest one above that exists."""
    existing = folder.resolve()
    while not existing.exists():
        existing = existing.parent
    with TemporaryFile(dir=existing):
        pass


def _twilio(settings: Settings) -> str:
    if settings.twilio.auth_token is None:
        return "no auth token: signatures are not checked (fine for development)"
    return f"signatures are checked; public URL {settings.server.public_url or 'not set'}"
