"""How what was said is written: "two hundred and fifty dollars" -> "$250" (inverse text
normalisation). For the record alone: understanding reads the words as they were recognised.

A wrong amount is worse than words: what can be read in two ways stays as it was said. English
has rules of its own (`itn_english`), as `text2num` splices numbers that are none together.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from voicebot.asr.itn_english import write_english
from voicebot.asr.itn_spanish import write_spanish

LONGEST = 5000
"""Characters; more than a caller says in a turn. Longer text stays as it is."""


def written(text: str, language: str = "en") -> str:
    """The text as a person would write it down; as it is in a language without rules."""
    write = LANGUAGES.get(re.split(r"[-_]", language.lower())[0])
    return text if write is None or len(text) > LONGEST else write(text)


LANGUAGES: Mapping[str, Callable[[str], str]] = {"en": write_english, "es": write_spanish}
