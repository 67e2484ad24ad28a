"""The hot word among words that another service recognised: its sound is heard elsewhere. Pure."""

from __future__ import annotations

from voicebot.turns.word_lists import words_of

HOT_WORDS = {
    "en": frozenset({"operator"}),
    "es": frozenset({"operador", "operadora"}),
}
"""By the language of the plan; what the shipped head (`hotword_head`) listens for, and the same in
Spanish."""


def says_hot_word(text: str, language: str) -> bool:
    """Whether one of the words is the hot word; in any other language English counts."""
    wanted = HOT_WORDS.get(language.split("-")[0].casefold(), HOT_WORDS["en"])
    return not wanted.isdisjoint(words_of(text))
