"""The configured voice: prompts of our own, or a Pipecat TTS service beside them."""

from __future__ import annotations

from voicebot.config import Settings
from voicebot.errors import SettingsError
from voicebot.pipeline.services import Factory, load_service
from voicebot.speech.prompts import Prompts
from voicebot.speech.voices import EspeakVoice

DEFAULT_VOICE = "en-us+steph"


def make_prompts(settings: Settings, language: str = "en") -> tuple[Prompts, Factory | None]:
    """Prompts for `speech.voice`, and the factory of the service that speaks them, if any.

    SettingsError or ModelUnavailable in one line.
    """
    engine, _, name = settings.speech.voice.partition(":")
    service = None
    if engine == "pipecat":
        service = load_service("speech.voice", name, settings.speech.voice_options)
        name = DEFAULT_VOICE
    elif engine != "espeak":
        raise SettingsError(
            f"speech.voice: {settings.speech.voice!r} names no engine; use espeak:en-us "
            "or pipecat:package.module:Class (VOICEBOT_SPEECH__VOICE)"
        )
    voice = EspeakVoice(name or DEFAULT_VOICE, settings.speech.words_per_minute)
    return Prompts(voice, settings.asr.cache_dir / "prompts", language=language), service
