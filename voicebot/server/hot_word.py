"""Whether anything can hear the hot word, and whether a plan waits for it."""

from __future__ import annotations

from collections.abc import Iterator

from voicebot.config import LOCAL_RECOGNISER, NO_RECOGNISER, Settings
from voicebot.dialogue.plan import Plan
from voicebot.errors import SettingsError
from voicebot.events import BargeInMode
from voicebot.turns.hotword_words import HOT_WORDS


def examine(settings: Settings, plan: Plan) -> str:
    """How the hot word is heard; SettingsError where nothing can and the plan waits for it."""
    if models := settings.turns.hot_word_models:
        return f"by {', '.join(model.stem for model in models)}"
    word = " or ".join(sorted(HOT_WORDS.get(plan.language.split("-")[0], HOT_WORDS["en"])))
    if settings.asr.service == LOCAL_RECOGNISER:
        but = ", but not where a FastConformer recognises" if settings.recogniser.url else ""
        return f"operator, by the recogniser{but}"
    if settings.asr.service != NO_RECOGNISER:
        return f"{word}, among the words of {settings.asr.service}"
    if BargeInMode.HOTWORD in set(_modes(plan.keys.model_dump(mode="json"))):
        raise SettingsError(
            f"{plan.path}: 'barge_in: hotword', but asr.service=none hears no words, so only keys "
            "interrupt there; set VOICEBOT_TURNS__HOT_WORD_MODELS or write 'barge_in: dtmf'"
        )
    return "not heard (asr.service=none), and the plan does not wait for it"


def _modes(keys: object) -> Iterator[object]:
    """Every value of `barge_in`."""
    if isinstance(keys, dict):
        if isinstance(mode := keys.get("barge_in"), str):
            yield mode
        for value in keys.values():
            yield from _modes(value)
    elif isinstance(keys, list):
        for value in keys:
            yield from _modes(value)
