"""What was heard as the record shows it; understanding never sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from voicebot.asr.casing import cased
from voicebot.asr.itn import written
from voicebot.asr.profanity import masked

Text = Literal["spoken", "written"]
Profanity = Literal["keep", "mask"]


@dataclass(frozen=True, slots=True)
class RecordText:
    """The settings `asr.text` and `asr.profanity`, applied by calling it.

    "spoken": the words as recognised; "written": "$250", "555-0199", "March 21", with capitals.
    """

    text: Text = "written"
    profanity: Profanity = "keep"

    def __call__(self, heard: str, language: str = "en") -> str:
        """Never raises; an empty text stays empty."""
        if self.text == "written":
            heard = cased(written(heard, language), language)
        return self.spoken(heard, language)

    def spoken(self, heard: str, language: str = "en") -> str:
        """The words as recognised, which the record keeps beside what was made of them: a rule
        for writing may always be wrong. Masked like the rest."""
        return masked(heard, language) if self.profanity == "mask" else heard
