"""The configured voice: prompts of our own, or a Pipecat TTS service beside them."""

from __future__ import annotations

from collections.abc import Sequence

from voicebot.config import Settings
from voicebot.errors import SettingsError
from voicebot.pipeline.services import Factory, load_service
from voicebot.speech.prompts import Prompts
from voicebot.speech.voices import EspeakVoice, voice_in

DEFAULT_VOICE = "en-us+steph"


def make_prompts(
    settings: Settings, language: str = "en", others: Sequence[str] = ()
) -> tuple[Prompts, Factory | None]:
    """Prompts for `speech.voice` in a plan's language and its others, and the factory of the
    service that speaks them, if any.

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
    own, rate = name or DEFAULT_VOICE, settings.speech.words_per_minute
    EspeakVoice(own, rate)  # a name that no voice has is told, also where another one will speak
    voice = EspeakVoice(voice_in(own, language), rate)
    further = {other: EspeakVoice(voice_in(own, other), rate) for other in others}
    folder = settings.asr.cache_dir / "prompts"
    return Prompts(voice, folder, language=language, others=further), service
